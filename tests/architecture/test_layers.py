"""Who may import whom, and the one home of each library; read from the code, whatever runs."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from contributing import ROOT, homes_of_packages

LIBRARIES = {"storage", "ingest", "rendering", "feeds", "mail"}
BELOW_SERVICES = {"domain", *LIBRARIES, "errors"}
BELOW_FACES = (BELOW_SERVICES - {"storage"}) | {
    "services",
    "bootstrap",
    "embedded",
    "clock",
    "config",
    "dispatch",
    "logs",
}
MAY_IMPORT = {
    "errors": set(),
    "clock": set(),
    "logs": set(),
    "config": {"errors"},
    "dispatch": {"errors"},
    "network": {"errors"},
    "domain": set(),
    **{library: {"domain", "errors"} for library in LIBRARIES},
    "ingest": {"domain", "errors", "network"},
    "services": {*BELOW_SERVICES, "clock", "config", "dispatch", "network"},
    "doorbells": {"domain", "services", "dispatch"},
    "bootstrap": {*BELOW_SERVICES, "services", "clock", "config", "dispatch", "doorbells", "logs"},
    "embedded": {"services", "dispatch", "errors"},
    "web": BELOW_FACES,
    "workers": BELOW_FACES,
    "demo": {*BELOW_FACES, "web"},  # it serves the pages
    "cli": {*BELOW_FACES, "web", "demo"},  # it starts the others
}


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement: where it stands and the full name it asks for."""

    file: str
    line: int
    place: str
    name: str

    def __str__(self) -> str:
        """Show it as an editor finds it."""
        return f"{self.file}:{self.line} {self.place} imports {self.name}"


def test_every_module_has_a_place():
    assert set(MAY_IMPORT) >= {place_of(path) for path in our_files()} - {""}


def test_layers_import_only_what_is_below_them():
    wrong = [
        each
        for each in imports()
        if (target := target_of(each)) and target != each.place and target not in MAY_IMPORT[each.place]
    ]

    assert [] == list(map(str, wrong))


def test_nobody_imports_a_worker():
    wrong = [each for each in imports() if each.name.split(".")[0] == "workers" and each.place != "workers"]

    assert [] == list(map(str, wrong))


def test_domain_imports_the_standard_library_only():
    wrong = [each for each in imports() if each.place == "domain" and is_foreign(each)]

    assert [] == list(map(str, wrong))


def test_libraries_are_imported_in_their_homes_only():
    """The homes stand in CONTRIBUTING.md, beside the reason for each package."""
    homes = homes_of_packages()
    distributions = packages_distributions()
    wrong = []
    for each in filter(is_foreign, imports()):
        owners = {name.lower().replace("_", "-") for name in distributions.get(each.name.split(".")[0], ())}
        if not any(each.place in homes.get(owner, ()) for owner in owners):
            wrong.append(each)

    assert [] == list(map(str, wrong))


@pytest.mark.parametrize(
    ("names", "homes"),
    [
        ({"os.environ", "os.getenv"}, {"newsletter/config.py"}),
        (
            {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"},
            {"newsletter/clock.py", "newsletter/storage/engine.py"},
        ),
    ],
    ids=["environment", "time"],
)
def test_what_differs_between_runs_is_read_in_one_place(names: set[str], homes: set[str]):
    attributes = {name.rpartition(".")[2] for name in names}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for path in our_files()
        if str(path.relative_to(ROOT)) not in homes
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and node.attr in attributes and ast.unparse(node) in names
    ]

    assert [] == wrong


def our_files() -> list[Path]:
    return sorted([*ROOT.glob("newsletter/**/*.py"), *ROOT.glob("workers/**/*.py")])


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


def place_of(path: Path) -> str:
    """Return a file's layer: `storage`, `config`, `workers`; empty for the package's own first file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "workers" if parts[0] == "workers" else parts[1].replace("__init__", "").replace("__main__", "cli")


@cache
def imports() -> tuple[Import, ...]:
    return tuple(read_imports())


def read_imports() -> Iterator[Import]:
    for path in our_files():
        file, place = str(path.relative_to(ROOT)), place_of(path)
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Import):
                yield from (Import(file, node.lineno, place, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{file}:{node.lineno}: name the package in full"
                yield from (Import(file, node.lineno, place, f"{node.module}.{alias.name}") for alias in node.names)


def target_of(each: Import) -> str:
    """Return the layer that an import reaches; empty for foreign ones and for `from newsletter import __version__`."""
    parts = each.name.split(".")
    return parts[1] if parts[0] == "newsletter" and len(parts) > 1 and parts[1] != "__version__" else ""


def is_foreign(each: Import) -> bool:
    top = each.name.split(".")[0]
    return top not in sys.stdlib_module_names and top not in {"newsletter", "workers"}
