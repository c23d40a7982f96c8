"""Watching a folder: files that are put there are imported once they are whole, and again when they change."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from newsletter.domain.articles import Kind
from newsletter.errors import InvalidError, TransientError
from newsletter.ingest.readers import SUFFIXES
from newsletter.services.article_imports import ImportOutcome, import_files
from newsletter.services.context import App

log = structlog.get_logger()

LOOK_SECONDS = 1.0
SETTLED_SECONDS = 2.0
"""How long a file must have kept its size and time to be taken for whole; whoever writes slowly writes it elsewhere
and moves it in."""
MOST_FILES = 50_000


@dataclass(frozen=True, slots=True)
class WatchedFile:
    """What became of a file: its items, or why it could not be read; then it is read again when it has changed."""

    path: Path
    outcomes: tuple[ImportOutcome, ...] = ()
    problem: str = ""


Signature = tuple[int, int, int]
"""Size, time of change and number of a file: another file under an old name is another one."""


@dataclass(slots=True)
class FolderWatch:
    """Sees which files of *folder*, and of the folders in it, are whole and not taken as they are."""

    folder: Path
    _seen: dict[Path, tuple[Signature, float]] = field(default_factory=dict)
    _taken: dict[Path, Signature] = field(default_factory=dict)

    def look(self, now: float) -> list[Path]:
        """Return the files to take at *now*, seconds of a clock that only goes on, in order of name.

        Raises:
            InvalidError: the folder is not there, or holds too many files.
        """
        there = self._files()
        self._taken = {path: signature for path, signature in self._taken.items() if path in there}
        self._seen = {
            path: self._seen[path] if path in self._seen and self._seen[path][0] == signature else (signature, now)
            for path, signature in there.items()
        }
        return [
            path
            for path, (signature, since) in sorted(self._seen.items())
            if now - since >= SETTLED_SECONDS and self._taken.get(path) != signature
        ]

    def take(self, path: Path) -> None:
        """Note that a file, as it was at the last look, need not be read again."""
        self._taken[path] = self._seen[path][0]

    def _files(self) -> dict[Path, Signature]:
        if not self.folder.is_dir():
            raise InvalidError(f"there is no folder {self.folder} to watch")
        found: dict[Path, Signature] = {}
        for path in self.folder.rglob("*"):
            if path.suffix.lower() not in SUFFIXES or path.name.startswith((".", "~")):
                continue
            try:
                status = path.stat()
            except OSError:
                continue  # it went away meanwhile
            if path.is_file():
                found[path] = (status.st_size, status.st_mtime_ns, status.st_ino)
            if len(found) > MOST_FILES:
                raise InvalidError(
                    f"the folder {self.folder} holds more than {MOST_FILES:,} files; watch a smaller one"
                )
        return found


def watch_folder(
    app: App,
    folder: Path,
    *,
    clock: Callable[[], float],
    wait: Callable[[float], object],
    source: str | None = None,
    language: str | None = None,
    kind: Kind | None = None,
) -> Iterator[WatchedFile | None]:
    """Import files as they come, without end; None: a look is over, and *wait* is called with seconds to sleep.

    What is there already is imported too, which changes nothing where it was before. A file that cannot be read is
    told and harms no other; while the database does not answer, files wait. It may be broken off anywhere: what was
    not finished is done again the next time.

    Raises:
        InvalidError: the folder is not there, or holds too many files.
    """
    watch = FolderWatch(folder)
    while True:
        for path in watch.look(clock()):
            try:
                outcomes = import_files(app, [path], source=source, language=language, kind=kind)
            except InvalidError as error:
                yield WatchedFile(path, problem=str(error))
            except TransientError as error:
                log.warning("import_waits", file=path.name, error=str(error))
                break
            else:
                yield WatchedFile(path, tuple(outcomes))
            watch.take(path)
        yield None
        wait(LOOK_SECONDS)
