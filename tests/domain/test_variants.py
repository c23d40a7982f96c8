"""Variants: holes are cut and filled without loss, and a layout fits whatever it is given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.domain.variants import READER_HOLES, VARIANT_HOLES, Hole, cut, fill, hole_mark, lay_out

NONCE = "0123456789abcdef"
HOLES = VARIANT_HOLES + READER_HOLES
texts = st.text(alphabet="aZq9_<& \n\u043f", max_size=20)


@given(st.lists(texts | st.sampled_from(HOLES).map(Hole), max_size=12))
def test_cutting_finds_every_hole_and_loses_no_letter(parts):
    marked = "".join(hole_mark(part.name, NONCE) if isinstance(part, Hole) else part for part in parts)
    segments = cut(marked, NONCE)

    assert [part for part in parts if isinstance(part, Hole)] == [each for each in segments if isinstance(each, Hole)]
    assert marked == "".join(hole_mark(each.name, NONCE) if isinstance(each, Hole) else each for each in segments)
    assert "" not in segments


@pytest.mark.parametrize("name", HOLES)
def test_every_hole_is_found_by_its_name(name):
    assert ("a", Hole(name), "b") == cut(f"a{hole_mark(name, NONCE)}b", NONCE)
    assert hole_mark(name, NONCE).isalnum()


@pytest.mark.parametrize(
    "forged",
    [
        hole_mark("unsubscribe_url", "fedcba9876543210"),
        hole_mark("unsubscribe_url", ""),
        f"Zqunsubscribe9urlZ{NONCE[:-1]}qZ",
        f"Zq<b>Z{NONCE}qZ",
        f"zqwhyZ{NONCE}qZ",
    ],
)
def test_a_mark_that_content_made_up_is_not_cut(forged):
    text = f"before {forged} after"

    assert (text,) == cut(text, NONCE)


def test_filling_leaves_other_holes_open():
    segments = cut(f"{hole_mark('intro', NONCE)} / {hole_mark('why', NONCE)}", NONCE)

    assert ("Hello", " / ", Hole("why")) == fill(segments, {"intro": "Hello", "more": "unused"})


def test_a_value_that_looks_like_a_mark_is_not_filled_again():
    segments = fill(cut(hole_mark("intro", NONCE), NONCE), {"intro": hole_mark("why", NONCE)})

    assert (hole_mark("why", NONCE),) == fill(segments, {"why": "secret"})


def sizes_of(lead, sections, events, *, item=100, brief=30) -> dict[str, int]:
    items = [key for _, keys in sections for key in keys] + ([lead] if lead else [])
    sizes = {"head": 50, "foot": 60, "more": 10, "events": 15}
    sizes |= {f"section:{key}": 20 for key, _ in sections}
    for key in items:
        sizes |= {f"lead:{key}": 150, f"item:{key}": item, f"brief:{key}": brief}
    return sizes | {f"event:{key}": 40 for key in events}


def test_blocks_stand_in_the_order_of_the_edition():
    sections = [("1", ["2:en"]), ("", ["3:en"])]
    layout = lay_out(lead="1:en", sections=sections, events=["4:en"], sizes=sizes_of("1:en", sections, ["4:en"]))

    expected = (
        "head", "lead:1:en", "section:1", "item:2:en", "section:", "item:3:en", "events", "event:4:en", "foot",
    )  # fmt: skip
    assert expected == layout.blocks
    assert 0 == layout.left_out_count
    assert 50 + 150 + 20 + 100 + 20 + 100 + 15 + 40 + 60 == layout.html_bytes


def test_summaries_go_before_items_and_the_last_goes_first():
    sections = [("1", ["1:en", "2:en", "3:en"])]
    sizes = sizes_of(None, sections, [])

    whole = 50 + 60 + 20 + 300
    assert ("item:1:en", "item:2:en", "brief:3:en") == lay_out(
        lead=None, sections=sections, events=[], sizes=sizes, limit=whole - 1
    ).blocks[2:-1]
    assert ("item:1:en", "brief:2:en", "brief:3:en") == lay_out(
        lead=None, sections=sections, events=[], sizes=sizes, limit=whole - 71
    ).blocks[2:-1]


def test_what_does_not_fit_is_counted_and_leaves_no_empty_heading():
    sections = [("1", ["1:en"]), ("2", ["2:en"])]
    sizes = sizes_of(None, sections, ["3:en"])
    layout = lay_out(lead=None, sections=sections, events=["3:en"], sizes=sizes, limit=50 + 20 + 30 + 10 + 60)

    assert ("head", "section:1", "brief:1:en", "more", "foot") == layout.blocks
    assert 2 == layout.left_out_count


@st.composite
def contents(draw):
    count = draw(st.integers(0, 12))
    keys = [f"{number}:en" for number in range(count)]
    lead = keys.pop() if keys and draw(st.booleans()) else None
    first, second = sorted(draw(st.tuples(st.integers(0, len(keys)), st.integers(0, len(keys)))))
    sections = [(key, part) for key, part in (("1", keys[:first]), ("", keys[first:second])) if part]
    events = keys[second:]
    sizes = sizes_of(lead, sections, events, item=draw(st.integers(30, 300)), brief=draw(st.integers(1, 30)))
    return lead, sections, events, sizes


@given(contents(), st.integers(270, 2000))
def test_a_layout_fits_keeps_its_footer_and_accounts_for_every_item(content, limit):
    lead, sections, events, sizes = content
    layout = lay_out(lead=lead, sections=sections, events=events, sizes=sizes, limit=limit)
    shown = [key.partition(":")[2] for key in layout.blocks if key.startswith(("lead:", "item:", "brief:", "event:"))]
    all_items = [*([lead] if lead else []), *(key for _, keys in sections for key in keys), *events]

    assert layout.html_bytes == sum(sizes[key] for key in layout.blocks) <= limit
    assert ("head", "foot") == (layout.blocks[0], layout.blocks[-1])
    assert all_items[: len(shown)] == shown
    assert len(all_items) == len(shown) + layout.left_out_count
    assert ("more" in layout.blocks) == bool(layout.left_out_count)
    if layout.left_out_count:
        assert not any(key.startswith("item:") for key in layout.blocks)
    for heading, following in zip(layout.blocks, layout.blocks[1:], strict=False):
        if heading.startswith(("section:", "events")):
            assert following.startswith(("item:", "brief:", "event:"))


def test_what_stands_under_no_topic_needs_no_heading_where_nothing_else_does():
    sections = [("", ["1:en", "2:en"])]
    layout = lay_out(lead=None, sections=sections, events=[], sizes=sizes_of(None, sections, []))

    assert ("head", "item:1:en", "item:2:en", "foot") == layout.blocks
