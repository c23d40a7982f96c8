"""How often a process answers a doorbell that rings for everybody, by a clock that knows no time of day."""

import time
from collections.abc import Callable


class Pace:
    """Lets something happen once in *seconds* at most; made per process, the first time is let through."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._next = -1.0

    def allows(self) -> bool:
        """Say whether it may happen now; a yes counts as done."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
