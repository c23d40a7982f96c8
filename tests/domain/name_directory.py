"""A DNS in memory, for what decides by it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Names:
    """Records by name; *asked* is what was looked up, in order."""

    texts_at: Mapping[str, Sequence[str]] = field(default_factory=dict)
    addresses_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exchanges_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def texts(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        return self.texts_at.get(name, [])

    def addresses(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        return self.addresses_of.get(name, [])

    def exchanges(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        return self.exchanges_of.get(name, [])
