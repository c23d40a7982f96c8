"""Exports of list managers -> rows with standing and dates: listmonk, Mailchimp, Mailman, and our own.

Each is known by how it is written: listmonk's CSV by its columns uuid, attributes and status; Mailchimp's by
OPTIN_TIME, LEID or MEMBER_RATING, one file each for subscribed, unsubscribed, cleaned and non-subscribed addresses,
alone or in the ZIP that it gives; Mailman's roster by lines like `Aida <aida@example.org>`; our own by address beside
standing and since. Names and other columns are left behind: nothing uses them.
"""

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain, repeat

from newsletter.errors import InvalidError
from newsletter.ingest.subscriber_csv import (
    DELIMITERS,
    LARGEST_FILE,
    BrokenLine,
    SubscriberLine,
    decode_file,
    read_subscriber_file,
    split_cell,
    split_line,
)


class Tool(StrEnum):
    """Where an export is from."""

    LISTMONK = "listmonk"
    MAILCHIMP = "mailchimp"
    MAILMAN = "mailman"
    OURS = "newsletter"
    NONE = "addresses"
    """Any file of addresses, of which somebody says how they stood."""


class Standing(StrEnum):
    """How a person stood there; of two that are said of one, the later here counts."""

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
_NEVER_AGREED = re.compile(r"non.?subscribed", re.IGNORECASE)
"""Mailchimp's file of people who bought or wrote something, and agreed to nothing; only its name tells."""

_OURS = {"address", "standing", "since"}
_ROSTER = re.compile(r"\s*(?:(?P<name>[^<>@]*)<)?\s*(?P<address>[^\s<>,;]+@[^\s<>,;]+)\s*>?\s*")
_NAMED = re.compile(r"\s*[^<>@]*<\s*[^\s<>,;]+@[^\s<>,;]+\s*>\s*")
_ADDRESSES = {"email", "e-mail", "address", "email address", "e-mail address"}
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
    if zipfile.is_zipfile(io.BytesIO(content)):
        return _read_archive(content, name)
    return _read_export(content, name)


def _read_export(content: bytes, name: str) -> ForeignFile | None:
    if len(content) > LARGEST_FILE:
        raise InvalidError(f"{name} has {len(content):,} bytes; split it into files of at most {LARGEST_FILE:,}")
    text, _ = decode_file(content, name)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)  # a spreadsheet saves what was commas with semicolons
    header = [cell.strip().lower() for cell in split_line(first, delimiter, name)]
    rows = _rows(text, delimiter, name)
    if set(header) >= _OURS:
        return ForeignFile(Tool.OURS, tuple(_ours(rows, name)))
    if set(header) >= _LISTMONK:
        return ForeignFile(Tool.LISTMONK, tuple(_listmonk(rows, name)))
    if len(set(header) & _MAILCHIMP) > 1:
        return ForeignFile(Tool.MAILCHIMP, tuple(_mailchimp(rows, header, name)))
    if any(_NAMED.fullmatch(line) for line in text.splitlines()) and not set(header) & _ADDRESSES:
        return ForeignFile(Tool.MAILMAN, tuple(_mailman(text, name)))
    return None


def read_as(content: bytes, *, name: str, standing: Standing) -> ForeignFile:
    """Read a file, of any tool or a plain one, whose people are all said to stand so, or worse if the file says it.

    Some exports do not tell who left: listmonk's names a person's state, and not that of their subscription.

    Raises:
        InvalidError: as `read_foreign_file` and `read_subscriber_file`, or a row of a plain file cannot be read.
    """
    found = read_foreign_file(content, name=name) or ForeignFile(Tool.NONE, tuple(_plain(content, name)))
    worse = list(Standing).index
    lines = (replace(line, standing=max(line.standing, standing, key=worse)) for line in found.lines)
    return ForeignFile(found.tool, tuple(lines))


def _plain(content: bytes, name: str) -> Iterator[ForeignLine]:
    for line in read_subscriber_file(content, name=name).lines():
        if isinstance(line, BrokenLine):
            raise InvalidError(f"{name}, line {line.number}: {line.why}")
        yield ForeignLine(line.number, line.address, Standing.ACTIVE)


def _unpack(archive: zipfile.ZipFile, name: str) -> dict[str, bytes]:
    """Return the files of a ZIP, of at most `LARGEST_FILE` in all, whatever it says of their sizes."""
    unpacked: dict[str, bytes] = {}
    left = LARGEST_FILE
    for member in archive.infolist():
        if not member.filename.lower().endswith(".csv") or member.filename.startswith(_NOT_ITS_FILES):
            continue
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # else a read is not bounded
            raise NotImplementedError(f"{member.filename} is packed in a way that exports are not")
        with archive.open(member) as file:
            unpacked[member.filename] = file.read(left + 1)
        left -= len(unpacked[member.filename])
        if left < 0:
            raise InvalidError(f"{name} holds more than {LARGEST_FILE:,} bytes; import its files one by one")
    return unpacked


_NOT_ITS_FILES = "__MACOSX/"
"""The folder in which a Mac that packs a ZIP keeps what only Macs know of its files, under the files' names."""


def _read_archive(content: bytes, name: str) -> ForeignFile:
    """Read the exports in a ZIP as one; of one tool, or nobody knows what belongs together."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = {member: _read_export(text, f"{name}: {member}") for member, text in _unpack(archive, name).items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        # broken in one of three ways; with a password; packed oddly
        raise InvalidError(f"{name} cannot be unpacked: {error}; import its files one by one") from error
    files = [each for each in found.values() if each is not None]
    unknown = [member for member, each in found.items() if each is None]
    if unknown or len({each.tool for each in files}) != 1:
        told = f"; there is no knowing what {unknown[0]} is" if unknown else ""
        raise InvalidError(f"{name} is no export of one tool{told}; import its files one by one")
    return ForeignFile(files[0].tool, tuple(line for each in files for line in each.lines))


def _rows(text: str, delimiter: str, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Read the rows by the names of their columns; of a row that breaks off the rest is empty, as spreadsheets do."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [cell.strip().lower() for cell in next(reader)]
        for cells in reader:
            if any(cell.strip() for cell in cells):
                written = chain((cell.strip() for cell in cells), repeat(""))
                yield reader.line_num, dict(zip(header, written, strict=False))
    except csv.Error as error:
        raise InvalidError(f"{name}, line {reader.line_num}: it cannot be read as CSV: {error}") from error


Rows = Iterator[tuple[int, dict[str, str]]]


def _listmonk(rows: Rows, name: str) -> Iterator[ForeignLine]:
    for number, row in rows:
        status = row.get("status", "").lower()
        subscription = row.get("subscription_status", "").lower()
        standings = [_LISTMONK_STANDING.get(each) for each in (status, subscription) if each]
        if not standings or None in standings:
            raise InvalidError(f"{name}, line {number}: {status!r} is no status that listmonk has")
        standing = max((each for each in standings if each), key=list(Standing).index)
        ended_at = None if standing is Standing.ACTIVE else _moment(row.get("updated_at", ""))
        yield ForeignLine(number, row.get("email", ""), standing, _moment(row.get("created_at", "")), ended_at)


def _mailchimp(rows: Rows, header: list[str], name: str) -> Iterator[ForeignLine]:
    """Read one of Mailchimp's files: a column UNSUB_TIME or CLEAN_TIME makes all of them people who left, or bounced.

    The column of addresses is the first, whatever its name: it can be changed there.
    """
    address = "email address" if "email address" in header else header[0]
    for number, row in rows:
        since = _moment(row.get("confirm_time", "")) or _moment(row.get("optin_time", ""))
        left, cleaned = row.get("unsub_time"), row.get("clean_time")  # None: no such column
        if left is not None and cleaned is not None:  # joined by hand: the one that is filled in counts
            left, cleaned = left or None, cleaned or None
        standing = Standing.LEFT if left is not None else Standing.BOUNCED if cleaned is not None else Standing.ACTIVE
        if _NEVER_AGREED.search(name):
            standing = Standing.WAITING
        yield ForeignLine(number, row.get(address, ""), standing, since, _moment(left or cleaned or ""))


def _ours(rows: Rows, name: str) -> Iterator[ForeignLine]:
    """Read what `newsletter export` wrote, edited by hand or not."""
    for number, row in rows:

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


_GO_TIME = re.compile(r"(?P<time>\S+ [\d:]+)(?P<fraction>\.\d+)? (?P<zone>[+-]\d{4})(?: \S+)*")
"""As listmonk writes times: 2024-05-06 07:08:09.123456 +0000 UTC."""


def _moment(text: str) -> datetime | None:
    """Return the moment that *text* means, in UTC unless it says otherwise; None: none that can be read."""
    if match := _GO_TIME.fullmatch(text.strip()):
        text = f"{match['time']}{(match['fraction'] or '')[:7]}{match['zone']}"
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter: the year 1 in the east, which some write for "never"
        return None
