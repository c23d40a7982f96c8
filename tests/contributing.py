"""The repository's root, and what CONTRIBUTING.md says about packages, for the tests that hold it to its word."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def homes_of_packages() -> dict[str, set[str]]:
    """Return where each package may be imported, from the table under "Packages"."""
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("\n## Packages\n")[2]
    rows = re.findall(r"^\| ([\w-]+) \| ([\w, -]+) \| .+ \|$", section, flags=re.MULTILINE)
    return {package: set(homes.split(", ")) for package, homes in rows if package != "package"}
