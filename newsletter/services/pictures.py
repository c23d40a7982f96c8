"""Pictures of mails: a page as a PNG, by a Chromium on this machine, in a profile of its own that is thrown away."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from newsletter.errors import InvalidError, PermanentError

PHONE, DESKTOP = 390, 1000
"""Pixels: the width of a common phone, and of a mail program's reading pane on a desk."""

TALLEST = 12_000
"""Pixels of a picture; a digest of 90 KB has about 8,000 on a phone."""

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_HEIGHT = re.compile(r"data-height=\"(\d+)\"")
_MEASURE = "<script>document.documentElement.dataset.height=document.documentElement.scrollHeight</script>"
_SECONDS = 60


def find_chromium() -> str | None:
    """Return the program that takes pictures; None: none is installed."""
    return next((found for name in _PROGRAMS if (found := shutil.which(name))), None)


def take_picture(page: str, file: Path, *, width: int = DESKTOP, is_dark: bool = False) -> None:
    """Write *page*, HTML, as a PNG as wide as *width* and as tall as it is.

    Raises:
        PermanentError: no Chromium is installed, or it failed; the message says what else there is.
        InvalidError: the file cannot be written.
    """
    program = find_chromium()
    if program is None:
        raise PermanentError("pictures need Chromium, which is not installed; --html writes the page for any browser")
    with tempfile.TemporaryDirectory(prefix="newsletter-") as folder:
        source, picture = Path(folder, "page.html"), Path(folder, "page.png")
        source.write_text(page.replace("</body>", f"{_MEASURE}</body>", 1), encoding="utf-8")
        common = [
            *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
            f"--user-data-dir={folder}/profile",
            "--virtual-time-budget=3000",  # pages within the page are there by then
            f"--blink-settings=preferredColorScheme={0 if is_dark else 1}",
        ]
        address = source.as_uri()
        dumped = _run([*common, f"--window-size={width},800", "--dump-dom", address])
        measured = _HEIGHT.search(dumped)
        height = min(int(measured[1]) if measured else TALLEST, TALLEST)
        source.write_text(page, encoding="utf-8")
        _run([*common, f"--window-size={width},{max(height, 200)}", f"--screenshot={picture}", address])
        if not picture.is_file():
            raise PermanentError("Chromium took no picture; --html writes the page for any browser")
        try:
            shutil.copyfile(picture, file)
        except OSError as error:
            raise InvalidError(f"{file} cannot be written: {error.strerror}; choose another place") from error


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603  the program found on PATH, and our own words
            command, capture_output=True, check=True, timeout=_SECONDS, text=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise PermanentError(f"Chromium failed: {error}; --html writes the page for any browser") from error
    return done.stdout
