"""The journal: what a sender was about when it was killed, for whoever can prove that it is dead."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from newsletter.domain.replies import Reply, Silence, Stage, Verdict
from newsletter.mail import journal
from newsletter.mail.journal import Journal, bequests, sender_name
from newsletter.mail.smtp import SendResult

FULL = Path("/dev/full")
ENDS = [
    SendResult(1, Verdict.ACCEPTED, Stage.DOT, Reply(250, "2.0.0", "queued as 4F1 <-> é")),
    SendResult(2, Verdict.RECIPIENT_FAILED, Stage.RCPT, Reply(550, "", "")),
    SendResult(3, Verdict.IN_DOUBT, Stage.DOT, Silence.TIMEOUT),
    SendResult(4, Verdict.UNSENT),
]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journals"


@pytest.fixture
def full_disk():
    """Lets the disk under a journal be full from now on."""
    if not FULL.exists():
        pytest.skip("this system has no device that is full")

    def fill(kept):
        full = os.open(FULL, os.O_WRONLY)
        os.dup2(full, kept._descriptor)
        os.close(full)

    return fill


def refuse(*_args, **_kwargs):
    raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))


def test_what_was_noted_is_read_once_its_sender_is_gone(folder):
    kept = Journal.open(folder, "a")
    kept.touch([7, 8, 9])
    kept.let_go()
    kept.touch([10])
    for result in ENDS:
        kept.dot(result.ref, 3)
        kept.answer(3, result)
    kept.close(is_settled=False)
    [left] = bequests(folder)

    assert ("a", True, {10}) == (left.name, left.is_complete, left.touched)
    assert {(ref, 3) for ref in range(1, 5)} == left.dots
    assert [(3, result) for result in ENDS] == left.ends
    left.remove()
    assert [] == list(bequests(folder))


def test_a_sender_that_lives_leaves_nothing_to_read(folder):
    kept = Journal.open(folder, "a")
    kept.dot(1, 1)

    assert [] == list(bequests(folder))
    kept.close(is_settled=True)
    assert [] == list(folder.iterdir())


def test_one_whose_sender_died_as_it_began_it_is_removed(folder):
    folder.mkdir()
    (folder / ".dead").touch()
    (folder / ".alive").touch()
    with (folder / ".alive").open() as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        assert [] == list(bequests(folder))

    assert [".alive"] == [each.name for each in folder.iterdir()]


def test_one_that_is_read_as_it_begins_is_begun_anew(folder, monkeypatch):
    """It has no lock yet, and looks like one that was left."""
    lock = fcntl.flock
    comes = iter([True])

    def flock(descriptor, how):
        if next(comes, False):
            assert [] == list(bequests(folder))
        lock(descriptor, how)

    monkeypatch.setattr(journal.fcntl, "flock", flock)
    kept = Journal.open(folder, "a")
    kept.dot(5, 1)
    kept.close(is_settled=False)
    [left] = bequests(folder)

    assert {(5, 1)} == left.dots
    assert ["a"] == [each.name for each in folder.iterdir()]


def test_what_one_reads_no_other_reads_at_the_same_time(folder):
    Journal.open(folder, "a").close(is_settled=False)
    for _ in bequests(folder):
        assert [] == list(bequests(folder))


def test_a_dot_is_in_the_file_before_it_may_leave_and_the_answer_with_the_next(folder):
    kept = Journal.open(folder, "a")
    seen = []

    def look():
        seen.append((folder / "a").read_text().count("\n"))

    kept.dot(1, 1)
    look()
    kept.answer(1, ENDS[0])
    look()
    kept.dot(2, 1)
    look()
    kept.close(is_settled=True)

    assert [2, 2, 4] == seen


def test_a_line_without_its_end_was_not_written(folder):
    Journal.open(folder, "a").close(is_settled=False)
    with (folder / "a").open("a") as file:
        file.write("dot 1 1\ndot 2")
    [left] = bequests(folder)

    assert {(1, 1)} == left.dots


@pytest.mark.parametrize("torn", ["dot 5dot 6 1\n", "end 5 1 acc\0\0\0\n", "end 5\n", "touch 5 x\n"])
def test_a_line_that_cannot_be_read_means_that_others_may_be_missing(folder, torn):
    """And keeps nobody from reading those that are there."""
    kept = Journal.open(folder, "a")
    kept.dot(1, 1)
    kept.answer(1, ENDS[0])
    kept.close(is_settled=False)
    with (folder / "a").open("a") as file:
        file.write(f"{torn}dot 7 1\n")
    [left] = bequests(folder)

    assert (False, {(1, 1), (7, 1)}, [(1, ENDS[0])]) == (left.is_complete, left.dots, left.ends)


def test_a_full_disk_leaves_no_journal_that_misses_a_line(folder, full_disk):
    kept = Journal.open(folder, "a")
    kept.dot(1, 1)
    full_disk(kept)
    kept.dot(2, 1)
    kept.answer(1, ENDS[0])
    kept.dot(3, 1)
    kept.close(is_settled=False)

    assert (False, []) == (kept.is_kept, list(folder.iterdir()))


def test_no_dot_leaves_where_a_journal_can_neither_be_written_nor_removed(folder, full_disk, monkeypatch):
    kept = Journal.open(folder, "a")
    full_disk(kept)
    monkeypatch.setattr(type(folder), "unlink", refuse)
    for ref in (1, 2):
        with pytest.raises(OSError, match="No space left"):
            kept.dot(ref, 1)
    kept.close(is_settled=False)


def test_after_the_machine_went_down_lines_may_be_missing(folder, monkeypatch):
    Journal.open(folder, "a").close(is_settled=False)
    monkeypatch.setattr(journal, "boot_id", lambda: "another start")
    [left] = bequests(folder)

    assert not left.is_complete


def test_where_starts_have_no_names_nothing_is_ever_complete(folder, monkeypatch):
    monkeypatch.setattr(journal, "boot_id", lambda: "")
    Journal.open(folder, "a").close(is_settled=False)
    [left] = bequests(folder)

    assert not left.is_complete


def test_no_two_senders_have_the_same_name():
    assert sender_name() != sender_name()
    assert len(sender_name()) <= 200


KILLED = """
import sys, time
from pathlib import Path
from newsletter.mail.journal import Journal
kept = Journal.open(Path(sys.argv[1]), "killed")
kept.dot(5, 1)
print("noted", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_killed_process_loses_no_line_and_its_lock(folder):
    command = [sys.executable, "-c", KILLED, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert "noted\n" == process.stdout.readline()
        assert [] == list(bequests(folder))
        process.send_signal(signal.SIGKILL)
        process.wait()
    [left] = bequests(folder)

    assert {(5, 1)} == left.dots
