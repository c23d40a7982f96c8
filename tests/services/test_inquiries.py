"""Inquiries: one reader's story has every mail, every attempt and every reply."""

import pytest
from answering import answer
from newsroom import Newsroom

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.replies import Verdict
from newsletter.errors import InvalidError, NotFoundError
from newsletter.services.inquiries import list_mails, tell_story


def a_deferred_edition(newsroom: Newsroom) -> int:
    """Return an edition whose first mail was put off and then refused, and whose other was accepted."""
    newsroom.subscribe("ann", "bek")
    newsroom.publish("A story")
    edition_id = newsroom.fan_out()
    answer(newsroom, Verdict.RECIPIENT_DEFERRED)
    newsroom.make_due()
    answer(newsroom, Verdict.RECIPIENT_FAILED)
    return edition_id


def test_a_story_has_every_attempt_in_order(newsroom: Newsroom) -> None:
    """With times, the stage it came to, and what was said."""
    edition_id = a_deferred_edition(newsroom)
    [story] = tell_story(newsroom.app, "ann@readers.example")

    assert (story.mail.edition_id, story.mail.list_slug, story.mail.state) == (edition_id, "weekly", "failed")
    assert [(each.n, each.outcome, each.stage, each.code) for each in story.attempts] == [
        (1, "recipient_deferred", "rcpt", 450),
        (2, "recipient_failed", "rcpt", 550),
    ]
    assert story.attempts[0].started_at <= story.attempts[0].finished_at <= story.attempts[1].started_at
    assert story.mail.reason == "recipient_failed"
    assert story.message_id == f"<{story.mail.mail_token}@news.example.org>"


@pytest.mark.slow
def test_a_story_is_found_by_number_and_by_address_in_any_letters(newsroom: Newsroom) -> None:
    """As the reader writes it when they complain."""
    a_deferred_edition(newsroom)
    [by_address] = tell_story(newsroom.app, "ANN@Readers.Example")

    assert tell_story(newsroom.app, str(by_address.mail.id)) == [by_address]


def test_whoever_is_not_there_has_no_story(newsroom: Newsroom) -> None:
    """And what is neither a number nor an address is told apart."""
    with pytest.raises(NotFoundError, match="no subscriber"):
        tell_story(newsroom.app, "nobody@readers.example")
    with pytest.raises(NotFoundError, match="no delivery 77"):
        tell_story(newsroom.app, "77")
    with pytest.raises(InvalidError):
        tell_story(newsroom.app, "ann")


@pytest.mark.slow
def test_mails_are_listed_by_what_became_of_them(newsroom: Newsroom) -> None:
    """By edition, state, answer and provider, page by page."""
    edition_id = a_deferred_edition(newsroom)
    first, second = list_mails(newsroom.app, edition_id=edition_id)

    assert list_mails(newsroom.app, answer="recipient_failed") == [first]
    assert list_mails(newsroom.app, states=[DeliveryState.ACCEPTED]) == [second]
    assert list_mails(newsroom.app, provider="gmail") == []
    assert list_mails(newsroom.app, after=first.id) == [second]
    assert list_mails(newsroom.app, limit=1) == [first]
    assert list_mails(newsroom.app, edition_id=edition_id + 1) == []
