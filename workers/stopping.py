"""A flag that a worker's main process sets and its children see, whichever of them are killed meanwhile."""

import mmap


class StopFlag:
    """One byte that processes share across a fork; make it before.

    `multiprocessing.Event` will not do: it takes a lock to be read, and a child killed at that moment keeps it, so
    that every other child waits for ever.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def set(self) -> None:
        """Ask to stop; a signal handler may do so."""
        self._byte[0] = 1

    def is_set(self) -> bool:
        """Say whether somebody asked to stop."""
        return self._byte[0] == 1
