"""Previews: what staff look at is what readers get, and a test mail changes nothing for anybody."""

import re
from dataclasses import replace

import pytest
from newsroom import DAY, Newsroom, read, text_of, titles_in

from newsletter.domain.deliveries import DeliveryState
from newsletter.errors import ConflictError, NotFoundError, TransientError
from newsletter.services.audit import list_acts
from newsletter.services.edition_previews import (
    contact_sheet,
    preview_as_filter,
    preview_as_reader,
    preview_variants,
    send_test,
)
from newsletter.services.editions import approve_edition, fan_out_edition
from newsletter.services.filters import NamedFilter
from newsletter.services.pictures import find_chromium, take_picture


@pytest.fixture
def reviewed(mailing_newsroom: Newsroom) -> Newsroom:
    """A newsroom with a list in review, three articles and readers of all, of videos, of nothing there is."""
    newsroom = mailing_newsroom
    newsroom.add_list("drafts", weekday=1, review_minutes=60)
    for title, kind in (("First", "story"), ("Second", "story"), ("A video", "video")):
        newsroom.publish(title, kind=kind)
    newsroom.subscribe("ann", "bek", slug="drafts")
    newsroom.subscribe("vic", slug="drafts", kinds=("video",))
    newsroom.subscribe("sam", slug="drafts", kinds=("speech",))
    newsroom.move(DAY)
    return newsroom


def titles(text: str) -> set[str]:
    return {each.replace("-", " ") for each in re.findall(r"https://example\.org/([\w-]+)", text)}


@pytest.mark.slow
def test_a_reader_is_shown_what_they_will_get_and_what_they_got(reviewed):
    edition_id = reviewed.compose("drafts")
    before = {name: preview_as_reader(reviewed.app, edition_id, f"{name}@readers.example") for name in ("ann", "vic")}
    approve_edition(reviewed.app, edition_id, actor="a test")
    fan_out_edition(reviewed.app, edition_id)
    reviewed.send()

    mails = {name: mail for name, [mail] in reviewed.mails().items()}
    assert {"First", "Second", "A video"} == titles(before["ann"].text)
    for name, view in before.items():
        assert titles_in(mails[name]) == titles(view.text)
        assert read(mails[name])["Subject"] == view.subject
        assert view == preview_as_reader(reviewed.app, edition_id, f"{name}@readers.example")
    with pytest.raises(NotFoundError, match="newsletter explain"):
        preview_as_reader(reviewed.app, edition_id, "sam@readers.example")
    with pytest.raises(NotFoundError, match="nobody subscribes"):
        preview_as_reader(reviewed.app, edition_id, "who@readers.example")


@pytest.mark.slow
def test_a_choice_nobody_has_made_is_shown_too(reviewed):
    edition_id = reviewed.compose("drafts")
    stories = preview_as_filter(reviewed.app, edition_id, NamedFilter(kinds=("story",)), "ru")

    assert {"First", "Second"} == titles(stories.text)
    assert "ru" == stories.language
    assert preview_as_filter(reviewed.app, edition_id, NamedFilter(kinds=("video",)), "en").subject == (
        preview_as_reader(reviewed.app, edition_id, "vic@readers.example").subject
    )
    with pytest.raises(NotFoundError, match="nothing for that choice"):
        preview_as_filter(reviewed.app, edition_id, NamedFilter(kinds=("speech",)), None)


def test_every_variant_stands_on_one_page_with_its_readers(reviewed):
    edition_id = reviewed.compose("drafts")
    shown, count = preview_variants(reviewed.app, edition_id)
    page = contact_sheet("All <of> them", shown)

    assert ([2, 1], 2) == ([each.readers for each in shown], count)
    assert 2 == page.count("<iframe sandbox")
    assert "All &lt;of&gt; them" in page
    assert "2 readers" in page


@pytest.mark.slow
def test_a_test_mail_has_the_real_headers_and_changes_nothing(reviewed):
    edition_id = reviewed.compose("drafts")
    send_test(reviewed.app, edition_id, ["me@readers.example"], language="en")

    [mail] = reviewed.mails()["me"]
    message = read(mail)
    assert message["Subject"].startswith("[Test] The drafts: ")
    assert "List-Unsubscribe=One-Click" == message["List-Unsubscribe-Post"]
    assert "https://news.example.org/unsubscribe/test" in message["List-Unsubscribe"]
    assert "drafts.lists.news.example.org" in message["List-Id"]
    assert "its links change nothing" in text_of(mail)
    assert {} == reviewed.states(edition_id)
    assert {} == reviewed.states(None)
    assert ["tested"] == [each.act for each in list_acts(reviewed.app, about=f"edition {edition_id}")]


def test_a_test_mail_that_is_not_taken_says_why(reviewed):
    edition_id = reviewed.compose("drafts")
    with pytest.raises(ConflictError, match="names no relay"):
        send_test(replace(reviewed.app, relays=()), edition_id, ["me@readers.example"])
    reviewed.use_relay("smtp://127.0.0.1:1?timeout=1")

    with pytest.raises(TransientError, match=r"127\.0\.0\.1:1 did not take the mail"):
        send_test(reviewed.app, edition_id, ["me@readers.example"])
    assert DeliveryState.ACCEPTED not in reviewed.states(edition_id).values()


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="needs Chromium")
def test_a_picture_is_as_wide_as_asked_as_tall_as_the_page_and_dark_if_asked(tmp_path):
    page = (
        "<!DOCTYPE html><html><head><style>body{margin:0;background:#fff}"
        "@media (prefers-color-scheme:dark){body{background:#000}}</style></head>"
        '<body><div style="height:1500px">tall</div></body></html>'
    )
    light, dark = tmp_path / "light.png", tmp_path / "dark.png"
    take_picture(page, light, width=390)
    take_picture(page, dark, width=390, is_dark=True)

    assert (390, 1500) == size_of(light.read_bytes())
    assert light.read_bytes() != dark.read_bytes()


def size_of(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
