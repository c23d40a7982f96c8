"""Packages: each has a reason, a locked version and a hash, and no file says where they come from."""

import re
import tomllib
from pathlib import Path

import pytest
from contributing import ROOT, homes_of_packages

LOCK_FILES = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_package_has_a_line_of_why():
    """And no line is left of a package that is gone."""
    groups = [entry for group in PROJECT["dependency-groups"].values() for entry in group if isinstance(entry, str)]

    assert {_name(entry) for entry in [*PROJECT["project"]["dependencies"], *groups]} == set(homes_of_packages())


@pytest.mark.parametrize("lock", LOCK_FILES)
def test_locked_packages_have_one_version_and_hashes(lock: str):
    requirements = _requirements(lock)

    assert requirements
    assert [] == [each for each in requirements if not re.match(r"[\w.\[\]-]+==\S+ ", each)]
    assert [] == [each for each in requirements if not re.search(r"--hash=sha256:[0-9a-f]{64}", each)]


@pytest.mark.parametrize("lock", LOCK_FILES)
def test_locked_packages_come_from_whatever_index_the_machine_has(lock: str):
    text = (ROOT / lock).read_text()

    assert [] == re.findall(r"https?://\S+|^--.*|@ \S+", text, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", PROJECT["project"]["dependencies"]),
        ("requirements-build.lock", PROJECT["dependency-groups"]["build"]),
        ("requirements-dev.lock", [each for each in PROJECT["dependency-groups"]["dev"] if isinstance(each, str)]),
    ],
)
def test_lock_files_hold_what_the_project_asks_for(lock: str, wanted: list[str]):
    locked = {_name(each) for each in _requirements(lock)}

    assert set() == {_name(entry) for entry in wanted} - locked


def test_all_lock_files_agree_on_versions():
    versions: dict[str, set[str]] = {}
    for lock in LOCK_FILES:
        for each in _requirements(lock):
            versions.setdefault(_name(each), set()).add(each.split()[0])

    assert {} == {name: found for name, found in versions.items() if len(found) > 1}


def test_what_only_builds_or_tests_is_not_installed_to_run():
    running = {_name(each) for each in _requirements("requirements.lock")}

    assert set() == running & {"hatchling", "editables", "pytest", "mypy", "ruff", "build", "pip", "setuptools"}


def _requirements(lock: str) -> list[str]:
    """Return each requirement of a lock file with its hashes, as one line."""
    lines = [line for line in Path(ROOT / lock).read_text().splitlines() if not line.lstrip().startswith("#")]
    return "\n".join(lines).replace("\\\n", " ").splitlines()


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found, requirement
    return found[0].lower().replace("_", "-")
