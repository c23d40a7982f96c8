"""Feeds' readers, estimated from who polls: aggregators tell how many they poll for, others are counted as they come.

Nobody is told apart for longer than a day, and only in a sketch of 1,024 small numbers, which holds no address.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

REGISTERS = 1024
"""Of a sketch: an estimate is 3 % off, as likely as not less (Flajolet et al. 2007: 1.04 / sqrt(registers))."""
_INDEX_BITS = 10
_HASH_BITS = 64
_ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)
_FEW = 2.5 * REGISTERS

MOST_STATED = 10_000_000
"""Subscribers that an aggregator may state; more is somebody's joke."""

OTHERS = "other"
DIRECT = ""
"""Instead of an aggregator's name: programs and browsers that poll for one person."""

AGGREGATORS: Mapping[str, str] = {
    "feedly": "Feedly",
    "inoreader": "Inoreader",
    "newsblur": "NewsBlur",
    "feedbin": "Feedbin",
    "theoldreader": "The Old Reader",
    "bazqux": "BazQux",
    "bloglovin": "Bloglovin",
    "netvibes": "Netvibes",
    "g2reader": "G2Reader",
    "feedspot": "Feedspot",
    "feedhq": "FeedHQ",
    "commafeed": "CommaFeed",
    "miniflux": "Miniflux",
    "freshrss": "FreshRSS",
    "feeder.co": "Feeder",
}
"""By what their User-Agent contains; others that state a number are counted together."""

_STATED = re.compile(r"\b(\d{1,9}) (?:subscriber|reader)s?\b", re.IGNORECASE)
_MACHINE = re.compile(
    r"bot\b|crawl|spider|slurp|monitor|curl|wget|python|go-http|java/|okhttp|validator|preview", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Poller:
    """Who polls: an aggregator for *stated* people, or, where it is `DIRECT`, a program of one person's."""

    aggregator: str
    stated: int = 0


@lru_cache(maxsize=2048)
def poller_of(agent: str) -> Poller | None:
    """Return who polls, by their User-Agent; None: a machine that polls for nobody who reads."""
    name = next((known for part, known in AGGREGATORS.items() if part in agent.lower()), None)
    if told := _STATED.search(agent):
        return Poller(name or OTHERS, min(int(told[1]), MOST_STATED))
    if name is not None or not agent.strip() or _MACHINE.search(agent):
        return None
    return Poller(DIRECT)


class Sketch:
    """How many different ones were seen, without keeping any: HyperLogLog over 64-bit hashes."""

    __slots__ = ("_registers",)

    def __init__(self, registers: bytes = bytes(REGISTERS)) -> None:
        self._registers = bytearray(registers)

    def add(self, hashed: int) -> None:
        """Note one, by a hash of *hashed* < 2**64; noting it again changes nothing."""
        index = hashed >> (_HASH_BITS - _INDEX_BITS)
        rest = hashed & ((1 << (_HASH_BITS - _INDEX_BITS)) - 1)
        rank = _HASH_BITS - _INDEX_BITS - rest.bit_length() + 1
        self._registers[index] = max(self._registers[index], rank)

    def merge(self, other: "Sketch") -> None:
        """Note all that *other* has seen."""
        self._registers = bytearray(map(max, self._registers, bytes(other)))

    def __bytes__(self) -> bytes:
        """Return it as it is stored."""
        return bytes(self._registers)

    def estimate(self) -> int:
        """Return about how many different ones there were."""
        raw = _ALPHA * REGISTERS**2 / sum(2.0**-rank for rank in self._registers)
        unused = self._registers.count(0)
        if raw <= _FEW and unused:
            raw = REGISTERS * math.log(REGISTERS / unused)
        return round(raw)


@dataclass(slots=True)
class DayOfFeed:
    """What was seen of one feed's pollers in one day."""

    stated: dict[str, int] = field(default_factory=dict)
    direct: Sketch = field(default_factory=Sketch)

    def merge(self, other: "DayOfFeed") -> None:
        """Note all that *other* has seen: an aggregator polls for the most people that it stated."""
        for name, count in other.stated.items():
            self.stated[name] = max(count, self.stated.get(name, 0))
        self.direct.merge(other.direct)


@dataclass(frozen=True, slots=True)
class FeedReaders:
    """About how many read a feed: by aggregator, and directly."""

    feed: str
    aggregators: Mapping[str, int]
    direct: int

    @property
    def total(self) -> int:
        """All together."""
        return self.direct + sum(self.aggregators.values())


def readers_of(feed: str, days: Iterable[DayOfFeed]) -> FeedReaders:
    """Return a feed's readers by its last days: what aggregators stated last at most, and the busiest day's others.

    Days of direct readers are not added up, since most come every day.
    """
    stated: dict[str, int] = {}
    direct = 0
    for day in days:
        direct = max(direct, day.direct.estimate())
        for name, count in day.stated.items():
            stated[name] = max(count, stated.get(name, 0))
    return FeedReaders(feed, stated, direct)
