"""Exports of list managers -> rows with standing and dates: listmonk, Mailchimp, Mailman, and our own.

Each is known by how it is written: listmonk's CSV by its columns uuid, attributes and status; Mailchimp's by Email
Address beside OPTIN_TIME, LEID or MEMBER_RATING, one file each for subscribed, unsubscribed and cleaned addresses;
Mailman's roster by lines like `Aida <aida@example.org>`; our own by address beside standing and since. Names and other
columns are left behind: nothing uses them.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from newsletter.errors import InvalidError
from newsletter.ingest.subscriber_csv import LARGEST_FILE, SubscriberLine, decode_file, split_cell


class Tool(StrEnum):
    """Where an export is from."""

    LISTMONK = "listmonk"
    MAILCHIMP = "mailchimp"
    MAILMAN = "mailman"
    OURS = "newsletter"


class Standing(StrEnum):
    """How a person stood there."""

    ACTIVE = "active"
    WAITING = "waiting"  # never confirmed: they did not agree, and are not brought in
    LEFT = "left"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    BLOCKED = "blocked"  # never to be mailed


@dataclass(frozen=True, slots=True)
class ForeignLine:
    """One person; *since*: when they agreed, *ended_at*: when that ended; None: it does not say.

    *wish*: what they chose of the list; None: the tool knows no such choice.
    """

    number: int
    address: str
    standing: Standing
    since: datetime | None = None
    ended_at: datetime | None = None
    wish: SubscriberLine | None = None

    def as_line(self) -> SubscriberLine:
        """Return the person as a line of a plain file."""
        wish = self.wish or SubscriberLine(self.number, self.address)
        return replace(wish, since=self.since)


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """An export as it was read."""

    tool: Tool
    lines: tuple[ForeignLine, ...]


_LISTMONK = {"uuid", "email", "attributes", "status"}
_MAILCHIMP = {"leid", "euid", "optin_time", "member_rating"}
_OURS = {"address", "standing", "since"}
_ROSTER = re.compile(r"\s*(?:(?P<name>[^<>@]*)<)?\s*(?P<address>[^\s<>,;]+@[^\s<>,;]+)\s*>?\s*")
_LISTMONK_STANDING: Mapping[str, Standing] = {
    "enabled": Standing.ACTIVE,
    "confirmed": Standing.ACTIVE,
    "unconfirmed": Standing.WAITING,
    "disabled": Standing.LEFT,
    "unsubscribed": Standing.LEFT,
    "blocklisted": Standing.BLOCKED,
    "blacklisted": Standing.BLOCKED,
}


def read_foreign_file(content: bytes, *, name: str) -> ForeignFile | None:
    """Read an export of another tool; None: it is none of theirs.

    Raises:
        InvalidError: it is too large or no text, or a row has a status that the tool does not know.
    """
    if len(content) > LARGEST_FILE:
        raise InvalidError(f"{name} has {len(content):,} bytes; split it into files of at most {LARGEST_FILE:,}")
    text, _ = decode_file(content, name)
    first = next((line for line in text.splitlines() if line.strip()), "")
    header = [cell.strip().lower() for cell in next(csv.reader([first]), [])]
    if set(header) >= _OURS:
        return ForeignFile(Tool.OURS, tuple(_ours(text, name)))
    if set(header) >= _LISTMONK:
        return ForeignFile(Tool.LISTMONK, tuple(_listmonk(text, name)))
    if "email address" in header and set(header) & _MAILCHIMP:
        return ForeignFile(Tool.MAILCHIMP, tuple(_mailchimp(text)))
    if "<" in first and _ROSTER.fullmatch(first):
        return ForeignFile(Tool.MAILMAN, tuple(_mailman(text, name)))
    return None


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [cell.strip().lower() for cell in next(reader)]
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=False))


def _listmonk(text: str, name: str) -> Iterator[ForeignLine]:
    for number, row in _rows(text):
        status = row.get("status", "").lower()
        subscription = row.get("subscription_status", "").lower()
        standings = [_LISTMONK_STANDING.get(each) for each in (status, subscription) if each]
        if not standings or None in standings:
            raise InvalidError(f"{name}, line {number}: {status!r} is no status that listmonk has")
        standing = max((each for each in standings if each), key=list(Standing).index)
        ended_at = None if standing is Standing.ACTIVE else _moment(row.get("updated_at", ""))
        yield ForeignLine(number, row.get("email", ""), standing, _moment(row.get("created_at", "")), ended_at)


def _mailchimp(text: str) -> Iterator[ForeignLine]:
    for number, row in _rows(text):
        since = _moment(row.get("confirm_time", "")) or _moment(row.get("optin_time", ""))
        left, cleaned = row.get("unsub_time"), row.get("clean_time")
        standing = Standing.LEFT if left else Standing.BOUNCED if cleaned else Standing.ACTIVE
        ended_at = _moment(left or cleaned or "")
        yield ForeignLine(number, row.get("email address", ""), standing, since, ended_at)


def _ours(text: str, name: str) -> Iterator[ForeignLine]:
    """Read what `newsletter export` wrote, edited by hand or not."""
    for number, row in _rows(text):

        def cell(column: str, row: Mapping[str, str] = row) -> str:
            return row.get(column, "")

        try:
            standing = Standing(cell("standing").lower())
        except ValueError as error:
            known = ", ".join(Standing)
            raise InvalidError(f"{name}, line {number}: standing: {cell('standing')!r} is none of {known}") from error
        wish = SubscriberLine(
            number,
            cell("address"),
            language=cell("language").lower(),
            cadence=cell("cadence").lower(),
            topics=split_cell(cell("topics")),
            kinds=split_cell(cell("kinds")),
            languages=split_cell(cell("languages")),
            basis=cell("basis"),
            paused_until=_moment(cell("paused_until")),
        )
        yield ForeignLine(number, wish.address, standing, _moment(cell("since")), _moment(cell("ended_at")), wish)


def _mailman(text: str, name: str) -> Iterator[ForeignLine]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _ROSTER.fullmatch(line)
        if match is None:
            raise InvalidError(
                f"{name}, line {number}: not a member as Mailman lists them, such as Aida <aida@example.org>"
            )
        yield ForeignLine(number, match["address"], Standing.ACTIVE)


def _moment(text: str) -> datetime | None:
    """Return the moment that *text* means, in UTC unless it says otherwise; None: none that can be read."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
