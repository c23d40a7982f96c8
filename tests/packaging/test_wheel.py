"""The wheel: holds everything the package needs to run away from this repository, and nothing else."""

import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from contributing import ROOT

import newsletter

NO_BUSINESS_IN_A_WHEEL = ("tests/", ".pyc", "conftest", ".lock", ".po~", "benchmarks/")


@pytest.fixture(scope="module")
def wheel(built_wheel: Path) -> dict[str, bytes]:
    """The files of the wheel."""
    with zipfile.ZipFile(built_wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_wheel_holds_every_file_of_the_packages(wheel: dict[str, bytes]):
    """Code, catalogues, migrations, data: whatever git has there."""
    ours = [name for name in tracked_files() if name.startswith(("newsletter/", "workers/"))]

    assert ours
    assert [] == [name for name in ours if name not in wheel]


def test_wheel_holds_every_template(wheel: dict[str, bytes]):
    templates = [name for name in tracked_files() if name.startswith("templates/")]

    assert templates
    assert [] == [name for name in templates if name.replace("templates/", "newsletter/_templates/", 1) not in wheel]


@pytest.mark.slow
def test_wheel_holds_nothing_else(wheel: dict[str, bytes]):
    others = [name for name in wheel if not name.startswith(("newsletter/", "workers/", "newsletter-"))]

    assert [] == others
    assert [] == [name for name in wheel if any(part in name for part in NO_BUSINESS_IN_A_WHEEL)]


def test_wheel_says_what_it_is(wheel: dict[str, bytes]):
    (name,) = (name for name in wheel if name.endswith(".dist-info/METADATA"))
    metadata = HeaderParser().parsestr(wheel[name].decode())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert ("newsletter", newsletter.__version__) == (metadata["Name"], metadata["Version"])
    assert ">=3.11" == metadata["Requires-Python"]
    assert len(project["dependencies"]) == len(metadata.get_all("Requires-Dist"))


def test_wheel_brings_the_command(wheel: dict[str, bytes]):
    (name,) = (name for name in wheel if name.endswith(".dist-info/entry_points.txt"))

    assert b"newsletter = newsletter.cli.main:main" in wheel[name]


@pytest.mark.slow
@pytest.mark.parametrize("command", [["-m", "newsletter"], ["-c", "from newsletter.cli.main import main; main()"]])
def test_command_says_its_version(command: list[str], tmp_path: Path):
    """From any folder, and with nothing set up."""
    result = subprocess.run(
        [sys.executable, *command, "--version"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )

    assert (0, f"newsletter {newsletter.__version__}\n", "") == (result.returncode, result.stdout, result.stderr)


def tracked_files() -> list[str]:
    """Return what git tracks and what is new, but not what it ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in names if (ROOT / name).is_file()]
