"""The installed service: an empty environment with the locked packages and our wheel runs the whole demo."""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest
from contributing import ROOT

import newsletter

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installed")]  # in one process: it is installed once


@pytest.fixture(scope="module")
def installed(built_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the locked packages and our wheel, as the Dockerfile makes it."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheels, environment = folder / "wheels", folder / "environment"
    lock = ["--require-hashes", "--requirement", ROOT / "requirements.lock"]
    _run([*pip, "wheel", "--no-build-isolation", *lock, "--wheel-dir", wheels], folder)
    venv.create(environment, with_pip=False)
    target = [*pip, "--python", environment / "bin/python"]
    _run([*target, "install", "--no-index", "--no-deps", *wheels.glob("*.whl"), built_wheel], folder)
    return environment / "bin"


def test_installed_command_says_its_version(installed: Path, tmp_path: Path):
    assert f"newsletter {newsletter.__version__}\n" == _run([installed / "newsletter", "--version"], tmp_path)


def test_installed_packages_fit_together(installed: Path, tmp_path: Path):
    check = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", installed / "python", "check"]

    assert "No broken requirements found.\n" == _run(check, tmp_path)


def test_installed_demo_does_the_whole_job(installed: Path, tmp_path: Path):
    """From another folder and with an empty home, every mail is accounted for in each way of counting."""
    facts = json.loads(_run([installed / "newsletter", "demo", "--once", "--json"], tmp_path))
    lists = facts["lists"]

    assert [] == facts["problems"]
    assert (3, 300, 17) == (len(lists), facts["subscribers"], facts["topics"])
    assert 30 <= facts["articles"] <= facts["items"]["new"]
    assert sum(each["editions"] for each in lists) == facts["editions"]
    assert sum(each["variants"] for each in lists) == facts["variants"]
    assert {"accepted": sum(each["accepted"] for each in lists)} == facts["deliveries"]
    assert facts["deliveries"]["accepted"] == facts["mails_received"] > 0


def _run(command: Sequence[str | Path], folder: Path) -> str:
    """Run *command* as a person would who has just logged in: an empty home, nothing set up; return what it says."""
    environment = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "LANG"))}
    home = folder / "home"
    home.mkdir(exist_ok=True)
    result = subprocess.run(
        command,
        cwd=folder,
        env={**environment, "HOME": str(home), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert 0 == result.returncode, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout
