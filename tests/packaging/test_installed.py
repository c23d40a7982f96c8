"""The installed service: an empty environment with the locked packages and our wheel runs the whole demo."""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest
import redis
from contributing import ROOT

import newsletter

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
SAMPLE = ROOT / "newsletter" / "demo" / "newsroom"
NOTHING: Mapping[str, str] = MappingProxyType({})


@pytest.mark.slow
def test_installed_service_does_the_whole_job(built_wheel: Path, tmp_path: Path, broker_url: str):
    """From another folder and with an empty home, every mail is accounted for, and doorbells reach a broker.

    One test, since it is installed once.
    """
    python = _install(built_wheel, tmp_path)
    newsletter_command = python.with_name("newsletter")
    version = _run([newsletter_command, "--version"], tmp_path)
    misfits = _run([*PIP, "--python", python, "check"], tmp_path)
    facts = json.loads(_run([newsletter_command, "demo", "--once", "--json"], tmp_path))
    lists = facts["lists"]

    assert f"newsletter {newsletter.__version__}\n" == version
    assert "" == misfits
    assert [] == facts["problems"]
    assert (3, 300, 17) == (len(lists), facts["subscribers"], facts["topics"])
    assert 30 <= facts["articles"] <= facts["items"]["new"]
    assert sum(each["editions"] for each in lists) == facts["editions"]
    assert sum(each["variants"] for each in lists) == facts["variants"]
    assert {"accepted": sum(each["accepted"] for each in lists)} == facts["deliveries"]
    assert facts["deliveries"]["accepted"] == facts["mails_received"] > 0

    assert 0 < _rings_in(broker_url, newsletter_command, tmp_path)


def _rings_in(broker_url: str, command: Path, folder: Path) -> int:
    """Return how many doorbells for feeds reach the broker when an article comes in, as production is set up."""
    settings = {
        "NEWSLETTER_DATABASE_URL": f"sqlite:///{folder / 'production.db'}",
        "NEWSLETTER_BROKER_URL": broker_url,
        "NEWSLETTER_SECRET_KEY": "an installed service's secret key",
    }
    _run([command, "db", "upgrade"], folder, settings)
    article = SAMPLE / "first-wage.md"
    _run([command, "articles", "import", article, "--source", "press"], folder, settings)
    with redis.Redis.from_url(broker_url) as broker:
        return int(broker.llen("nl:feeds"))


def _install(wheel: Path, folder: Path) -> Path:
    """Make an environment of the locked packages and our wheel, as the Dockerfile does; return its Python."""
    wheels, environment = folder / "wheels", folder / "environment"
    lock = ["--require-hashes", "--requirement", ROOT / "requirements.lock"]
    _run([*PIP, "wheel", "--no-build-isolation", *lock, "--wheel-dir", wheels], folder)
    venv.create(environment, with_pip=False)
    python = environment / "bin/python"
    install = ["install", "--no-index", "--no-deps", "--no-compile"]  # what is imported is compiled then
    _run([*PIP, "--python", python, *install, *wheels.glob("*.whl"), wheel], folder)
    return python


def _run(command: Sequence[str | Path], folder: Path, settings: Mapping[str, str] = NOTHING) -> str:
    """Run *command* as a person would who has just logged in: an empty home, *settings* alone; return what it says."""
    environment = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "LANG"))}
    home = folder / "home"
    home.mkdir(exist_ok=True)
    result = subprocess.run(
        command,
        cwd=folder,
        env={**environment, "HOME": str(home), "PATH": os.defpath, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert 0 == result.returncode, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout
