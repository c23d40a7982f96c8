"""Whole messages as bytes: an edition's variant is encoded once, and each reader's mail is spliced from it.

The same values always give the same bytes, so a resend is the same message, its signatures included where a signer is
given. Nothing here renders.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from html import escape

from newsletter.domain.variants import Hole, Segment
from newsletter.errors import InvalidError
from newsletter.mail.dkim import PreparedSignature, Signer
from newsletter.mail.headers import (
    DigestHeaders,
    NoticeHeaders,
    Reader,
    Recipient,
    digest_fields,
    notice_fields,
    reader_fields,
    recipient_fields,
)
from newsletter.mail.pieces import EncodedPart, FixedSegment, encode_part, fixed_segment

_UNFIT_FOR_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_UNFIT_FOR_HOLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_WEB_ADDRESS = re.compile(r"https?://[!#-;=?-~]+")
_STUFFED = (" ", ">", "From ")
"""Line beginnings that format=flowed puts a space before; RFC 3676 §4.4."""
_AT_LINE_START = "^"
"""Stands before the name of a hole of the text part whose value begins a line, and is stuffed like one."""
_SEGMENTS_KEPT = 4096
"""Encoded segments that a process remembers; an edition has a few hundred blocks of some 6 KB each."""


def prepare(
    headers: DigestHeaders,
    *,
    text: Sequence[Segment],
    html: Sequence[Segment],
    nonce: str,
    signer: Signer | None = None,
) -> "PreparedMessage":
    """Encode one variant of an edition; its holes stay open and are filled for each reader.

    *text* is plain text, where a line that ends in a space flows on into the next (RFC 3676); *html* is one
    document. Segments that are equal in many variants, such as an edition's cut blocks, are encoded once.
    *nonce* makes the boundary: the edition's will do. Control characters become spaces. *signer* signs each mail.

    Raises:
        InvalidError: a header's value is not fit for it, or a part is empty; says which.
    """
    fields, body = _digest_fields_once(headers), _prepare_body(text, html, nonce, _encode_once)
    signature = signer.prepare(headers.from_address, fields + body.fields, body.start) if signer else None
    return PreparedMessage(headers, fields, body, signature)


def build_notice(
    headers: NoticeHeaders, recipient: Recipient, *, text: str, html: str, signer: Signer | None = None
) -> list[bytes]:
    """Return a transactional mail to one person, such as a confirmation, as pieces.

    Raises:
        InvalidError: as `prepare`.
    """
    body = _prepare_body([text], [html], recipient.token, _encode)
    fields = notice_fields(headers) + recipient_fields(recipient, headers.mail_domain) + body.fields
    pieces = body.fill({})
    if signer:
        fields = signer.prepare(headers.from_address, fields).sign(b"", pieces, recipient.sent_at) + fields
    return [fields + b"\r\n", *pieces]


_digest_fields_once = lru_cache(maxsize=256)(digest_fields)
"""As `digest_fields`: many variants differ in their bodies only."""


@dataclass(frozen=True, slots=True)
class PreparedMessage:
    """A variant, ready for each of its readers."""

    headers: DigestHeaders
    _fields: bytes
    _body: "_PreparedBody"
    _signature: PreparedSignature | None

    @property
    def holes(self) -> frozenset[str]:
        """The names of the values that `fill` wants."""
        return self._body.holes

    @property
    def size(self) -> int:
        """Octets of its parts, roughly, without what fills the holes; about so much memory it takes."""
        return self._body.text.size + self._body.html.size

    def fill(self, reader: Reader, values: Mapping[str, str]) -> list[bytes]:
        """Return one reader's mail as pieces: joined they are the message, CRLF throughout, without the final dot.

        *values* are one line of plain text each and are escaped here for the part they go into; control characters
        become spaces. The value of a hole named *_url must be an address of the web.

        Raises:
            InvalidError: a value is missing or not fit for its place; names it.
        """
        own, body = reader_fields(reader, self.headers), self._body.fill(values)
        fields = self._fields + own + self._body.fields
        if self._signature:
            fields = self._signature.sign(own, body[len(self._body.start) :], reader.sent_at) + fields
        return [fields + b"\r\n", *body]


@dataclass(frozen=True, slots=True)
class _PreparedBody:
    """Two alternatives, the poorer first (RFC 2046 §5.1.4), between their delimiters."""

    fields: bytes  # of the message's header
    start: list[bytes]  # the pieces that come before the first hole
    opening: bytes
    text: EncodedPart
    middle: bytes
    html: EncodedPart
    closing: bytes
    holes: frozenset[str]

    def fill(self, values: Mapping[str, str]) -> list[bytes]:
        """Return the body's pieces with *values* in its holes."""
        in_text: dict[str, bytes] = {}
        in_html: dict[str, bytes] = {}
        if missing := self.holes - values.keys():
            raise InvalidError(f"the mail has holes without a value: {', '.join(sorted(missing))}")
        for name in self.holes:
            value = _hole_value(name, values[name])
            in_text[name] = in_text[_AT_LINE_START + name] = in_html[name] = value.encode()
            if value.startswith(_STUFFED):
                in_text[_AT_LINE_START + name] = _stuffed(value).encode()
            if (escaped := escape(value)) is not value:
                in_html[name] = escaped.encode()
        return [self.opening, *self.text.fill(in_text), self.middle, *self.html.fill(in_html), self.closing]


_Encode = Callable[[str, "_LineStart"], FixedSegment]


class _LineStart(Enum):
    """What is done to a segment's lines before they are encoded."""

    KEPT = auto()  # not flowed text
    STUFFED = auto()
    STUFFED_AFTER_THE_FIRST = auto()  # the first one goes on where another segment ended


def _prepare_body(text: Sequence[Segment], html: Sequence[Segment], nonce: str, encode: _Encode) -> _PreparedBody:
    boundary = _boundary(nonce)
    text_part = encode_part(list(_flowed(_some("text", text), encode)))
    html_part = encode_part(
        [each if isinstance(each, Hole) else encode(each, _LineStart.KEPT) for each in _some("html", html)]
    )
    opening = _delimiter(boundary, "text/plain; charset=utf-8; format=flowed; delsp=no", text_part)
    return _PreparedBody(
        fields=f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n'.encode(),
        start=[opening, *text_part.start],
        opening=opening,
        text=text_part,
        middle=b"\r\n" + _delimiter(boundary, "text/html; charset=utf-8", html_part),
        html=html_part,
        closing=f"\r\n--{boundary}--\r\n".encode(),
        holes=frozenset(segment.name for segment in (*text, *html) if isinstance(segment, Hole)),
    )


def _boundary(nonce: str) -> str:
    """Return a boundary that no part can contain: in neither encoding does an underscore follow an equals sign.

    The nonce itself stays ours, since whoever knew it could forge a hole's mark.
    """
    return f"=_{hashlib.sha256(nonce.encode()).hexdigest()[:32]}"


def _delimiter(boundary: str, content_type: str, part: EncodedPart) -> bytes:
    return (
        f"--{boundary}\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: {part.encoding}\r\n\r\n"
    ).encode()


def _some(part: str, segments: Sequence[Segment]) -> list[Segment]:
    """Return *segments* without empty ones.

    Raises:
        InvalidError: none is left.
    """
    if some := [segment for segment in segments if segment]:
        return some
    raise InvalidError(f"the {part} part is empty; a mail has both")


def _flowed(segments: Sequence[Segment], encode: _Encode) -> Iterator[FixedSegment | Hole]:
    """Yield *segments* encoded as format=flowed wants them, the holes that begin a line marked."""
    at_line_start = True
    for segment in segments:
        if isinstance(segment, Hole):
            yield Hole(_AT_LINE_START + segment.name) if at_line_start else segment
            at_line_start = False
        else:
            yield encode(segment, _LineStart.STUFFED if at_line_start else _LineStart.STUFFED_AFTER_THE_FIRST)
            at_line_start = segment.endswith("\n")


def _encode(segment: str, line_start: _LineStart) -> FixedSegment:
    """Encode *segment* with LF line ends, and spaces for control characters."""
    text = _UNFIT_FOR_TEXT.sub(" ", segment.replace("\r\n", "\n"))
    if line_start is _LineStart.KEPT:
        return fixed_segment(text)
    first, *rest = text.split("\n")
    begun = _stuffed(first) if line_start is _LineStart.STUFFED else first
    return fixed_segment("\n".join([begun, *map(_stuffed, rest)]))


_encode_once = lru_cache(maxsize=_SEGMENTS_KEPT)(_encode)
"""As `_encode`, for text that many mails have in common: it is kept."""


def _stuffed(line: str) -> str:
    return " " + line if line.startswith(_STUFFED) else line


def _hole_value(name: str, value: str) -> str:
    """Return *value* as one line of text; for a hole that wants an address, only if it is one.

    Raises:
        InvalidError: it is no address.
    """
    if not name.endswith("_url"):
        return _UNFIT_FOR_HOLE.sub(" ", value)
    if not _WEB_ADDRESS.fullmatch(value):
        raise InvalidError(f"{name}: {value!r} is no http or https address")
    return value
