"""Subscriber files: CSV as people's programs write it -> rows with line numbers; judges no address and no choice.

Columns, in any order, named in the first line in English, Russian or Kyrgyz: address (the only one needed), language,
cadence, topics, kinds, languages, status, and those of `GONE`. A cell with several values has them separated by spaces,
`|`, `;` or `,`. A file of one column needs no header. Fields are separated by comma, semicolon, tab or `|`; text is
UTF-8, with or without a byte order mark, UTF-16 with one, else taken as Windows-1251, which is reported.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from newsletter.errors import InvalidError

DELIMITERS = ",;\t|"
LARGEST_FILE = 100 * 1024 * 1024
"""Bytes; a million rows are about half of it, and the file is read as a whole."""

COLUMNS: Mapping[str, frozenset[str]] = {
    "address": frozenset(
        {"address", "email", "e mail", "mail", "email address", "e mail address", "адрес", "почта", "эл почта"}
        | {"электронная почта", "электронный адрес", "эл адрес", "дарек", "электрондук дарек", "электрондук почта"}
    ),
    "language": frozenset({"language", "lang", "locale", "язык", "тил", "тили"}),
    "cadence": frozenset({"cadence", "frequency", "how often", "частота", "периодичность", "жыштыгы"}),
    "topics": frozenset({"topics", "topic", "темы", "тема", "темалар"}),
    "kinds": frozenset({"kinds", "kind", "types", "type", "виды", "вид", "тип", "түрлөрү", "түрү"}),
    "languages": frozenset({"languages", "article languages", "языки", "языки материалов", "тилдер"}),
    "status": frozenset(
        {"status", "subscription status", "subscriber status", "member status", "email status"}
        | {"email marketing status", "accepts marketing", "accepts email marketing", "opt in", "optin", "opted in"}
        | {"subscribed", "active", "статус", "состояние", "подписан", "абалы", "жазылган"}
    ),
}

GONE = frozenset(
    {"unsubscribed", "unsubscribed at", "unsubscribed on", "unsubscribe date", "unsubscribe time", "unsub time"}
    | {"opt out", "optout", "opted out", "opt out date", "opt out time", "opted out at", "bounced", "bounced at"}
    | {"complained", "blocked", "blacklisted", "blocklisted", "deleted at", "clean time"}
    | {"отписан", "отписана", "отписался", "отписался лась", "дата отписки", "отписка", "жазылуудан чыккан"}
)
"""Columns that say of a person that they want no mail, where they say anything but `NOT_GONE`."""

NOT_GONE = frozenset({"", "0", "no", "n", "false", "never", "null", "none", "-", "нет", "жок"})


@dataclass(frozen=True, slots=True)
class SubscriberLine:
    """One row as it was written; *number* is the line of the file it begins on.

    *since*: when the person agreed, as the tool says that they come from; None: it is not known. *basis*: by what they
    agreed there, in words. *paused_until*: until when they want no mail. *status*: how they stand to the list, in
    the file's own word, or what it says of their leaving; empty: it says nothing of either.
    """

    number: int
    address: str
    language: str = ""
    cadence: str = ""
    topics: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    since: datetime | None = None
    basis: str = ""
    paused_until: datetime | None = None
    status: str = ""


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A row that cannot be read; *why* in words."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class SubscriberFile:
    """A file's text with what was found out about it; *ignored*: columns that mean nothing here.

    *gone*: those that say who wants no mail, by their places.
    """

    encoding: str
    delimiter: str
    ignored: tuple[str, ...]
    text: str
    columns: Mapping[str, int]
    has_header: bool
    gone: Mapping[int, str] = field(default_factory=dict)

    def lines(self) -> Iterator[SubscriberLine | BrokenLine]:
        """Return the rows in their order; blank ones are left out."""
        reader = csv.reader(io.StringIO(self.text, newline=""), delimiter=self.delimiter)
        is_header = self.has_header
        while True:
            number = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield BrokenLine(number, f"it cannot be read as CSV: {error}")
                continue
            if is_header or not any(cell.strip() for cell in cells):
                is_header = is_header and not any(cell.strip() for cell in cells)
                continue
            yield self._line(number, cells)

    def _line(self, number: int, cells: Sequence[str]) -> SubscriberLine | BrokenLine:
        if surplus := [cell for cell in cells[self._width :] if cell.strip()]:
            remedy = f"put quotes around a field that holds {self.delimiter!r}"
            return BrokenLine(number, f"it has {len(surplus)} more fields than the header; {remedy}")

        def cell(column: str) -> str:
            position = self.columns.get(column)
            return cells[position].strip() if position is not None and position < len(cells) else ""

        return SubscriberLine(
            number,
            cell("address"),
            language=cell("language").lower(),
            cadence=cell("cadence").lower(),
            topics=split_cell(cell("topics")),
            kinds=split_cell(cell("kinds")),
            languages=split_cell(cell("languages")),
            status=self._why_gone(cells) or cell("status").lower(),
        )

    def _why_gone(self, cells: Sequence[str]) -> str:
        told = ((name, cells[place].strip()) for place, name in self.gone.items() if place < len(cells))
        return next((f"{name}: {value}" for name, value in told if value.lower() not in NOT_GONE), "")

    @property
    def _width(self) -> int:
        return len(self.columns) + len(self.gone) + len(self.ignored)


def read_subscriber_file(content: bytes, *, name: str) -> SubscriberFile:
    """
    Find out how a file is written; *name* is what errors call it.

    Raises:
        InvalidError: it is empty, no text, too large, or has no column of addresses.
    """
    if len(content) > LARGEST_FILE:
        raise InvalidError(f"{name} has {len(content):,} bytes; split it into files of at most {LARGEST_FILE:,}")
    text, encoding = decode_file(content, name)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise InvalidError(f"{name} is empty; it needs a line for each subscriber")
    delimiter = max(DELIMITERS, key=first.count)
    header = [_tidy(cell) for cell in split_line(first, delimiter, name)]
    if len(header) == 1 and "@" in first:
        return SubscriberFile(encoding, delimiter, (), text, {"address": 0}, has_header=False)
    columns = _columns(header, name)
    gone = {place: cell for place, cell in enumerate(header) if cell in GONE}
    known = {*columns.values(), *gone}
    ignored = tuple(cell for place, cell in enumerate(header) if place not in known)
    return SubscriberFile(encoding, delimiter, ignored, text, columns, has_header=True, gone=gone)


def split_line(line: str, delimiter: str, name: str) -> list[str]:
    """Return the cells of a file's first line.

    Raises:
        InvalidError: it is no such line.
    """
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise InvalidError(f"{name} cannot be read as CSV: {error}; it needs a line for each subscriber") from error


def decode_file(content: bytes, name: str) -> tuple[str, str]:
    """Return the text of a file and its encoding.

    Raises:
        InvalidError: it is no text.
    """
    encodings = ["utf-8-sig", "cp1251"]
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text, "utf-8" if encoding == "utf-8-sig" else encoding
    raise InvalidError(f"{name} is no text file; export it as CSV in UTF-8")


def _columns(header: Sequence[str], name: str) -> dict[str, int]:
    columns: dict[str, int] = {}
    for column, names in COLUMNS.items():
        positions = [position for position, cell in enumerate(header) if cell in names]
        if len(positions) > 1:
            raise InvalidError(f"{name} has {len(positions)} columns for {column}; keep one")
        columns.update((column, position) for position in positions)
    if "address" not in columns:
        found = ", ".join(repr(cell) for cell in header if cell) or "none"
        raise InvalidError(f"{name} has no column of addresses; name one `address` in the first line (found: {found})")
    return columns


def _tidy(cell: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", cell.lower()).split())


def split_cell(cell: str) -> tuple[str, ...]:
    """Return the values of a cell that holds several, each once and in small letters."""
    return tuple(dict.fromkeys(value for value in re.split(r"[\s|;,]+", cell.lower()) if value))
