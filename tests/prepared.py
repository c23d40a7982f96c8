"""What many tests begin with is stored once in a run, and copied into the database of whoever begins with it too.

On SQLite, where it is a file; on PostgreSQL each test prepares for itself. It has to be the first that is done to a
test's database, and always the same: at the newsroom's clock, with its settings.
"""

from collections.abc import Callable, Hashable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from newsletter.services.context import App

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a preparation left: the database's bytes, the doorbells it rang, and what it returned."""

    content: bytes
    rings: tuple[Any, ...]
    found: Any


class Preparations:
    """The preparations that tests of this process have in common."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Kept] = {}

    def once(self, app: App, prepare: Callable[[App], Found], **how: Any) -> Found:
        """Return what *prepare* finds or makes of *app* and *how*; what it stores is in the database afterwards."""
        if not app.database.is_sqlite:
            return prepare(app, **how)
        settings = app.settings.model_copy(update={"home": Path()})
        name = (prepare, repr(settings), app.clock(), repr(how))
        path = app.settings.home / "newsletter.db"
        app.database.dispose()
        if kept := self._kept.get(name):
            path.write_bytes(kept.content)
            app.dispatcher.rings.extend(kept.rings)
            return deepcopy(kept.found)
        rung = len(app.dispatcher.rings)
        found = prepare(app, **how)
        app.database.dispose()  # the last connection leaves no journal beside the file
        self._kept[name] = Kept(path.read_bytes(), tuple(app.dispatcher.rings[rung:]), deepcopy(found))
        return found
