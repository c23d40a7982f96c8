"""Encoded stretches of a MIME part that join in any order, so that a body is spliced and never encoded as a whole.

A part is fixed segments with holes between them. Fixed segments are encoded once and may be shared by all variants;
only the holes are encoded for each reader. Two encodings do it: quoted-printable, where a piece ends in a
soft line break, and base64, where a piece passes on what does not fill a group of three bytes.
"""

import re
from binascii import a2b_base64, b2a_base64, b2a_qp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

from newsletter.domain.variants import Hole

GROUP = 3
"""Bytes that base64 encodes together."""
BASE64_LINE = 76
"""Characters of a full line; RFC 2045 §6.8."""
BASE64_LINE_BYTES = BASE64_LINE // 4 * GROUP

_CHANGED_ON_THE_WAY = re.compile(rb"(?m)^(?:\.|F(?=rom ))")


def piece(raw: bytes) -> bytes:
    """Encode *raw*, with LF line ends, as quoted-printable that begins and ends at a line start.

    So pieces join in any order and decode to their sources joined. No line begins with a dot, hence nothing needs
    stuffing and the bytes on the wire are the bytes signed; nor with "From ", which mailboxes change.
    Lines have at most 76 characters, or 78 where a full one ends in a blank.
    """
    if raw.endswith(b"\n"):
        coded = b2a_qp(raw).replace(b"\n", b"\r\n")
    else:
        coded = b2a_qp(raw + b"x")[:-1].replace(b"\n", b"\r\n") + b"=\r\n"  # x keeps room for the soft break
    if not coded.startswith((b".", b"From ")) and b"\n." not in coded and b"\nFrom " not in coded:
        return coded  # as a rule; the expression below says the same, and takes longer to
    while _CHANGED_ON_THE_WAY.search(coded):
        coded = _CHANGED_ON_THE_WAY.sub(lambda found: b"=%02X=\r\n" % found[0][0], coded)
    return coded


_hole_piece = lru_cache(maxsize=256)(piece)
"""As `piece`: a reader's links stand in both parts of the mail, and the reason is that of many readers."""


def base64_piece(raw: bytes) -> bytes:
    """Encode *raw* as lines of base64; it too begins and ends at a line start, and is padded unless in whole groups."""
    coded = b2a_base64(raw, newline=False)
    if not coded:
        return b""
    lines = [coded[start : start + BASE64_LINE] for start in range(0, len(coded), BASE64_LINE)]
    return b"\r\n".join(lines) + b"\r\n"


@dataclass(slots=True)
class FixedSegment:
    """A stretch of text, encoded at most once in each way.

    *raw* has CRLF line ends, which base64 must encode as such (RFC 2045 §6.8).
    """

    raw: bytes
    quoted: bytes
    _grouped: dict[int, bytes] = field(default_factory=dict)

    def grouped(self, skip: int) -> bytes:
        """Return the whole groups after the first *skip* bytes as base64; what is left over is the next piece's."""
        if skip not in self._grouped:
            self._grouped[skip] = base64_piece(self.raw[skip : self.end_of_groups(skip)])
        return self._grouped[skip]

    def end_of_groups(self, skip: int) -> int:
        """Return where the last whole group ends."""
        return len(self.raw) - (len(self.raw) - skip) % GROUP


def fixed_segment(text: str) -> FixedSegment:
    """Return *text*, with LF line ends, encoded."""
    raw = text.encode()
    return FixedSegment(raw.replace(b"\n", b"\r\n"), piece(raw))


class QuotedPrintablePart:
    """A part for mostly Latin text: each segment is a piece by itself; *size*: octets without what fills the holes."""

    encoding: ClassVar = "quoted-printable"

    def __init__(self, segments: Sequence[FixedSegment | Hole], size: int) -> None:
        self.size = size
        lead, rest = _apart(segments)
        self.start = _one_piece([segment.quoted for segment in lead])
        self._rest = [(name, b"".join(segment.quoted for segment in stretch)) for name, stretch in rest]
        self._names = frozenset(name for name, _ in rest)

    def fill(self, values: Mapping[str, bytes]) -> list[bytes]:
        """Return the pieces with *values*, without line breaks, in the holes."""
        coded = {name: _hole_piece(values[name]) for name in self._names}
        pieces = self.start.copy()
        for name, behind in self._rest:
            pieces += coded[name], behind
        return pieces


class Base64Part:
    """A part for mostly non-Latin text: where a segment starts within a group depends on what stands before it.

    *size* as above, roughly.
    """

    encoding: ClassVar = "base64"

    def __init__(self, segments: Sequence[FixedSegment | Hole], size: int) -> None:
        self.size = size
        lead, rest = _apart(segments)
        start, self._carried = _grouped(lead, b"")
        self.start = _one_piece(start)
        self._rest = [(name, _Stretch(stretch)) for name, stretch in rest]

    def fill(self, values: Mapping[str, bytes]) -> list[bytes]:
        """Return the pieces with *values*, without line breaks, in the holes."""
        pieces, carried = self.start.copy(), self._carried
        for name, stretch in self._rest:
            carried += values[name]
            completing, following, left_over = stretch.after(len(carried))
            carried += completing
            if following:
                if carried:
                    pieces.append(base64_piece(carried))
                pieces += following
                carried = left_over
        pieces.append(base64_piece(carried))
        return pieces


@dataclass(slots=True)
class _Stretch:
    """What stands between two holes; encoded at most once for each of the three ways in which groups may fall."""

    segments: Sequence[FixedSegment]
    _encoded: dict[int, tuple[bytes, list[bytes], bytes]] = field(default_factory=dict)

    def after(self, length: int) -> tuple[bytes, list[bytes], bytes]:
        """Return what completes the group that so many bytes have begun, the pieces after it, and what is left over.

        Too short for a piece, it all belongs to the group that is begun, and to the next.
        """
        begun = length % GROUP
        if begun not in self._encoded:
            self._encoded[begun] = self._encode(begun)
        return self._encoded[begun]

    def _encode(self, begun: int) -> tuple[bytes, list[bytes], bytes]:
        pieces, left_over = _grouped(self.segments, bytes(begun))
        completing = a2b_base64(pieces[0])[begun:] if begun and pieces else b""
        following = pieces[1:] if begun else pieces
        if not following:
            return b"".join(segment.raw for segment in self.segments), [], b""
        return completing, _one_piece(following), left_over


def _one_piece(pieces: Sequence[bytes]) -> list[bytes]:
    """Return *pieces* as one, or none: what many mails have in common is joined once, so that each has few to write."""
    return [b"".join(pieces)] if pieces else []


def _apart(segments: Sequence[FixedSegment | Hole]) -> tuple[list[FixedSegment], list[tuple[str, list[FixedSegment]]]]:
    """Return what stands before the first hole, then the name of each hole with what stands behind it."""
    lead: list[FixedSegment] = []
    rest: list[tuple[str, list[FixedSegment]]] = []
    for segment in segments:
        if isinstance(segment, Hole):
            rest.append((segment.name, []))
        else:
            (rest[-1][1] if rest else lead).append(segment)
    return lead, rest


def _grouped(segments: Sequence[FixedSegment], carried: bytes) -> tuple[list[bytes], bytes]:
    """Encode *segments* after the bytes *carried* so far; return the pieces, and the bytes that the next one takes."""
    pieces: list[bytes] = []
    for segment in segments:
        if len(segment.raw) < GROUP:
            carried += segment.raw
        else:
            skip = -len(carried) % GROUP
            pieces += base64_piece(carried + segment.raw[:skip]), segment.grouped(skip)
            carried = segment.raw[segment.end_of_groups(skip) :]
    return list(filter(None, pieces)), carried


EncodedPart = QuotedPrintablePart | Base64Part


def encode_part(segments: Sequence[FixedSegment | Hole]) -> EncodedPart:
    """Return *segments* in the encoding that makes less of them: base64 where little is Latin."""
    fixed = [segment for segment in segments if isinstance(segment, FixedSegment)]
    quoted_size = sum([len(segment.quoted) for segment in fixed])
    grouped_size = sum([len(segment.raw) for segment in fixed]) * len(_FULL_LINE) // BASE64_LINE_BYTES
    if grouped_size < quoted_size:
        return Base64Part(segments, grouped_size)
    return QuotedPrintablePart(segments, quoted_size)


_FULL_LINE = base64_piece(bytes(BASE64_LINE_BYTES))
