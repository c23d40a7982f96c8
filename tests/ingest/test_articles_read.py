"""Files of every format become drafts; a bad item is refused alone, a bad file is an error that says what to do."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.domain.articles import Event, Kind
from newsletter.domain.drafts import Draft, UnusableError
from newsletter.errors import InvalidError
from newsletter.ingest import document
from newsletter.ingest.dates import read_date, read_time
from newsletter.ingest.decoding import decode
from newsletter.ingest.fields import Defaults
from newsletter.ingest.markdown import read_yaml
from newsletter.ingest.readers import read_document

DATA = Path(__file__).parent / "data"
BISHKEK = ZoneInfo("Asia/Bishkek")
DEFAULTS = Defaults(BISHKEK, "en")


def read(name: str, content: str | bytes | None = None, defaults: Defaults = DEFAULTS) -> document.Document:
    if content is None:
        content = (DATA / name).read_bytes()
    return read_document(name, content.encode() if isinstance(content, str) else content, defaults)


def read_one(name: str, content: str | bytes | None = None, defaults: Defaults = DEFAULTS) -> Draft:
    (item,) = read(name, content, defaults).items

    assert item.draft is not None, item.refusal
    return item.draft


def read_item(**fields: object) -> document.Item:
    (item,) = read("a.json", json.dumps([{"title": "A title", **fields}])).items
    return item


class TestJSON:
    def test_raw_items_come_in_as_they_are(self):
        items = read("scraped.json").items

        assert 13 == len(items)
        assert all(item.draft for item in items)
        canal = items[3].draft
        assert canal is not None
        assert (Kind.PRESS_RELEASE, date(2025, 10, 6)) == (canal.kind, canal.published)
        assert "Tash-Bulak District Press Service" == canal.source
        assert 1 == len(canal.own.paragraphs)
        assert items[7].draft is not None
        assert "" == items[7].draft.own.title

    def test_our_format_holds_translations_image_topics_and_embargo(self):
        tram, hearing = (item.draft for item in read("articles.json").items)

        assert tram is not None
        assert hearing is not None
        assert ["en", "ru", "ky"] == [text.language for text in tram.texts]
        assert datetime(2025, 10, 6, 3, 30, tzinfo=UTC) == tram.published
        assert ("transport", "health") == tram.topics
        assert "A white tram at the market stop" == tram.own.image_alt
        assert "Белый трамвай у рынка" == tram.texts[1].image_alt
        assert (1600, 900) == (tram.image_width, tram.image_height)
        assert '<a href="https://city.example.org/lines/2">' in tram.own.body_html
        assert "<strong>вторую линию</strong>" in tram.texts[1].body_html
        assert datetime(2025, 10, 7, 2, tzinfo=UTC) == hearing.embargo_until
        assert () == tram.warnings == hearing.warnings

    def test_an_event_without_offset_is_in_its_zone(self):
        hearing = read("articles.json").items[1].draft

        assert hearing is not None
        assert hearing.event == Event(
            starts_at=datetime(2025, 10, 21, 11, tzinfo=UTC),
            ends_at=datetime(2025, 10, 21, 13, tzinfo=UTC),
            zone="Asia/Bishkek",
            venue="Town hall",
            address="1 Square of Trees",
            contact="council@city.example.org",
        )

    def test_a_bad_item_never_stops_the_rest(self):
        items = read("a.json", json.dumps([7, {"title": "Good"}, {"kind": "poem", "title": "Bad"}, None])).items

        assert [False, True, False, False] == [item.draft is not None for item in items]
        assert "'poem' is not known; use one of press_release" in (items[2].refusal or "")
        assert "Bad" == items[2].title

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            pytest.param({"title": "x" * 301}, "title: has 301 characters; at most 300", id="long title"),
            pytest.param({"title": ["a"]}, "title: must be a text", id="title is a list"),
            pytest.param({"paragraphs": [{"a": 1}]}, "paragraphs: must be a list of texts", id="paragraphs"),
            pytest.param({"paragraphs": ["x"] * 2001}, "2,001 of them", id="many paragraphs"),
            pytest.param({"paragraphs": ["x" * 300_001, "y" * 300_001]}, "600,016 characters", id="long body"),
            pytest.param({"html": "x" * 500_001}, "500,001 characters", id="long html"),
            pytest.param({"html": "<div>" * 5000}, "nested", id="deep html"),
            pytest.param({"html": 7}, "html: must be a text", id="html is a number"),
            pytest.param({"language": "english"}, "language: 'english' is no language code", id="language"),
            pytest.param({"embargo_until": "soon"}, "embargo_until: 'soon' is no date", id="unreadable embargo"),
            pytest.param({"topics": {"a": 1}}, "topics: must be a list of slugs", id="topics"),
            pytest.param({"topics": ["x"] * 51}, "topics: 51 of them", id="many topics"),
            pytest.param({"translations": ["ru"]}, "translations: must be an object by language", id="translations"),
            pytest.param({"translations": {"ru": "x"}}, "translations.ru: must be an object", id="translation"),
            pytest.param({"event": "tomorrow"}, "event: must be an object with", id="event"),
        ],
    )
    def test_what_cannot_be_used_is_refused_by_name(self, fields, reason):
        item = read_item(**fields)

        assert item.draft is None
        assert reason in (item.refusal or "")

    @pytest.mark.parametrize(
        ("fields", "warning"),
        [
            pytest.param({"titel": "x"}, "titel: no such field, ignored", id="unknown field"),
            pytest.param({"date": "31.12.2024"}, "date: '31.12.2024' is no date; write it like", id="unreadable date"),
            pytest.param({"date": "0001-01-01"}, "the year 1 cannot be right", id="year one"),
            pytest.param({"url": "javascript:alert(1)"}, "url: left out", id="unsafe link"),
            pytest.param({"image": {"url": "x.png"}}, "image.url: left out", id="relative image"),
            pytest.param({"event": {"venue": "Hall"}}, "event: left out, it has no starts_at", id="event without time"),
            pytest.param({"event": {"starts_at": "x"}}, "event: left out, 'x' is no date", id="unreadable event"),
            pytest.param(
                {"event": {"starts_at": "2025-01-02", "ends_at": "2025-01-01"}}, "before starts_at", id="event ends"
            ),
            pytest.param(
                {"event": {"starts_at": "2025-01-02", "zone": "../etc"}}, "'../etc' is no time zone", id="event zone"
            ),
            pytest.param({"translations": {"ru": {"summary": "x"}}}, "it has no title", id="untitled translation"),
            pytest.param({"translations": {"en": {"title": "x"}}}, "the item's own language", id="own translation"),
            pytest.param({"summary": "x" * 1001}, "summary: cut from 1,001", id="long summary"),
        ],
    )
    def test_what_can_be_done_without_is_left_out_and_reported(self, fields, warning):
        item = read_item(**fields)

        assert item.draft is not None
        assert any(warning in each for each in item.draft.warnings)

    def test_plain_paragraphs_are_never_markup(self):
        item = read_item(paragraphs=["<script>alert(1)</script>"])

        assert item.draft is not None
        assert "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>" == item.draft.own.body_html

    def test_no_name_or_title_breaks_a_header(self):
        item = read_item(title="A\r\nBcc: all@example.org", source="Press\nOffice", id="1\n2")

        assert item.draft is not None
        assert "A Bcc: all@example.org" == item.draft.own.title
        assert ("Press Office", "1 2") == (item.draft.source, item.draft.external_id)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            pytest.param("", "the file is empty", id="empty"),
            pytest.param("[", "no valid JSON: Expecting value in line 1, column 2", id="cut off"),
            pytest.param("7", "must be a list of articles", id="a number"),
            pytest.param("[" * 100_000, "nested too deeply", id="deep"),
            pytest.param("[" + "1" * 5000 + "]", "a number without end", id="endless number"),
            pytest.param(b"\x89PNG\x00\x01", "binary data", id="a picture"),
        ],
    )
    def test_an_unreadable_file_is_an_error_that_names_it(self, content, reason):
        with pytest.raises(InvalidError, match=r"^a\.json: ") as caught:
            read("a.json", content)

        assert reason in str(caught.value)

    def test_too_many_items_are_refused_together(self, monkeypatch):
        monkeypatch.setattr(document, "MOST_ITEMS", 2)

        with pytest.raises(InvalidError, match="split it"):
            read("a.json", "[{}, {}, {}]")

    JSON_VALUES = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )

    @given(st.lists(st.dictionaries(
        st.sampled_from(["title", "paragraphs", "html", "markdown", "date", "kind", "language", "event", "image", "url",
                         "topics", "translations", "id", "summary", "embargo_until", "source", "translation_of"]),
        JSON_VALUES, max_size=5,
    ), max_size=3))  # fmt: skip
    def test_any_json_gives_a_draft_or_a_reason_for_each_item(self, items):
        found = read("a.json", json.dumps(items) if items else "[{}]").items

        assert all((item.draft is None) == bool(item.refusal) for item in found)


class TestMarkdown:
    def test_front_matter_gives_the_fields_and_the_heading_the_title(self):
        garden = read_one("article.md")

        assert "The garden behind School 9" == garden.own.title
        assert (Kind.STORY, "school-garden", "City Press Office") == (garden.kind, garden.external_id, garden.source)
        assert datetime(2025, 10, 3, 8, 15, tzinfo=UTC) == garden.published
        assert ("education", "climate") == garden.topics

    def test_the_image_that_opens_the_body_is_the_lead_image(self):
        garden = read_one("article.md")

        assert "https://city.example.org/media/garden.jpg" == garden.image_url
        assert "Three pupils water a bed of carrots" == garden.own.image_alt
        assert "garden.jpg" not in garden.own.body_html

    def test_the_body_is_rendered_and_sanitised(self):
        body = read_one("article.md").own.body_html

        assert "<strong>Forty kilos</strong>" in body
        assert "<td>carrots</td>" in body
        assert "alert" not in body

    def test_without_front_matter_it_is_a_draft_without_a_date(self):
        plain = read_one("a.md", "# Title\r\n\r\nText.")

        assert ("Title", "Text.", None) == (plain.own.title, plain.own.body_text, plain.published)

    @pytest.mark.parametrize(
        ("matter", "reason"),
        [
            pytest.param("title: a: b", "no valid YAML", id="colon"),
            pytest.param("title: [", "no valid YAML", id="cut off"),
            pytest.param("- a\n- b", "must be fields like", id="a list"),
            pytest.param("7: x", "must be fields like", id="a number as name"),
            pytest.param("a: &x [1]\nb: *x", "aliases are not taken", id="alias"),
            pytest.param("title: A\ntitle: B", "'title' stands twice", id="a field twice"),
            pytest.param("title: !!python/object:os.system x", "no valid YAML", id="a type of a program"),
            pytest.param("date: 2024-13-45", "no valid YAML", id="impossible date"),
            pytest.param("title: " + "x" * 70_000, "at most 65,536", id="endless"),
            pytest.param("html: <p>x</p>", "the body stands below", id="a body in it"),
            pytest.param("language: no", "is no language code", id="Norwegian is false in YAML"),
        ],
    )
    def test_bad_front_matter_is_refused_with_the_reason(self, matter, reason):
        (item,) = read("a.md", f"---\n{matter}\n---\nText.").items

        assert reason in (item.refusal or "")

    @pytest.mark.slow
    def test_a_heading_without_end_is_refused_in_time(self):
        (item,) = read("a.md", "# " + "#" * 200_000 + "x\n\nText.").items

        assert "title: has 200,001 characters" in (item.refusal or "")

    def test_yaml_cannot_unfold_without_end(self):
        bomb = "a: &a [x]\n" + "".join(f"{new}: &{new} [*{old}, *{old}]\n" for old, new in pairwise("abcdefgh"))

        with pytest.raises(UnusableError, match="aliases"):
            read_yaml(bomb)


class TestFeed:
    def test_rss_gives_identity_date_kind_topics_and_body(self):
        clock = read("rss.xml").items[0].draft

        assert clock is not None
        assert "Students repair the town’s clock" == clock.own.title
        assert ("college-1", "https://college.example.org/news/clock") == (clock.external_id, clock.own.url)
        assert datetime(2025, 10, 3, 4, tzinfo=UTC) == clock.published
        assert (Kind.PRESS_RELEASE, ("Education",)) == (clock.kind, clock.topics)
        assert ("College & Town", "en") == (clock.source, clock.own.language)
        assert "A short description of it." == clock.own.summary
        assert "https://college.example.org/media/tower.jpg" == clock.image_url

    def test_the_body_is_sanitised_and_its_addresses_are_absolute(self):
        clock = read("rss.xml").items[0].draft

        assert clock is not None
        assert 'src="https://college.example.org/media/clock.jpg"' in clock.own.body_html
        assert 'href="https://college.example.org/terms/autumn"' in clock.own.body_html
        assert not any(word in clock.own.body_html for word in ("script", "onerror", "onclick"))

    def test_a_short_description_alone_is_a_summary_and_a_day_stays_a_day(self):
        day = read("rss.xml").items[1].draft

        assert day is not None
        assert ((), "Only a summary; the article is behind the link.") == (day.own.paragraphs, day.own.summary)
        assert date(2025, 10, 2) == day.published

    def test_a_long_description_alone_is_the_article(self):
        text = "<p>" + "A sentence about it. " * 40 + "</p>"
        item = f"<item><title>A</title><description><![CDATA[{text}]]></description></item>"
        feed = f"<rss version='2.0'><channel>{item}</channel></rss>"

        assert read_one("a.xml", feed).own.body_text.startswith("A sentence about it. A")

    def test_what_has_no_date_gets_none(self):
        undated = read("rss.xml").items[2].draft

        assert undated is not None
        assert undated.published is None

    def test_atom_is_read_with_its_language_and_relative_links(self):
        hall = read_one("atom.xml")

        assert "Новый зал «Шёлк»" == hall.own.title
        assert ("ru", "https://museum.example.org/news/1") == (hall.own.language, hall.own.url)
        assert ("culture",) == hall.topics
        assert datetime(2025, 10, 4, 8, tzinfo=UTC) == hall.published
        assert "Открыт зал шёлка." == hall.own.summary

    @pytest.mark.parametrize("cut", [0.5, 0.7, 0.9])
    def test_a_cut_off_feed_gives_what_is_whole_and_says_so(self, cut):
        content = (DATA / "rss.xml").read_bytes()
        found = read("rss.xml", content[: int(len(content) * cut)])

        assert found.items
        assert "the feed is damaged" in found.warnings[0]

    def test_a_feed_in_another_encoding_is_read(self):
        feed = (DATA / "atom.xml").read_text().replace('encoding="utf-8"', 'encoding="windows-1251"')

        assert "Новый зал «Шёлк»" == read_one("atom.xml", feed.encode("cp1251")).own.title

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            pytest.param("<!doctype html><html><body>Not found</body></html>", "a web page, not a feed", id="a page"),
            pytest.param("hello", "no RSS or Atom feed", id="a text"),
            pytest.param("<opml/>", "no RSS or Atom feed", id="another XML"),
        ],
    )
    def test_what_is_no_feed_is_an_error(self, content, reason):
        with pytest.raises(InvalidError, match=reason):
            read("a.xml", content)

    @pytest.mark.slow
    def test_no_entity_is_fetched_or_unfolded(self, tmp_path):
        secret = tmp_path / "secret.txt"
        secret.write_text("the secret")
        bomb = "".join(f"<!ENTITY {new} '{f'&{old};' * 10}'>" for old, new in pairwise("abcdefgh"))
        feed = (
            f"<?xml version='1.0'?><!DOCTYPE rss [<!ENTITY x SYSTEM 'file://{secret}'><!ENTITY a 'lol'>{bomb}]>"
            "<rss version='2.0'><channel><item><title>A &x; &h;</title><link>https://e.org/1</link></item></channel></rss>"
        )
        try:
            items = read("a.xml", feed).items
        except InvalidError:
            return

        assert not any("the secret" in item.title or len(item.title) > 1000 for item in items)


class TestPage:
    def test_meta_elements_give_the_facts(self):
        well = read_one("page.html")

        assert "A well for the upper street" == well.own.title
        assert ("Village News", "en") == (well.source, well.own.language)
        assert "https://village.example.org/news/well" == well.own.url
        assert "Thirty houses have water now." == well.own.summary
        assert datetime(2025, 10, 1, 4, tzinfo=UTC) == well.published
        assert ("https://village.example.org/media/well.jpg", "Water runs into a bucket") == (
            well.image_url,
            well.own.image_alt,
        )

    def test_the_body_is_the_article_without_menus_and_footers(self):
        body = read_one("page.html").own.body_html

        assert "Thirty houses on the upper street" in body
        assert "<figcaption>The new pump</figcaption>" in body
        assert '<a href="https://village.example.org/council">' in body
        assert not any(word in body for word in ("Home", "Read also", "Search", "© Village", "track", "A well for"))

    def test_a_bare_page_is_read_too(self):
        bare = read_one("a.html", "<title>A title</title><body><p>Text.</p>")

        assert ("A title", "Text.") == (bare.own.title, bare.own.body_text)

    def test_its_declared_encoding_counts(self):
        page = "<meta charset=windows-1251><title>Заголовок</title><p>Текст.</p>".encode("cp1251")

        assert "Заголовок" == read_one("a.html", page).own.title


class TestDecoding:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_text_with_a_mark_or_in_utf_8_is_read_silently(self, encoding):
        assert ("Вода", None) == (decode("Вода".encode(encoding)).text, decode("Вода".encode(encoding)).warning)

    def test_windows_1251_is_read_and_reported(self):
        found = read("a.json", '[{"title": "Вода", "paragraphs": ["Текст."]}]'.encode("cp1251"))

        assert "Вода" == found.items[0].title
        assert "was read as Windows-1251" in found.warnings[0]

    def test_a_wrong_declaration_gives_way(self):
        assert "Вода" == decode("Вода".encode(), declared="no-such-code").text

    def test_a_broken_mark_is_an_error(self):
        with pytest.raises(InvalidError, match="save it as UTF-8"):
            decode(b"\xef\xbb\xbf\xff")


class TestDates:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("2024-11-29", date(2024, 11, 29)),
            (date(2024, 11, 29), date(2024, 11, 29)),
            ("2024-11-29T10:00:00+06:00", datetime(2024, 11, 29, 4, tzinfo=UTC)),
            ("2024-11-29T10:00Z", datetime(2024, 11, 29, 10, tzinfo=UTC)),
            ("2024-11-29 10:00", datetime(2024, 11, 29, 4, tzinfo=UTC)),
            ("Fri, 29 Nov 2024 10:00:00 +0600", datetime(2024, 11, 29, 4, tzinfo=UTC)),
        ],
    )
    def test_a_day_stays_a_day_and_a_time_becomes_utc(self, value, expected):
        assert expected == read_date(value, BISHKEK)

    @pytest.mark.parametrize("value", ["", "29/11/2024", "11-29-2024", "yesterday", "0001-01-01T00:00:00", 7, None, []])
    def test_anything_else_is_refused(self, value):
        with pytest.raises(ValueError, match=r"is no date|cannot be right"):
            read_date(value, BISHKEK)

    def test_a_day_that_must_be_a_time_begins_at_midnight_there(self):
        assert datetime(2024, 11, 28, 18, tzinfo=UTC) == read_time("2024-11-29", BISHKEK)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("noname", '[{"title": "A"}]'),
        ("noname", "---\ntitle: A\n---\nText"),
        ("noname", "<rss version='2.0'><channel><item><title>A</title></item></channel></rss>"),
        ("noname", "\ufeff<!DOCTYPE html><title>A</title><p>x"),
        ("UPPER.JSON", '[{"title": "A"}]'),
    ],
)
def test_a_file_without_a_known_ending_is_told_by_its_beginning(name, content):
    assert "A" == read_one(name, content).own.title


def test_a_file_of_another_format_is_an_error_that_names_those_we_take():
    with pytest.raises(InvalidError, match=r"report\.pdf: no known format; name it \.json, \.md, \.xml"):
        read("report.pdf", "%PDF-1.7")


def test_a_file_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("newsletter.ingest.readers.LARGEST_FILE", 1024 * 1024)

    with pytest.raises(InvalidError, match="the file has 1 MB; at most 1"):
        read("a.json", b"[" + b" " * 1024 * 1024)


def test_what_holds_for_all_items_gives_way_to_what_an_item_says():
    defaults = replace(DEFAULTS, kind=Kind.SPEECH, language="ky", source="Given")
    content = json.dumps([{"title": "A", "source": "Stated"}, {"title": "B", "kind": "video", "language": "ru"}])
    one, other = (item.draft for item in read("a.json", content, defaults).items)

    assert one is not None
    assert other is not None
    assert (Kind.SPEECH, "ky", "Given") == (one.kind, one.own.language, one.source)
    assert (Kind.VIDEO, "ru") == (other.kind, other.own.language)
