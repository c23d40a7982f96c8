"""A watched folder: a file comes in when it is whole, once, and again when it changes."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from newsletter.errors import InvalidError, TransientError
from newsletter.services import folder_watch
from newsletter.services.articles import list_articles
from newsletter.services.context import App
from newsletter.services.folder_watch import SETTLED_SECONDS, FolderWatch, WatchedFile, watch_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


class Watcher:
    """Watches with a clock that each look moves on."""

    def __init__(self, app: App, folder: Path) -> None:
        self.now = 0.0
        self._files: Iterator[WatchedFile | None] = watch_folder(
            app, folder, clock=lambda: self.now, wait=self._wait, source="CMS"
        )

    def _wait(self, seconds: float) -> None:
        self.now += seconds

    def look(self, times: int = 4) -> list[WatchedFile]:
        found: list[WatchedFile] = []
        while times:
            file = next(self._files)
            if file is None:
                times -= 1
            else:
                found.append(file)
        return found


def article(title: str = "A title", **fields: Any) -> str:
    return json.dumps([{"id": title, "title": title, "paragraphs": ["x"], "published": "2026-03-13"} | fields])


def titles(app: App) -> list[str]:
    with app.reading() as tx:
        return sorted(each.title for each in list_articles(tx).articles)


def test_a_file_comes_in_once_and_again_when_it_changes(app, folder):
    watcher = Watcher(app, folder)
    path = folder / "a.json"
    path.write_text(article())
    (first,) = watcher.look()
    assert [] == watcher.look()
    path.write_text(article(summary="Now with a summary."))
    (second,) = watcher.look()

    assert (["new"], ["updated"]) == (
        [each.result for each in first.outcomes],
        [each.result for each in second.outcomes],
    )


def test_what_was_there_before_comes_in_and_changes_nothing_the_second_time(app, folder):
    (folder / "a.json").write_text(article())
    Watcher(app, folder).look()
    (again,) = Watcher(app, folder).look()

    assert ["same"] == [each.result for each in again.outcomes]


def test_a_file_that_grows_is_not_taken_until_it_rests(folder):
    watch, path, text = FolderWatch(folder), folder / "a.json", article()
    for second, end in enumerate((5, 10, 20, len(text))):
        path.write_text(text[:end])
        assert [] == watch.look(float(second))

    assert [] == watch.look(3 + SETTLED_SECONDS - 0.1)
    assert [path] == watch.look(3 + SETTLED_SECONDS)


def test_a_half_written_file_is_told_of_and_taken_when_it_is_whole(app, folder):
    watcher, path = Watcher(app, folder), folder / "a.json"
    path.write_text(article()[:20])
    (half,) = watcher.look()
    assert [] == watcher.look()
    path.write_text(article())
    (whole,) = watcher.look()

    assert "no valid JSON" in half.problem
    assert ["new"] == [each.result for each in whole.outcomes]


def test_a_bad_file_harms_no_other(app, folder):
    for name, text in {"a.json": "{", "b.json": article("B"), "c.md": "# C\n\nx", "d.md": "---\n: :\n---\n"}.items():
        (folder / name).write_text(text)
    found = {each.path.name: each for each in Watcher(app, folder).look()}

    assert ["B", "C"] == titles(app)
    assert found["a.json"].problem
    assert ["refused"] == [each.result for each in found["d.md"].outcomes]


def test_what_is_not_meant_to_be_read_is_left(app, folder):
    for name in (".a.json", "~a.json", "a.json.part", "a.tmp", "a.docx"):
        (folder / name).write_text(article())
    (folder / "b.json").mkdir()
    (folder / "broken.json").symlink_to(folder / "nothing")
    (folder / "more").mkdir()
    (folder / "more" / "c.json").write_text(article("C"))

    assert ["c.json"] == [each.path.name for each in Watcher(app, folder).look()]


def test_another_file_under_an_old_name_is_another_file(app, folder, tmp_path):
    """Moved in, with the size and the time of the old one."""
    watcher, path = Watcher(app, folder), folder / "a.json"
    path.write_text(article("One"))
    watcher.look()
    stamp = path.stat().st_mtime_ns
    other = tmp_path / "other.json"
    other.write_text(article("Two"))
    os.utime(other, ns=(stamp, stamp))
    other.rename(path)
    watcher.look()

    assert ["One", "Two"] == titles(app)


def test_while_the_database_does_not_answer_files_wait(app, folder, monkeypatch):
    (folder / "a.json").write_text(article())
    real, answers = folder_watch.import_files, [TransientError("busy")]

    def hesitant(*arguments: Any, **options: Any) -> Any:
        if answers:
            raise answers.pop()
        return real(*arguments, **options)

    monkeypatch.setattr(folder_watch, "import_files", hesitant)

    assert ["A title"] == [each.outcomes[0].title for each in Watcher(app, folder).look(5)]


def test_a_folder_that_is_gone_is_an_error(app, folder):
    watcher = Watcher(app, folder)
    watcher.look()
    folder.rmdir()

    with pytest.raises(InvalidError):
        watcher.look()
