"""Checks before a send: errors stop it, whoever sends; warnings are told; an ordinary edition has nothing wrong."""

import re
from dataclasses import replace

import pytest
from newsroom import DAY, WEEK, Newsroom

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import EditionState
from newsletter.errors import ConflictError, NotFoundError
from newsletter.rendering.client_support import FEATURES, dropped_features
from newsletter.services.articles import publish_article
from newsletter.services.edition_checks import CheckFinding, CheckLevel, check_edition
from newsletter.services.editions import approve_edition, approve_overdue_reviews
from newsletter.services.sends import start_send
from newsletter.storage.articles import load_record
from newsletter.storage.ledger import save_final_counts


@pytest.fixture
def reviewed(newsroom: Newsroom) -> Newsroom:
    """The newsroom with a list "drafts" that asks for review, due on Tuesdays, and a reader."""
    newsroom.add_list("drafts", weekday=1, review_minutes=60)
    newsroom.subscribe("ann", slug="drafts")
    newsroom.move(DAY)
    return newsroom


def without_address(newsroom: Newsroom) -> None:
    """Let the newsroom forget its postal address."""
    newsroom.app = replace(newsroom.app, settings=newsroom.app.settings.model_copy(update={"postal_address": ""}))


def rules(found: list[CheckFinding], level: CheckLevel | None = None) -> set[str]:
    return {each.rule for each in found if level in (None, each.level)}


def test_an_ordinary_edition_has_nothing_wrong(reviewed):
    reviewed.publish("A story", summary="What happened.")
    reviewed.publish("Another", summary="What else happened.")

    assert [] == check_edition(reviewed.app, reviewed.compose("drafts"))


def test_an_edition_without_a_postal_address_is_not_approved_by_anybody(reviewed):
    without_address(reviewed)
    reviewed.publish("A story")
    edition_id = reviewed.compose("drafts")
    with pytest.raises(ConflictError, match="postal address"):
        approve_edition(reviewed.app, edition_id, actor="a test")
    reviewed.move(2 * DAY / 24)

    assert [] == approve_overdue_reviews(reviewed.app)
    assert EditionState.REVIEW is reviewed.state(edition_id)
    assert reviewed.edition(edition_id).review_until is None, "it is looked at once, not at every tick"


def test_a_list_without_review_holds_an_edition_with_an_error(newsroom):
    without_address(newsroom)
    newsroom.publish("A story")
    newsroom.subscribe("ann")
    with pytest.raises(ConflictError, match="postal address"):
        start_send(newsroom.app, "weekly", None, actor="a test")

    assert {"postal address"} == rules(check_edition(newsroom.app, 1), CheckLevel.ERROR)
    assert EditionState.REVIEW is newsroom.state(1)


def test_what_was_never_filled_stops_it(reviewed):
    reviewed.publish("Hello {{ name }}", summary="Lorem ipsum dolor.")
    found = check_edition(reviewed.app, reviewed.compose("drafts"))

    assert {(CheckLevel.ERROR, "placeholder"), (CheckLevel.WARNING, "placeholder")} <= {
        (each.level, each.rule) for each in found
    }


@pytest.mark.slow
def test_a_subject_like_spam_and_a_missing_translation_are_told(reviewed):
    reviewed.subscribe("eva", slug="drafts", language="ru")
    reviewed.publish("CLICK HERE NOW PLEASE", summary="A summary.")
    reviewed.publish("A story", summary="A summary.", ru="История", age=DAY)
    found = check_edition(reviewed.app, reviewed.compose("drafts"))

    assert {"subject", "translation"} <= rules(found)
    [missing] = [each for each in found if "another language" in each.found]
    assert ("ru", True) == (missing.language, "1 of 2 items" in missing.found)


@pytest.mark.slow
def test_an_edition_like_the_last_one_is_told(reviewed):
    for title in ("One", "Two", "Three"):
        reviewed.publish(title, summary="A summary.")
    first = reviewed.compose("drafts")
    approve_edition(reviewed.app, first, actor="a test")
    for title in ("One", "Two", "Three"):
        with reviewed.app.transaction() as tx:
            record = load_record(tx.session, reviewed.article_id(title))
        publish_article(reviewed.app, record.uid, is_major=True)
    reviewed.move(WEEK)
    found = check_edition(reviewed.app, reviewed.compose("drafts"))

    assert [f"edition {first} had 3 of its 3 articles"] == [each.found for each in found if each.rule == "duplicate"]


@pytest.mark.slow
def test_an_audience_of_another_size_is_told(reviewed):
    for week in range(4):
        reviewed.publish(f"Week {week}", summary="A summary.")
        edition_id = reviewed.compose("drafts")
        if week < 3:
            approve_edition(reviewed.app, edition_id, actor="a test")
            ended(reviewed, edition_id, mails=400)
        reviewed.move(WEEK)
    found = check_edition(reviewed.app, edition_id)

    assert ["1 readers, where 400 are usual"] == [each.found for each in found if each.rule == "audience"]


def ended(newsroom: Newsroom, edition_id: int, *, mails: int) -> None:
    """Let an edition have ended with so many mails."""
    with newsroom.app.transaction() as tx:
        save_final_counts(tx.session, edition_id, {DeliveryState.ACCEPTED: mails})


def test_a_sender_of_another_domain_is_told(newsroom):
    newsroom.add_list("foreign", weekday=1, review_minutes=60, from_address="news@elsewhere.example")
    newsroom.publish("A story", summary="A summary.")
    newsroom.subscribe("ann", slug="foreign")
    newsroom.move(DAY)

    assert {"sender"} == rules(check_edition(newsroom.app, newsroom.compose("foreign")))


def test_a_link_into_a_private_network_stops_it_where_links_are_looked_at(reviewed, monkeypatch):
    reviewed.publish("A story", summary="A summary.", url="http://192.168.0.9/story")
    edition_id = reviewed.compose("drafts")
    assert [] == check_edition(reviewed.app, edition_id), "the embedded default does not look at links"
    monkeypatch.setattr("newsletter.services.edition_checks.broken_links", lambda *_: [])
    found = check_edition(reviewed.app, edition_id, asks_links=True)

    assert any("192.168.0.9" in each.found for each in found if each.level is CheckLevel.ERROR)


def test_with_workers_of_its_own_a_link_into_a_private_network_stops_the_send(reviewed):
    reviewed.publish("A story", summary="A summary.", url="http://192.168.0.9/story")
    edition_id = reviewed.compose("drafts")
    settings = reviewed.app.settings.model_copy(update={"broker_url": "redis://127.0.0.1:6379/0"})
    reviewed.app = replace(reviewed.app, settings=settings)

    with pytest.raises(ConflictError, match=r"link: http://192\.168\.0\.9/story leads into a network of our own"):
        approve_edition(reviewed.app, edition_id, actor="a test")


def test_an_edition_of_which_nothing_is_composed_cannot_be_checked(reviewed):
    reviewed.publish("A story")

    with pytest.raises(NotFoundError, match="nothing has been composed"):
        check_edition(reviewed.app, reviewed.open("drafts"))
    with pytest.raises(NotFoundError, match="there is no edition"):
        check_edition(reviewed.app, 999)


@pytest.mark.parametrize(
    ("html", "name"),
    [
        ('<p style="display:flex">', "flexbox"),
        ('<p style="color:var(--x)">', "custom properties"),
        ('<img src="data:image/png;base64,AA">', "pictures in the mail's own text"),
        ('<img src="https://e.org/a.webp">', "WebP"),
        ('<td style="background: url(a.png)">', "background pictures"),
        ('<p style="box-shadow:0 0 1px #000">', "shadows of boxes"),
        ('<p style="text-shadow:0 0 1px #000">', "shadows of text"),
        ('<p style="color:oklch(40% 0.2 30)">', "modern colours"),
        ('<img src="https://e.org/a.svg">', "SVG pictures"),
        ('<svg viewBox="0 0 1 1"></svg>', "SVG in the text"),
        ('<audio src="https://e.org/a.mp3">', "audio"),
    ],
)
def test_css_that_mail_programs_drop_is_named_with_its_source(html, name):
    [found] = dropped_features(html)

    assert name == found.name
    assert found.source.startswith("https://www.caniemail.com/features/")
    assert found in FEATURES
    assert re.fullmatch(r"20[12]\d-[01]\d", found.tested)
