"""Staff are told once by mail that an edition waits, and the link in it shows the edition and decides nothing."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from newsroom import Newsroom, read, text_of

from newsletter.config import load_settings
from newsletter.domain.deliveries import Pool
from newsletter.domain.edition_edits import EditKind
from newsletter.domain.editions import EditionState
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.services.composing import compile_edition
from newsletter.services.context import App
from newsletter.services.edition_edits import Change, edit_edition
from newsletter.services.reviews import LINK_LIFETIME, look_at_review, look_at_variant, tell_staff
from newsletter.services.sends import start_send

DESK = ("desk@newsroom.example", "chief@newsroom.example")


@pytest.fixture
def newsroom(app: App) -> Newsroom:
    """A newsroom with two addresses for reviews and a list that is reviewed, in Russian first."""
    settings = app.settings.model_copy(update={"review_addresses": DESK, "postal_address": "1 Example Street"})
    newsroom = Newsroom(replace(app, settings=settings))
    newsroom.add_list("checked", languages=("ru", "en"), titles={"ru": "Неделя", "en": "The week"}, review_minutes=240)
    newsroom.publish("Clean water", ru="Чистая вода")
    newsroom.subscribe("ann", slug="checked", language="ru")
    newsroom.subscribe("bek", slug="checked", language="en")
    return newsroom


def link_in(content: bytes) -> str:
    """Return the name that the link in a mail stands for."""
    [token] = re.findall(r"/review/([\w-]+)", text_of(content))
    return token


def named(newsroom: Newsroom, content: bytes) -> str:
    name = TokenSigner(newsroom.app.settings.secret).read(TokenPurpose.REVIEW, link_in(content))
    assert name is not None
    return name


@pytest.mark.slow
def test_staff_are_told_once_by_mail_in_the_lists_language_what_to_type(newsroom):
    with newsroom.relay():
        edition_id = newsroom.compose("checked")
        newsroom.send(Pool.TRANSACTIONAL)
        compile_edition(newsroom.app, edition_id)
        with newsroom.app.transaction() as tx:
            assert 0 == tell_staff(tx, edition_id)
        newsroom.send(Pool.TRANSACTIONAL)
        mails = newsroom.mails()

    assert {"desk": 1, "chief": 1} == {name: len(found) for name, found in mails.items()}
    [mail] = mails["desk"]
    told = " ".join(text_of(mail).split())
    assert "На проверку: " in str(read(mail)["subject"])
    assert f"newsletter editions approve {edition_id}" in told
    assert "Материалов: 1. Читателей: 2." in told
    assert "Он уйдёт сам" in told
    assert "List-Unsubscribe" not in read(mail), "it is a notice to staff and no list's mail"


@pytest.mark.slow
def test_the_link_shows_every_variant_until_its_time_and_changes_nothing(newsroom):
    with newsroom.relay():
        edition_id = newsroom.compose("checked")
        newsroom.send(Pool.TRANSACTIONAL)
        name = named(newsroom, newsroom.mails()["desk"][0])
    found = look_at_review(newsroom.app, name)
    views = {each.language: look_at_variant(newsroom.app, name, each.variant_id) for each in found.variants}

    assert (edition_id, True, "ru", 0) == (found.edition_id, found.is_waiting, found.language, found.more)
    assert {"ru", "en"} == set(views)
    assert "Чистая вода" in views["ru"].html
    assert EditionState.REVIEW is newsroom.state(edition_id)

    newsroom.move(LINK_LIFETIME)
    with pytest.raises(ConflictError, match="expired"):
        look_at_review(newsroom.app, name)
    with pytest.raises(ConflictError, match="expired"):
        look_at_variant(newsroom.app, name, found.variants[0].variant_id)


@pytest.mark.slow
def test_a_link_shows_no_variant_of_another_edition(newsroom):
    newsroom.subscribe("eva")
    first, second = newsroom.compose("checked"), newsroom.compose("weekly")
    expires = int((newsroom.clock.now + timedelta(days=1)).timestamp())
    shown = look_at_review(newsroom.app, f"{second}.{expires}").variants[0].variant_id

    with pytest.raises(NotFoundError):
        look_at_variant(newsroom.app, f"{first}.{expires}", shown)


@pytest.mark.slow
def test_an_edition_that_its_checks_hold_is_told_of_too(newsroom):
    """No review was asked: staff must learn that nothing went out."""
    newsroom.app = replace(newsroom.app, settings=newsroom.app.settings.model_copy(update={"postal_address": ""}))
    newsroom.subscribe("eva")
    with newsroom.relay():
        edition_id = newsroom.compose("weekly")
        newsroom.send(Pool.TRANSACTIONAL)
        mails = newsroom.mails()

    assert EditionState.REVIEW is newsroom.state(edition_id)
    assert "Its checks found errors" in " ".join(text_of(mails["desk"][0]).split())


def test_a_draft_that_somebody_makes_by_hand_is_not_told_of(newsroom):
    start_send(newsroom.app, "checked", None, actor="ann", is_draft=True)

    assert {} == newsroom.deliveries(None)


@pytest.mark.slow
def test_an_edit_tells_nobody_again(newsroom):
    newsroom.publish("Second")
    edition_id = newsroom.compose("checked")
    before = len(newsroom.deliveries(None))
    edit_edition(newsroom.app, edition_id, [Change(EditKind.PIN, "1")])

    assert before == len(newsroom.deliveries(None)) == 2


def test_an_address_that_is_none_is_refused_when_settings_are_read(monkeypatch, tmp_path):
    monkeypatch.setenv("NEWSLETTER_REVIEW_ADDRESSES", "desk@example.org, nobody")
    with pytest.raises(InvalidError, match="'nobody' is no e-mail address"):
        load_settings(home=tmp_path)
    monkeypatch.setenv("NEWSLETTER_REVIEW_ADDRESSES", "desk@example.org, chief@example.org")

    assert ("desk@example.org", "chief@example.org") == load_settings(home=tmp_path).review_addresses
