"""The loop: resumes whoever is ready, late or woken, and forgets whoever has ended."""

import socket
import time

import pytest

from newsletter.mail.steps import READABLE, Loop, finish


@pytest.fixture
def pair():
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def waiting(descriptor, seen, seconds=5.0, times=1):
    for _ in range(times):
        seen.append((yield descriptor, READABLE, time.monotonic() + seconds))


def test_steps_are_resumed_when_ready_late_or_woken(pair):
    near, far = pair
    loop, seen = Loop(), []
    task = loop.start(waiting(near.fileno(), seen, seconds=0.05, times=3))
    loop.run(0)
    assert [] == seen
    loop.wake(task)
    loop.run(5)
    assert [True] == seen
    far.send(b"x")
    loop.run(5)
    assert [True, True] == seen
    near.recv(1)
    begun = time.monotonic()
    loop.run(5)

    assert [True, True, False] == seen
    assert time.monotonic() - begun < 1
    assert {} == loop._waiting


def test_what_came_while_the_process_was_frozen_came_in_time(pair, monkeypatch):
    """Between looking who is ready and looking who is late, a machine may sleep for an hour."""
    near, far = pair
    loop, seen = Loop(), []
    loop.start(waiting(near.fileno(), seen))
    begun = time.monotonic()

    def clock():
        yield begun
        far.send(b"x")  # nobody was ready a moment ago
        yield begun + 3600

    monkeypatch.setattr("newsletter.mail.steps.time.monotonic", clock().__next__)
    loop.run(0)

    assert [True] == seen


def test_who_is_ready_again_and_again_is_late_all_the_same(pair):
    """A relay that trickles must not hold a connection for longer than the whole may take."""
    near, far = pair
    loop, seen = Loop(), []
    far.send(b"never read, so always ready")
    deadline = time.monotonic() + 0.05

    def steps():
        while (yield near.fileno(), READABLE, deadline):
            seen.append(True)

    loop.start(steps())
    while loop._waiting:
        loop.run(5)

    assert seen
    assert deadline <= time.monotonic() < deadline + 5


def test_steps_that_are_cancelled_clean_up_and_are_not_resumed(pair):
    near, far = pair
    ended = []

    def steps():
        try:
            yield near.fileno(), READABLE, time.monotonic() + 5
            ended.append("resumed")
        finally:
            ended.append("ended")

    loop = Loop()
    task = loop.start(steps())
    loop.wake(task)
    loop.cancel(task)
    far.send(b"x")
    loop.run(0)

    assert ["ended"] == ended


def test_an_error_of_steps_reaches_whoever_runs_the_loop(pair):
    near, _ = pair

    def steps():
        yield near.fileno(), READABLE, time.monotonic()
        raise KeyError

    loop = Loop()
    loop.start(steps())
    with pytest.raises(KeyError):
        loop.run(1)
    loop.run(0)


def test_steps_finished_alone_return_what_they_return(pair):
    near, far = pair
    far.send(b"x")

    def steps():
        return (yield near.fileno(), READABLE, time.monotonic() + 5), near.recv(1)

    assert (True, b"x") == finish(steps())
