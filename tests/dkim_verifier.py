"""A receiver with a DNS of its own: reads DKIM signatures with dkimpy, which shares no code with ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from unittest.mock import patch

import dkim


@dataclass(frozen=True, slots=True)
class Receiver:
    """*records*: TXT values by their names in the DNS, without the last dot."""

    records: Mapping[str, str]

    def verdicts(self, message: bytes, *, at: datetime) -> list[bool]:
        """Say of each signature in *message*, top down, whether it is good at that time; an empty list: unsigned."""
        count = len(signatures(message))
        with patch.object(dkim, "time", SimpleNamespace(time=at.timestamp)):
            return [self._is_good(message, index) for index in range(count)]

    def _is_good(self, message: bytes, index: int) -> bool:
        try:
            return bool(dkim.DKIM(message).verify(idx=index, dnsfunc=self._txt))
        except dkim.DKIMException:
            return False

    def _txt(self, name: bytes, timeout: int = 5) -> bytes | None:
        del timeout
        record = self.records.get(name.decode().rstrip("."))
        return record.encode() if record else None


def signatures(message: bytes) -> list[dict[str, str]]:
    """Return the tags of each DKIM-Signature in *message*, white space taken out."""
    header = message.partition(b"\r\n\r\n")[0].decode()
    values = re.findall(r"^DKIM-Signature:((?:.*\r?\n?[ \t])*.*)$", header, flags=re.MULTILINE | re.IGNORECASE)
    return [
        dict(tag.split("=", 1) for tag in re.sub(r"\s", "", value).split(";") if tag)  # values hold = too
        for value in values
    ]
