"""Rates: how often one network may ask for what is costly to answer; the rest of a minute's visitors must not wait."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from starlette.exceptions import HTTPException

MINUTE = 60.0
"""Seconds in which requests are counted, and after which whoever asked too often may ask again."""

MOST_ORDERS = 30
"""Feeds of combinations that are made for one network; those that are there are served without end."""
MOST_SEARCHES = 120
"""Searches: two in a second, of all in one office."""
MOST_PREVIEWS = 240
"""Previews of a digest: somebody who fills in the form asks for one with each box they tick."""


@dataclass(slots=True)
class Rate:
    """Counts what a process answers each network in a minute; *clock* counts seconds and only goes forward."""

    clock: Callable[[], float]
    _since: float = 0.0
    _counts: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def admit(self, network: str, most: int) -> bool:
        """Say whether one more may be answered for a network now, of which there are *most* in a minute; count it."""
        now = self.clock()
        with self._lock:
            if now - self._since >= MINUTE:
                self._since = now
                self._counts.clear()
            self._counts[network] += 1
            return self._counts[network] <= most

    def demand(self, network: str, most: int) -> None:
        """Answer in the place of a page where `admit` says no: 429, and when to ask again (RFC 6585)."""
        if not self.admit(network, most):
            raise HTTPException(429, headers={"retry-after": f"{MINUTE:.0f}"})
