"""Pieces: encoded apart, they decode together to what they came from."""

import re
from binascii import a2b_base64, a2b_qp

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsletter.domain.variants import Hole
from newsletter.mail.pieces import (
    Base64Part,
    QuotedPrintablePart,
    base64_piece,
    encode_part,
    fixed_segment,
    piece,
)

texts = st.text(
    st.one_of(st.characters(exclude_categories=["Cs", "Cc"]), st.sampled_from(". =\n\t-F>'Ж漢")), max_size=250
)
lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=120)


@settings(max_examples=400)
@given(st.lists(texts, max_size=6))
@example([".", ".\n.", "...", ""])
@example(["From ", "From x\nFrom y", "FFrom z"])
@example(["a" * 76 + "." * 80, " " * 90, "x" * 75 + " \n", "\t"])
@example(["--", "=", "=\n", "=_"])
def test_joined_pieces_decode_to_their_sources_joined(sources):
    joined = b"".join(piece(source.encode()) for source in sources)

    assert "".join(sources).encode() == a2b_qp(joined).replace(b"\r\n", b"\n")
    assert not re.search(rb"(?m)^(\.|From )", joined)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|=_", joined)
    assert all(len(line) <= 78 and line.isascii() for line in joined.split(b"\r\n"))
    assert joined == b"" or joined.endswith(b"\r\n")


@given(st.integers(min_value=0, max_value=400), st.sampled_from([" ", ".", "a", "é", "\t", "From "]))
def test_full_lines_are_the_only_ones_that_pass_76_characters(count, character):
    coded = piece(("a" * (count % 80) + character * count + "\nend").encode())

    assert all(len(line) <= 76 or line.endswith((b" =", b"\t=", b" ", b"=20", b"=09")) for line in coded.split(b"\r\n"))


def decoded(part, values):
    joined = b"".join(part.fill(values))
    decode = a2b_base64 if isinstance(part, Base64Part) else a2b_qp
    assert all(len(line) <= 78 for line in joined.split(b"\r\n"))
    return decode(joined).decode().replace("\r\n", "\n")


segments = st.lists(st.one_of(texts, st.sampled_from("abc").map(Hole)), max_size=9)


@settings(max_examples=400)
@given(segments, lines, lines)
@pytest.mark.parametrize("kind", [QuotedPrintablePart, Base64Part])
def test_a_filled_part_decodes_to_its_text_with_the_values_in_place(kind, segments, one, other):
    part = kind([each if isinstance(each, Hole) else fixed_segment(each) for each in segments], 0)

    for values in ({"a": one, "b": other, "c": ""}, {"a": other, "b": "", "c": one}):  # one part serves many readers
        wanted = "".join(values[each.name] if isinstance(each, Hole) else each for each in segments)
        assert wanted == decoded(part, {name: value.encode() for name, value in values.items()})


@given(st.binary(max_size=500))
def test_a_base64_piece_is_lines_that_decode_to_their_source(raw):
    coded = base64_piece(raw)

    assert raw == a2b_base64(coded)
    assert all(len(line) <= 76 for line in coded.split(b"\r\n"))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("A story about clean water, with a few accents: éàü.", QuotedPrintablePart),
        ("Окуя жөнүндө: таза суу жана санитария.", Base64Part),
        ('<td style="padding:0 24px;font-size:16px;color:#123456;text-align:left">Таза</td>', QuotedPrintablePart),
    ],
)
def test_a_part_takes_the_shorter_encoding(text, kind):
    part = encode_part([fixed_segment(text * 20), Hole("a")])

    assert isinstance(part, kind)


def test_base64_is_no_longer_than_a_third_and_its_line_ends():
    text = "Таза суу жана санитария. " * 200
    coded = b"".join(encode_part([fixed_segment(text)]).fill({}))

    assert len(coded) < len(text.encode()) * 1.38


def test_a_base64_line_end_is_encoded_as_crlf():
    part = Base64Part([fixed_segment("а\nб\n")], 4)

    assert "а\r\nб\r\n".encode() == a2b_base64(b"".join(part.fill({})))


def test_a_fixed_segment_is_shared_and_not_encoded_again():
    segment = fixed_segment("Таза суу\n" * 50)
    one, other = Base64Part([Hole("a"), segment], 3), Base64Part([segment, Hole("a")], 3)

    assert one.fill({"a": b"xyz"})[1] is other.fill({"a": b"x"})[0]
    assert QuotedPrintablePart([segment], 3).fill({})[0] is segment.quoted
