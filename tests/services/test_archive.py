"""The archive: editions as they were sent, without anything of a reader's own."""

import pytest
from newsroom import DAY, HOUR, WEEK

from newsletter.domain.editions import EditionState
from newsletter.domain.lists import Cadence
from newsletter.errors import NotFoundError
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.services.archive import list_archive, view_edition
from newsletter.services.editions import cancel_edition, fan_out_edition, pause_edition
from newsletter.services.reports import preview_edition


@pytest.mark.slow
def test_editions_are_listed_with_their_subjects_the_newest_first(newsroom):
    newsroom.publish("First", ru="Первый")
    newsroom.subscribe("ann")
    newsroom.subscribe("eva", language="ru")
    newsroom.fan_out()
    newsroom.move(WEEK)
    newsroom.publish("Second")
    newsroom.fan_out()
    with newsroom.app.reading() as tx:
        second, first = list_archive(tx, "weekly")

    assert ("2026-W13", "2026-W12") == (second.slot_key, first.slot_key)
    assert {"en": "The weekly: First", "ru": "Новости: Первый"} == first.subjects
    assert (Cadence.WEEKLY, newsroom.clock.now) == (second.cadence, second.sent_at)


@pytest.mark.slow
def test_what_is_shown_is_what_shows_most_and_belongs_to_nobody(newsroom):
    newsroom.publish("A story", ru="Рассказ", age=HOUR)
    newsroom.publish("A video", kind="video")
    newsroom.subscribe("ann")
    newsroom.subscribe("bek", kinds=("video",))
    newsroom.subscribe("eva", language="ru")
    newsroom.fan_out()
    with newsroom.app.reading() as tx:
        view, russian = (view_edition(tx, "weekly", "2026-W12", language) for language in ("en", "ru"))
        for language in ("ky", "nosuch"):
            with pytest.raises(NotFoundError, match=f"in {language}"):
                view_edition(tx, "weekly", "2026-W12", language)

    assert all("A story" in part and "A video" in part for part in (view.html, view.text))
    assert "Рассказ" in russian.text
    signer = TokenSigner(newsroom.app.settings.secret)
    for name in ("ann", "bek", "eva"):
        uid = newsroom.subscription(name).uid
        for secret in (f"{name}@", uid, *(signer.sign(purpose, uid) for purpose in TokenPurpose)):
            assert secret not in view.html + view.text + russian.html + russian.text
    assert "/unsubscribe/" not in view.html + view.text
    assert 'href=""' not in view.html
    assert all("https://news.example.org/subscribe" in part for part in (view.html, view.text))
    assert "Zq" not in view.html + view.text


@pytest.mark.slow
def test_the_link_in_a_mail_leads_to_what_its_reader_got(mailing_newsroom):
    newsroom = mailing_newsroom
    newsroom.publish("A story", age=HOUR)
    newsroom.publish("A video", kind="video")
    newsroom.subscribe("ann")
    newsroom.subscribe("bek", kinds=("video",))
    newsroom.fan_out()
    newsroom.send()
    with newsroom.app.reading() as tx:
        for name, expected in (("ann", True), ("bek", False)):
            [mail] = newsroom.mails()[name]
            digest = mail.decode().replace("=\r\n", "").partition("/archive/weekly/2026-W12/en/")[2][:16]
            view = view_edition(tx, "weekly", "2026-W12", "en", digest)
            assert expected is ("A story" in view.text)
            with pytest.raises(NotFoundError):
                view_edition(tx, "weekly", "2026-W12", "ru", digest)
        with pytest.raises(NotFoundError):
            view_edition(tx, "weekly", "2026-W12", "en", "0" * 16)


def test_only_approved_editions_are_shown_and_staff_see_one_in_review(newsroom):
    newsroom.add_list("reviewed", review_minutes=60)
    newsroom.publish("A story")
    newsroom.subscribe("ann", slug="reviewed")
    edition_id = newsroom.compose("reviewed")
    with newsroom.app.reading() as tx:
        assert [] == list_archive(tx, "reviewed")
        with pytest.raises(NotFoundError):
            view_edition(tx, "reviewed", "2026-W12", "en")
        assert "A story" in view_edition(tx, "reviewed", "2026-W12", "en", for_staff=True).text

    assert "A story" in preview_edition(newsroom.app, edition_id, None).text
    with pytest.raises(NotFoundError, match="it has en"):
        preview_edition(newsroom.app, edition_id, "ru")
    with pytest.raises(NotFoundError, match="no edition 99"):
        preview_edition(newsroom.app, 99, None)


@pytest.mark.parametrize(("act", "shown"), [(pause_edition, 1), (cancel_edition, 0)])
def test_a_paused_edition_stays_and_a_cancelled_one_goes(newsroom, act, shown):
    newsroom.publish("A story")
    newsroom.subscribe("ann")
    edition_id = newsroom.fan_out()
    act(newsroom.app, edition_id)

    with newsroom.app.reading() as tx:
        assert shown == len(list_archive(tx, "weekly"))


def test_skipped_editions_are_not_shown(newsroom):
    edition_id = newsroom.compose()

    assert EditionState.SKIPPED == newsroom.state(edition_id)
    with newsroom.app.reading() as tx:
        assert [] == list_archive(tx, "weekly")
        with pytest.raises(NotFoundError, match="no list 'nosuch'"):
            list_archive(tx, "nosuch")


def test_an_archive_does_not_change_with_its_articles(newsroom):
    newsroom.publish("A story", summary="As it was sent")
    newsroom.subscribe("ann")
    newsroom.fan_out()
    newsroom.move(DAY)
    newsroom.publish("A story", summary="As it is now", age=DAY + 12 * HOUR)
    with newsroom.app.reading() as tx:
        view = view_edition(tx, "weekly", "2026-W12", "en")

    assert "As it was sent" in view.text
    assert "As it is now" not in view.text
    assert 0 == fan_out_edition(newsroom.app, 99)


@pytest.mark.slow
def test_words_of_articles_are_words_in_html_too(newsroom):
    """Those of the lines that a variant's readers share, such as the preheader, are filled in after rendering."""
    newsroom.publish("Lead", age=HOUR)
    newsroom.publish("Ducks & <b>geese</b>", url="https://example.org/ducks")
    newsroom.subscribe("ann")
    newsroom.fan_out()
    with newsroom.app.reading() as tx:
        view = view_edition(tx, "weekly", "2026-W12", "en")

    assert view.html.count("Ducks &amp; &lt;b&gt;geese") == view.html.count("Ducks") >= 2
    assert "Ducks & <b>geese</b>" in view.text
