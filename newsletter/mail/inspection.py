"""A second look at finished messages with the standard library's parser, for tests and for whoever doubts one."""

import re
from collections.abc import Iterator, Sequence
from email import policy
from email.errors import NonASCIILocalPartDefect
from email.headerregistry import BaseHeader, HeaderRegistry
from email.message import EmailMessage
from email.parser import Parser
from functools import lru_cache

from newsletter.mail.headers import FOLD_AT, LONGEST_LINE

ONCE = ("From", "To", "Date", "Subject", "Message-ID", "MIME-Version", "Content-Type")
MACHINE_READ = re.compile(
    r"List-(?!Id)[A-Za-z-]+|Feedback-ID|Message-ID|Date|Precedence|Auto-Submitted|X-Auto-Response-Suppress|CFBL-[A-Za-z-]+"
)

LENIENT = policy.default.clone(header_factory=lru_cache(maxsize=256)(HeaderRegistry()))
"""The parser's usual rules; a header that is asked for again is not taken apart again, which is most of its work."""

_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_FOLDABLE = re.compile(rb"(?:[^\s:]+:)? \S+ ")


def problems(message: bytes, *, may_be_utf8: bool = False) -> list[str]:
    """Say what is wrong with *message* as it would go out, without its final dot; an empty list: nothing.

    *may_be_utf8*: its header may hold UTF-8, because its recipient's address does (RFC 6532).
    """
    parsed = Parser(policy=LENIENT).parsestr(message.decode("utf-8", "surrogateescape"))
    assert isinstance(parsed, EmailMessage)  # the default policy makes these
    return [
        *_bytes_problems(message, may_be_utf8=may_be_utf8),
        *_header_problems(message, parsed, may_be_utf8=may_be_utf8),
        *_part_problems(parsed),
    ]


def _bytes_problems(message: bytes, *, may_be_utf8: bool) -> Iterator[str]:
    header, _, body = message.partition(b"\r\n\r\n")
    if _BARE_LINE_END.search(message):
        yield "a bare CR or LF"
    if not message.endswith(b"\r\n") or message.endswith(b"\r\n\r\n"):
        yield "it does not end with exactly one line end"
    if b"\0" in message:
        yield "a NUL"
    if not body.isascii() or not (may_be_utf8 or header.isascii()):
        yield "it is not 7-bit"
    yield from _line_problems(message.split(b"\r\n"), header.split(b"\r\n"))


def _line_problems(lines: Sequence[bytes], header_lines: Sequence[bytes]) -> Iterator[str]:
    if any(line.startswith(b".") for line in lines):
        yield "a line begins with a dot"
    if any(line.startswith(b"From ") for line in lines):
        yield "a line begins with From and a space"
    if (longest := max(map(len, lines))) > LONGEST_LINE:
        yield f"a line of {longest} octets"
    for line in header_lines:
        if not line.strip():
            yield "a header line of blanks alone"
        if len(line) > FOLD_AT and _FOLDABLE.match(line):
            yield f"a header line could be folded: {line!r}"


def _header_problems(message: bytes, parsed: EmailMessage, *, may_be_utf8: bool) -> Iterator[str]:
    names = [name for name, _ in parsed.raw_items()]
    for name in ONCE:
        if (count := names.count(name)) != 1:
            yield f"{count} {name} headers"
    for name in names:
        if defects := _defects(parsed, name, may_be_utf8=may_be_utf8):
            yield f"{name}: {defects}"
    for line in message.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ").decode().split("\r\n"):
        field, _, raw = line.partition(": ")
        if "=?" in raw and MACHINE_READ.fullmatch(field):
            yield f"{field} holds an encoded word"
        if not raw.strip():
            yield f"an empty header: {line!r}"
    if "List-Unsubscribe" in names and str(parsed["List-Unsubscribe"]).count("<http") != 1:
        yield "List-Unsubscribe has not exactly one web address"
    if ("List-Unsubscribe" in names) != ("List-Unsubscribe-Post" in names):
        yield "List-Unsubscribe and List-Unsubscribe-Post belong together"


def _defects(parsed: EmailMessage, name: str, *, may_be_utf8: bool) -> list[object]:
    """Return what the parser complains of in the header *name*."""
    try:
        header = parsed[name]
    except (IndexError, ValueError) as error:  # CPython 3.11 trips over some malformed addresses
        return [error]
    defects = header.defects if isinstance(header, BaseHeader) else ()
    return [each for each in defects if not (may_be_utf8 and isinstance(each, NonASCIILocalPartDefect))]


def _part_problems(parsed: EmailMessage) -> Iterator[str]:
    for each in parsed.walk():
        if each.defects:
            yield f"{each.get_content_type()}: {each.defects}"
    types = [part.get_content_type() for part in parsed.walk()]
    if types != ["multipart/alternative", "text/plain", "text/html"]:
        yield f"its parts are {types}"
        return
    for part in parsed.iter_parts():
        if not str(part.get_content()).strip():
            yield f"{part.get_content_type()} is empty"
