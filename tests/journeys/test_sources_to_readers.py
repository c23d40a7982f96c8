"""A source's new article reaches a feed and a mailbox by the tick alone, and no other server delays that."""

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from newsletter.dispatch import Doorbell, InProcessDispatcher, Ring
from newsletter.domain.lists import Cadence
from newsletter.doorbells import HANDLERS
from newsletter.embedded import EmbeddedWorker, run_until_idle
from newsletter.services.feed_documents import DocumentCache
from newsletter.services.sources import add_source, list_sources
from newsletter.storage.engine import database_now
from newsletter.storage.sources import PollRow

sys.path.append(str(Path(__file__).parents[1] / "services"))
sys.path.append(str(Path(__file__).parents[1] / "mail"))

from newsroom import Newsroom
from source_server import SourceServer, item, rss, running_source


@pytest.fixture
def source() -> Iterator[SourceServer]:
    with running_source() as running:
        yield running


@pytest.fixture
def newsroom(app) -> Iterator[Newsroom]:
    """A newsroom that runs by itself in this process, with a relay, and may ask loopback."""
    dispatcher = InProcessDispatcher()
    settings = app.settings.model_copy(update={"reachable_networks": ("127.0.0.0/8",)})
    found = Newsroom(replace(app, settings=settings, dispatcher=dispatcher))
    with found.relay():
        handlers = {
            doorbell: (lambda subject, answer=answer: answer(found.app, subject))
            for doorbell, answer in HANDLERS.items()
        }
        dispatcher.handlers = handlers
        yield found


def make_due(newsroom: Newsroom) -> None:
    with newsroom.app.transaction() as tx:
        tx.session.execute(update(PollRow).values(due_at=database_now(tx.session) - timedelta(seconds=1)))


def feed(newsroom: Newsroom) -> str:
    """Return the feed of everything in English, as a reader gets it."""
    document = DocumentCache(newsroom.app, time.monotonic).load("all-en.atom")
    return document.body.decode() if document else ""


def mailed(newsroom: Newsroom) -> int:
    return sum(len(each) for each in newsroom.mails().values())


def test_a_new_article_of_a_source_reaches_a_feed_and_a_mailbox_by_the_tick_alone(newsroom, source):
    newsroom.add_list("now", cadences=(Cadence.IMMEDIATE,))
    newsroom.subscribe("aida", slug="now", cadence="immediate")
    add_source(newsroom.app, source.put("/feed", rss(item(1), item(2))), name="Press")
    run_until_idle(newsroom.app)

    assert "Story number 2" in feed(newsroom)
    assert 0 == mailed(newsroom), "what was there before is read, and mailed to nobody"

    page = source.put("/3", "its page")
    today = format_datetime(newsroom.clock.now - timedelta(minutes=5))
    source.put("/feed", rss(item(3, pubDate=today, link=page), item(1), item(2)))
    make_due(newsroom)
    run_until_idle(newsroom.app)

    assert "Story number 3" in feed(newsroom)
    assert ["aida"] == list(newsroom.mails())

    make_due(newsroom)
    run_until_idle(newsroom.app)
    assert 1 == mailed(newsroom), "and once"

    source.put("/feed", rss(item(3, pubDate=today, link=page, title="CORRECTED: Story number 3"), item(1), item(2)))
    make_due(newsroom)
    run_until_idle(newsroom.app)
    assert "CORRECTED: Story number 3" in feed(newsroom)
    assert 2 == mailed(newsroom), "a correction is told again"

    source.put("/3", status=410)
    source.put("/feed", rss(item(1), item(2)))
    make_due(newsroom)
    run_until_idle(newsroom.app)
    assert "CORRECTED" not in feed(newsroom), "what left its feed, and whose page is gone, is withdrawn"


@pytest.mark.slow
def test_none_delays_the_others(newsroom, source, monkeypatch):
    """A tick and other sources go on while one source drips."""
    monkeypatch.setattr("newsletter.services.fetching.TOTAL_SECONDS", 3.0)
    slow = [source.put(f"/slow{n}", rss(item(n)), drips=0.1) for n in range(3)]
    for number, url in enumerate([*slow, source.put("/quick", rss(item(9)))]):
        add_source(newsroom.app, url, name=f"S{number}")
    begun = time.monotonic()
    with EmbeddedWorker(newsroom.app):
        heard = threading.Event()
        handlers = newsroom.app.dispatcher.handlers
        newsroom.app.dispatcher.handlers = {**handlers, Doorbell.SEND_TRANSACTIONAL: lambda _: heard.set()}
        newsroom.app.dispatcher.ring(Ring(Doorbell.SEND_TRANSACTIONAL))

        assert heard.wait(2)
        while not next(each for each in list_sources(newsroom.app) if each.count.slug == "s3").count.article_count:
            assert time.monotonic() - begun < 2.5
            time.sleep(0.02)
        while sum(bool(each.poll and each.poll.problem) for each in list_sources(newsroom.app)) < 3:
            assert time.monotonic() - begun < 20
            time.sleep(0.05)
