"""The flag by which a worker's children learn that they should stop."""

import os
import signal
import time

from workers.stopping import StopFlag


def fork_and(do) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(do())
        finally:
            os._exit(99)
    return pid


def test_children_see_what_the_main_process_says():
    flag = StopFlag()

    def wait_for_it() -> int:
        ends_at = time.monotonic() + 5
        while not flag.is_set() and time.monotonic() < ends_at:
            time.sleep(0.001)
        return 0 if flag.is_set() else 1

    children = [fork_and(wait_for_it) for _ in range(3)]
    assert not flag.is_set()
    flag.set()

    assert [0, 0, 0] == [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]


def test_a_child_killed_while_it_looks_leaves_the_others_free_to_look():
    flag = StopFlag()

    def look_for_ever() -> int:
        while True:
            flag.is_set()

    for _ in range(20):
        pid = fork_and(look_for_ever)
        time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    assert ends_in_time(fork_and(flag.is_set))


def ends_in_time(pid: int) -> bool:
    """Say whether a child ends by itself within five seconds; it has ended in any case."""
    ends_at = time.monotonic() + 5
    while time.monotonic() < ends_at:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False
