"""Polled sources and API clients in SQL, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from newsletter.domain.sources import SourceState
from newsletter.storage import api_clients, sources
from newsletter.storage.api_clients import ApiClientRow, ApiRequestRow
from newsletter.storage.articles import known_items, lock_source
from newsletter.storage.engine import Database, database_now
from newsletter.storage.sources import NewPoll, Poll, PollRow

NOW = datetime(2026, 3, 16, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def press(database: Database) -> int:
    """A source that is polled, and due."""
    with database.transaction() as session:
        source = lock_source(session, "press", "The Press", now=NOW)
        assert sources.add_poll(session, source.id, NewPoll("https://a.example/feed", "story", ("water",), "ru"))
    return source.id


def found(database: Database) -> Poll:
    with database.reading() as session:
        poll = sources.find_poll(session, "press")
    assert poll is not None
    return poll


def test_a_source_is_polled_once_and_found_by_all_its_names(database, press):
    with database.transaction() as session:
        assert not sources.add_poll(session, press, NewPoll("https://b.example/", "story"))
        sources.save_hub(session, press, hub_name="a-name")
        sources.save_poll(session, press, token="nobody's", wait=MINUTE, url="https://never.example/")
    with database.reading() as session:
        poll = sources.find_poll(session, "press")

        assert poll is not None
        assert poll == sources.find_poll_by_url(session, "https://a.example/feed")
        assert poll == sources.find_poll_by_hub_name(session, "a-name")
        assert [poll] == sources.load_polls(session)
        assert sources.find_poll(session, "other") is None
    assert (("water",), "ru", True, SourceState.ACTIVE) == (poll.topics, poll.language, poll.is_first, poll.state)


def test_a_claim_keeps_others_away_until_its_lease_ends(database, press):
    with database.transaction() as session:
        assert [press] == sources.due_polls(session, limit=9)
        assert sources.claim_poll(session, press, token="a", lease=MINUTE)
        assert [] == sources.due_polls(session, limit=9)
        assert sources.claim_poll(session, press, token="b", lease=MINUTE) is None
        session.execute(update(PollRow).values(lease_until=database_now(session) - MINUTE))
        assert [press] == sources.due_polls(session, limit=9)
        assert sources.claim_poll(session, press, token="b", lease=MINUTE)
        assert not sources.save_poll(session, press, token="a", wait=MINUTE, problem="stale")
        assert sources.save_poll(session, press, token="b", wait=MINUTE, window=["x"], missing={"y": "z"})
        assert [] == sources.due_polls(session, limit=9)
        assert sources.claim_poll(session, press, token="c", lease=MINUTE) is None
        assert sources.claim_poll(session, press, token="c", lease=MINUTE, at_once=True)

    assert ("", ("x",), {"y": "z"}) == (found(database).problem, found(database).window, found(database).missing)


def test_states_and_haste(database, press):
    with database.transaction() as session:
        sources.claim_poll(session, press, token="a", lease=MINUTE)
        sources.save_poll(session, press, token="a", wait=60 * MINUTE, failures=4, problem="ill")
        sources.hasten_poll(session, press, not_within=5 * MINUTE)
    hastened = found(database)
    with database.transaction() as session:
        sources.hasten_poll(session, press, not_within=30 * MINUTE)
    assert hastened.due_at == found(database).due_at, "never later"
    with database.transaction() as session:
        sources.set_poll_state(session, press, SourceState.PAUSED, "moving")
        assert [] == sources.due_polls(session, limit=9)
        sources.set_poll_state(session, press, SourceState.ACTIVE, "")
        assert [press] == sources.due_polls(session, limit=9)
        sources.remove_poll(session, press)

    assert hastened.polled_at is not None
    assert 5 * MINUTE == hastened.due_at - hastened.polled_at
    with database.reading() as session:
        assert [("press", 0, None)] == [
            (each.slug, each.article_count, each.last_received_at) for each in sources.count_sources(session)
        ]
        assert {} == known_items(session, press, ["a", "b"])


@pytest.fixture
def client(database: Database) -> int:
    with database.transaction() as session:
        source = lock_source(session, "cms", "CMS", now=NOW)
        assert api_clients.add_client(session, name="CMS", source_id=source.id, token_digest="d" * 64)
        assert not api_clients.add_client(session, name="CMS", source_id=source.id, token_digest="e" * 64)
        (only,) = api_clients.load_clients(session)
    return only.id


def test_a_client_is_found_until_it_is_revoked(database, client):
    with database.transaction() as session:
        there = api_clients.find_client(session, "d" * 64)
        assert there is not None
        assert (client, "cms", "CMS") == (there.id, there.source, there.source_title)
        assert api_clients.find_client(session, "x") is None
        assert api_clients.revoke_client(session, "CMS")
        assert not api_clients.revoke_client(session, "CMS")
        assert api_clients.find_client(session, "d" * 64) is None


def test_requests_of_a_minute_are_counted(database, client):
    with database.transaction() as session:
        assert [None, None] == [api_clients.count_request(session, client, most=2) for _ in range(2)]
        wait = api_clients.count_request(session, client, most=2)
        session.execute(update(ApiClientRow).values(minute_at=database_now(session) - MINUTE))
        assert api_clients.count_request(session, client, most=2) is None

    assert wait is not None
    assert timedelta(0) < wait <= MINUTE


def test_a_request_with_a_key_is_answered_once(database, client):
    def begin(fingerprint: str = "f"):
        with database.transaction() as session:
            return api_clients.begin_request(session, client, "k", fingerprint, broken_off_after=MINUTE)

    assert begin() is None
    assert begin().status is None
    with database.transaction() as session:
        api_clients.end_request(session, client, "k", status=201, answer="{}", location="/x")
    assert ("f", 201, "{}", "/x") == (begin().fingerprint, begin().status, begin().answer, begin().location)
    with database.transaction() as session:
        session.execute(update(ApiRequestRow).values(status=None, at=database_now(session) - 2 * MINUTE))
    assert begin("another") is not None
    assert begin() is None, "it was broken off, and is taken over"
    with database.transaction() as session:
        api_clients.forget_requests(session, older_than=MINUTE)
        assert api_clients.begin_request(session, client, "k", "f", broken_off_after=MINUTE)
        api_clients.drop_request(session, client, "k")
    assert begin() is None
