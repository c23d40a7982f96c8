"""Digests: cut into blocks that join into a sound mail, whatever a reader chose."""

import re
from functools import cache
from html.parser import HTMLParser

import css_inline
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html as lxml_html
from sample_digest import NONCE, SITE, UNSUBSCRIBE, a_digest, a_variant, an_item, filled_html, filled_text, hole_values

from newsletter.domain.articles import Kind
from newsletter.domain.lists import SectionsBy
from newsletter.domain.variants import READER_HOLES, VARIANT_HOLES, Hole, cut
from newsletter.errors import InvalidError
from newsletter.rendering import email
from newsletter.rendering.digest import MAX_TITLE, Image
from newsletter.rendering.email import render_digest
from newsletter.rendering.inlining import inlined
from newsletter.rendering.languages import load_language
from newsletter.rendering.plain import clean, wrapped

VOID = {"br", "img", "meta", "hr", "link", "input"}


class Strict(HTMLParser):
    """Refuses what browsers forgive: an element that is closed late, early, twice or never."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 - the parser's own signature
        """Open an element; rows stand in tables only."""
        if tag == "tr":
            assert self.open[-1] == "table", "a row outside of a table"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Close the innermost element and no other."""
        assert self.open.pop() == tag


def parse_strictly(page):
    parser = Strict()
    parser.feed(page)
    parser.close()
    assert parser.open == []


@cache
def blocks_of(code="en"):
    return render_digest(a_digest(code), NONCE)


@cache
def blocks_before_inlining():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(email, "inlined", lambda page: page)
        return render_digest(a_digest(), NONCE)


def test_each_item_comes_in_every_size_and_each_section_once():
    digest = a_digest()
    keys = {item.key for item in digest.items}
    expected = {"head", "events", "more", "foot", "section:water", "section:health", "event:7:en", "event:8:en"}
    expected |= {f"{size}:{key}" for size in ("lead", "item", "brief") for key in keys}

    assert expected == set(blocks_of())
    assert all(key == block.key for key, block in blocks_of().items())
    assert all(block.text.endswith("\n\n") and block.html for block in blocks_of().values())


middles = st.lists(st.sampled_from(sorted(set(blocks_of()) - {"head", "foot"})), unique=True)


@settings(max_examples=30)
@given(middles)
def test_any_choice_of_blocks_is_a_sound_document(middle):
    page = "".join(blocks_of()[key].html for key in ["head", *middle, "foot"])

    parse_strictly(page)
    assert page.startswith("<!DOCTYPE html>")
    assert page.endswith("</html>")


@settings(max_examples=12)
@given(middles)
def test_cutting_after_inlining_equals_inlining_after_cutting(middle):
    keys = ["head", *middle, "foot"]

    whole = inlined("".join(blocks_before_inlining()[key].html for key in keys))

    assert whole == "".join(blocks_of()[key].html for key in keys)


def test_another_inliner_gives_every_element_the_same_style():
    """css-inline, written in Rust on a browser's own parser, is the second opinion."""
    source = "".join(block.html for block in blocks_before_inlining().values())
    theirs = css_inline.CSSInliner(keep_style_tags=False).inline(source)
    ours = "".join(block.html for block in blocks_of().values())

    ours_by_element, theirs_by_element = (styles(page) for page in (ours, theirs))

    assert len(ours_by_element) == len(theirs_by_element) > 300
    assert theirs_by_element == ours_by_element


def styles(page):
    elements = lxml_html.document_fromstring(page).xpath("//body//*[not(self::tbody)] | //body")
    return [(element.tag, declarations(element.get("style", ""))) for element in elements]


def declarations(style):
    pairs = [pair.partition(":") for pair in style.split(";") if pair.strip()]
    return {name.strip(): same_value(value) for name, _, value in pairs}


def same_value(value):
    value = re.sub(r"#([0-9a-f])\1([0-9a-f])\2([0-9a-f])\3\b", r"#\1\2\3", value.strip().lower())
    return re.sub(r"\s*,\s*", ",", re.sub(r"\b0\.", ".", value))


def test_every_hole_is_open_where_it_belongs():
    def holes(key, part):
        return {segment.name for segment in cut(getattr(blocks_of()[key], part), NONCE) if isinstance(segment, Hole)}

    assert {"preheader", "intro", "view_url", "unsubscribe_url"} == holes("head", "html")
    assert {"intro", "view_url"} == holes("head", "text")
    for part in ("html", "text"):
        assert {"more"} == holes("more", part)
        assert set(READER_HOLES) == holes("foot", part)
        others = [holes(key, part) for key in blocks_of() if key not in ("head", "more", "foot")]
        assert set() == set().union(*others)
    assert set(hole_values(a_digest())) == set(VARIANT_HOLES + READER_HOLES)


def test_unsubscribing_is_possible_at_the_top_and_at_the_bottom():
    page = filled_html(a_digest(), blocks_of(), a_variant(a_digest()))

    assert 2 == page.count(f'href="{UNSUBSCRIBE}"')


HOSTILE = (
    '</h3><script>alert(1)</script>" onload="x" {{ 7*7 }} <!--0123456789abcdef--> [0123456789abcdef] '
    "\x00\x1b\u202eevil\r\nBcc: x"
)


def test_hostile_words_stay_words():
    image = Image('https://x.example/a.png"onerror="y', HOSTILE, HOSTILE, 10, 10)
    item = an_item(6, Kind.STORY, HOSTILE, HOSTILE, image=image, topics=(HOSTILE,))
    nonce = "fedcba9876543210"  # the hostile text knows another edition's
    digest = a_digest(items=(item,), list_title=HOSTILE, newsroom=HOSTILE, postal_address=HOSTILE, intro=HOSTILE)

    blocks = render_digest(digest, nonce)
    page = "".join(block.html for block in blocks.values())
    text = "".join(block.text for block in blocks.values())

    parse_strictly(page)
    assert "<script" not in page
    assert not lxml_html.document_fromstring(page).xpath("//*[@onload or @onerror]")
    assert "{{ 7*7 }}" in page
    for character in "\x00\x1b\u202e\r":
        assert character not in page + text


@settings(max_examples=40)
@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=60))
def test_whatever_a_title_holds_the_reader_sees_it_as_text(title):
    blocks = render_digest(a_digest(items=(an_item(5, Kind.STORY, title, title),), sections=()), NONCE)
    page = "".join(block.html for block in blocks.values())

    shown = lxml_html.document_fromstring(page).xpath("//h3//a")[0].text_content()

    parse_strictly(page)
    assert clean(title, MAX_TITLE) == shown
    assert wrapped(clean(title, MAX_TITLE)) in blocks["lead:5:en"].text


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//x.example", "", "https://x\r\n.example"])
def test_a_link_that_leads_nowhere_safe_leads_to_the_newsroom(url):
    item = an_item(5, Kind.STORY, "Title", url=url, image=Image(url, "alt"))
    block = render_digest(a_digest(items=(item,)), NONCE)["lead:5:en"]

    assert {SITE} == set(re.findall(r'href="([^"]*)"', block.html))
    assert "<img" not in block.html
    assert block.text.rstrip().endswith(f"\n{SITE}")


def test_huge_words_are_cut_and_the_block_stays_small():
    item = an_item(5, Kind.STORY, "word " * 100_000, "слово" * 100_000)
    blocks = render_digest(a_digest(items=(item,), intro="intro " * 10_000), NONCE)

    assert max(len(block.html) for block in blocks.values()) < 10_000
    assert "…" in blocks["item:5:en"].html


def test_an_item_in_another_language_says_so():
    block = blocks_of()["item:5:ky"]

    assert '<h3 lang="ky" dir="ltr"' in re.sub(r' (class|style)="[^"]*"', "", block.html)
    assert ' lang="' not in blocks_of()["item:1:en"].html


def test_a_right_to_left_digest_turns_round(tmp_path):
    (tmp_path / "locales").mkdir()
    (tmp_path / "locales/ar.po").write_text('msgid ""\nmsgstr "Language: ar\\n"\n')
    blocks = render_digest(a_digest(language=load_language("ar", tmp_path)), NONCE)

    assert '<html lang="ar" dir="rtl"' in blocks["head"].html
    assert "text-align:right" in blocks["item:2:en"].html
    assert "padding-right:22px" in blocks["item:2:en"].html
    assert '<h3 lang="en" dir="ltr"' in re.sub(r' (class|style)="[^"]*"', "", blocks["item:2:en"].html)


def test_pictures_fit_their_box_in_their_own_proportions():
    wide, tall = Image("https://x.example/w", "", "", 1280, 720), Image("https://x.example/t", "", "", 600, 1200)

    assert (640, 360) == wide.scaled(640, 440)
    assert (220, 440) == tall.scaled(640, 440)
    assert (300, 200) == Image("https://x.example/s", "", "", 300, 200).scaled(640, 440)
    assert (136, None) == Image("https://x.example/u").scaled(136, 136)


def test_a_picture_without_words_says_where_it_leads():
    assert 'alt="From farms to classrooms"' in blocks_of()["item:2:en"].html
    assert 'alt="Lorries waiting at a checkpoint"' in blocks_of()["lead:1:en"].html


def test_sections_by_kind_name_the_topic_in_the_line_above_a_title():
    by_topic = blocks_of()["item:3:en"].text
    by_kind = render_digest(a_digest(sections_by=SectionsBy.KIND), NONCE)["item:3:en"].text

    assert "Speech · 12 March" in by_topic
    assert "Water and energy · 12 March" in by_kind


def test_an_event_tells_when_where_and_how_to_note_it():
    block = blocks_of()["event:7:en"]

    for part in (block.html, block.text):
        assert "Thursday, 19 March 2026, 10:00–16:30 (Bishkek, UTC+6)" in part
        assert "Sheraton Bishkek Hotel, 148 B Kievskaya Street, Bishkek" in part
        assert f"{SITE}/events/7.ics" in part


def test_the_text_part_has_short_lines_and_urls_alone():
    digest = a_digest()
    text = filled_text(digest, blocks_of(), a_variant(digest))

    for line in text.splitlines():
        assert len(line) <= 74
        assert line == line.rstrip()
        if "https://" in line:
            assert line.strip().startswith("https://")
    assert "\n\n\n" not in text


@pytest.mark.parametrize("code", ["en", "ru", "ky"])
def test_the_same_bytes_come_out_every_time(code):
    assert blocks_of(code) == render_digest(a_digest(code), NONCE)


def test_a_digest_without_items_still_has_its_frame():
    blocks = render_digest(a_digest(items=(), sections=()), NONCE)

    assert ["head", "events", "more", "foot"] == list(blocks)


def test_a_logo_takes_the_place_of_the_name():
    head = render_digest(a_digest(logo_url=f"{SITE}/logo.png"), NONCE)["head"].html

    assert f'src="{SITE}/logo.png"' in head
    assert 'alt="United Nations in the Kyrgyz Republic"' in head


def test_a_newsroom_may_put_its_own_part_in(tmp_path):
    """A template of its own builds on the shipped one and changes one block of it."""
    own = tmp_path / "templates/email/digest/body.html"
    own.parent.mkdir(parents=True)
    own.write_text('{% extends "shipped/email/digest/body.html" %}{% block title %}Ours{% endblock %}')

    head = render_digest(a_digest(), NONCE, home=tmp_path)["head"].html

    assert "<title>Ours</title>" in head


def test_a_wrong_name_in_the_text_template_is_told(tmp_path):
    own = tmp_path / "templates/email/digest/body.txt"
    own.parent.mkdir(parents=True)
    own.write_text("{{ digest.list_title }}\n{{ digest.lsit_title }}")

    with pytest.raises(InvalidError, match=r"email/digest/body\.txt, line 2: .*'lsit_title'"):
        render_digest(a_digest(), NONCE, home=tmp_path)


def test_a_template_that_forgets_a_block_is_refused(tmp_path):
    own = tmp_path / "templates/email/digest/body.txt"
    own.parent.mkdir(parents=True)
    own.write_text("{{ cut('foot') }}{{ digest.newsroom }}")

    with pytest.raises(InvalidError, match=r"email/digest/body\.txt lacks the blocks events, more"):
        render_digest(a_digest(items=(), sections=()), NONCE, home=tmp_path)
