"""Limits: how much may be sent at once and in a second, to a relay or to a receiving provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_NO_PROVIDERS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most *total* mails; of a provider in *by_provider* at most so many (0: none), of others up to *total*."""

    total: int
    by_provider: Mapping[str, int] = field(default_factory=lambda: _NO_PROVIDERS)
