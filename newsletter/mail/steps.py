"""Steps that wait without blocking: generators that say what they wait for, and one loop that resumes whoever is ready.

A conversation reads as straight lines; `yield` stands where it waits. Many of them share one thread.
"""

import math
import select
import time
from collections.abc import Generator
from typing import TypeVar

LONGEST_ROUND_SECONDS = 60.0
READABLE = select.POLLIN
WRITABLE = select.POLLOUT

Wait = tuple[int, int, float]
"""What steps wait for: a descriptor, `READABLE` and `WRITABLE` or both of it, and the monotonic time it may take.

They are resumed with True when it is ready, broken, or somebody woke them, and with False when that time has come: so
whoever was resumed tries, and may have to wait again.
"""

T = TypeVar("T")
Steps = Generator[Wait, bool, T]


class Task:
    """Steps on their way, and what they wait for; only their `Loop` changes it."""

    __slots__ = ("deadline", "descriptor", "events", "steps")

    def __init__(self, steps: Steps[None]) -> None:
        self.steps = steps
        self.descriptor = -1
        self.events = 0
        self.deadline = math.inf


class Loop:
    """Resumes steps when what they wait for is there; `poll` is as fast as epoll for so few, and known everywhere."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._waiting: dict[int, Task] = {}
        self._woken: set[Task] = set()
        self._earliest = math.inf  # no deadline is before it

    def start(self, steps: Steps[None]) -> Task:
        """Take *steps* as far as they come without waiting; the loop resumes them."""
        task = Task(steps)
        self._resume(task, is_ready=None)
        return task

    def wake(self, task: Task) -> None:
        """Resume *task* in the next round, whatever it waits for."""
        self._woken.add(task)

    def cancel(self, task: Task) -> None:
        """End *task* where it waits; its steps clean up behind themselves."""
        self._forget(task)
        task.steps.close()

    def run(self, seconds: float) -> None:
        """Wait up to *seconds* for anybody to be ready or late, and resume all who are."""
        wait = 0.0 if self._woken else max(0.0, min(seconds, self._earliest - time.monotonic()))
        found = self._poll.poll(math.ceil(wait * 1000))
        for descriptor, _ in found:
            if task := self._waiting.get(descriptor):
                self._resume(task, is_ready=True)
        woken, self._woken = self._woken, set()
        for task in woken:
            if self._waiting.get(task.descriptor) is task:
                self._resume(task, is_ready=True)
        if (now := time.monotonic()) >= self._earliest:
            late = [task for task in self._waiting.values() if task.deadline <= now]
            # Who was not ready a moment ago and is now came in time, if it was we who were frozen in between.
            ready = {descriptor for descriptor, _ in self._poll.poll(0)} - {descriptor for descriptor, _ in found}
            for task in late:
                self._resume(task, is_ready=task.descriptor in ready)
            self._earliest = min((task.deadline for task in self._waiting.values()), default=math.inf)

    def _resume(self, task: Task, *, is_ready: bool | None) -> None:
        try:
            descriptor, events, deadline = task.steps.send(is_ready)  # type: ignore[arg-type]  # None begins them
        except StopIteration:
            self._forget(task)
            return
        except BaseException:
            self._forget(task)
            raise
        if descriptor != task.descriptor:
            self._forget(task)
            task.descriptor, task.events = descriptor, 0
            self._waiting[descriptor] = task
        if events != task.events:
            self._poll.register(descriptor, events)
            task.events = events
        task.deadline = deadline
        self._earliest = min(self._earliest, deadline)

    def _forget(self, task: Task) -> None:
        self._woken.discard(task)
        if self._waiting.get(task.descriptor) is task:
            del self._waiting[task.descriptor]
            self._poll.unregister(task.descriptor)
        task.descriptor = -1


def finish(steps: Steps[T]) -> T:
    """Run *steps* alone to their end, blocking, and return what they return."""
    ended: list[T] = []

    def keep() -> Steps[None]:
        ended.append((yield from steps))

    loop = Loop()
    loop.start(keep())
    while not ended:
        loop.run(LONGEST_ROUND_SECONDS)
    return ended[0]
