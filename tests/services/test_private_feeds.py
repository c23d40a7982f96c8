"""Private feeds: what a reader chose, by an address that only they have, that they can renew and take back."""

import json

import pytest
from feed_newsroom import Newsroom
from feed_reader import Reader
from starlette.applications import Starlette

from newsletter.domain.articles import Kind
from newsletter.domain.feeds import Facet, FeedFormat
from newsletter.domain.lists import Cadence
from newsletter.domain.subscriptions import SubscriptionState
from newsletter.errors import ConflictError, NotFoundError
from newsletter.services.choices import change_choice
from newsletter.services.filters import NamedFilter
from newsletter.services.private_feeds import address_of, renew, revoke
from newsletter.services.subscriber_imports import add_subscriber
from newsletter.services.subscriptions import unsubscribe
from newsletter.storage.feeds import count_feeds
from newsletter.storage.subscribers import load_subscriber
from newsletter.storage.subscriptions import load_subscriptions
from newsletter.web.feeds import routes

BASE = "https://news.example.org"


@pytest.fixture(params=["sqlite"])
def database(request):
    return request.getfixturevalue(f"{request.param}_database")


both_databases = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def newsroom(app, preparations) -> Newsroom:
    published = (
        {"topics": ("health",), "languages": "en ru"},
        {"topics": ("health", "water")},
        {"topics": ("water",)},
    )
    return Newsroom.prepared(app, preparations, *published, languages="en ru")


def subscribe(newsroom: Newsroom, address: str = "aida@example.org", **choice) -> str:
    """Subscribe a reader to the weekly list, which is of health, and return the uid that their links name."""
    add_subscriber(newsroom.app, "weekly", address, basis="asked at the desk", wanted=NamedFilter(), **choice)
    return uid_of(newsroom, address)


def uid_of(newsroom: Newsroom, address: str = "aida@example.org") -> str:
    with newsroom.app.reading() as tx:
        person = load_subscriber(tx.session, address)
        live = [
            each for each in load_subscriptions(tx.session, [person.id]) if each.state is SubscriptionState.CONFIRMED
        ]
    return live[-1].uid


def get(newsroom: Newsroom, address: str, headers=None):
    return Reader(Starlette(routes=routes(newsroom.app))).get(address.removeprefix(BASE), headers)


def titles(newsroom: Newsroom, addresses) -> list[str]:
    return [item["title"] for item in get(newsroom, addresses[FeedFormat.JSON]).json()["items"]]


@both_databases
def test_a_reader_gets_what_they_chose_by_an_address_of_their_own(newsroom):
    uid = subscribe(newsroom)
    assert address_of(newsroom.app, uid) is None
    addresses = renew(newsroom.app, uid)

    assert addresses == address_of(newsroom.app, uid)
    assert ["Story 2 (en)", "Story 1 (en)"] == titles(newsroom, addresses)
    assert all(address.startswith(f"{BASE}/feeds/private/") for address in addresses.values())
    response = get(newsroom, addresses[FeedFormat.ATOM])
    assert "private, max-age=300" == response.headers["cache-control"]
    assert "noindex" == response.headers["x-robots-tag"]
    assert not {"link", "access-control-allow-origin", "set-cookie"} & set(response.headers)
    assert 304 == get(newsroom, addresses[FeedFormat.ATOM], {"If-None-Match": response.headers["etag"]}).status_code


@pytest.mark.slow
def test_the_documents_say_nothing_of_whose_they_are(newsroom):
    """Readers who chose the same share them: no token, no address and no hub stands in any."""
    first, second = subscribe(newsroom), subscribe(newsroom, "bakyt@example.org")
    mine, theirs = renew(newsroom.app, first), renew(newsroom.app, second)
    assert mine != theirs
    for form in FeedFormat:
        body = get(newsroom, mine[form]).content
        assert body == get(newsroom, theirs[form]).content
        assert b"private/" not in body
        assert b"hub" not in body
    assert "feed_url" not in json.loads(get(newsroom, mine[FeedFormat.JSON]).content)
    with newsroom.app.reading() as tx:
        assert 1 == count_feeds(tx.session, Facet.CHOICE)


@pytest.mark.slow
@both_databases
def test_the_address_stays_while_the_choice_changes(newsroom):
    uid = subscribe(newsroom)
    addresses = renew(newsroom.app, uid)
    change_choice(
        newsroom.app, uid, cadence=Cadence.WEEKLY, language="ru", wanted=NamedFilter(kinds=("speech",)), evidence="test"
    )

    assert addresses == address_of(newsroom.app, uid_of(newsroom)) == address_of(newsroom.app, uid)
    assert [] == titles(newsroom, addresses), "there is no speech"
    newsroom.later(hours=1).publish(4, topics=("health",), kind=Kind.SPEECH, languages="ru")
    newsroom.rebuild()
    assert ["Story 4 (ru)"] == titles(newsroom, addresses)


@pytest.mark.slow
def test_a_new_article_comes_in_the_reader_s_language_or_else_in_its_own(newsroom):
    uid = subscribe(newsroom, language="ru")
    addresses = renew(newsroom.app, uid)
    assert ["Story 2 (en)", "Story 1 (ru)"] == titles(newsroom, addresses)
    newsroom.later(hours=1).publish(4, topics=("health",), languages="ru en")
    newsroom.rebuild()

    assert ["Story 4 (ru)", "Story 2 (en)", "Story 1 (ru)"] == titles(newsroom, addresses)


def test_an_address_can_be_renewed_and_taken_back(newsroom):
    uid = subscribe(newsroom)
    old = renew(newsroom.app, uid)
    new = renew(newsroom.app, uid)
    assert old[FeedFormat.RSS] != new[FeedFormat.RSS]
    assert 410 == get(newsroom, old[FeedFormat.RSS]).status_code
    assert 200 == get(newsroom, new[FeedFormat.RSS]).status_code

    revoke(newsroom.app, uid)
    assert address_of(newsroom.app, uid) is None
    assert 410 == get(newsroom, new[FeedFormat.RSS]).status_code
    assert 200 == get(newsroom, renew(newsroom.app, uid)[FeedFormat.RSS]).status_code


def test_whoever_leaves_the_list_leaves_its_feed(newsroom):
    uid = subscribe(newsroom)
    addresses = renew(newsroom.app, uid)
    unsubscribe(newsroom.app, uid, basis="link", evidence="test")

    assert 410 == get(newsroom, addresses[FeedFormat.ATOM]).status_code
    with pytest.raises(ConflictError):
        renew(newsroom.app, uid)


def test_nobody_finds_an_address_by_trying(newsroom):
    for token in ("a" * 32, "A" * 31, "all-en", "a" * 32 + "x"):
        assert 404 == get(newsroom, f"/feeds/private/{token}.atom").status_code
    with pytest.raises(NotFoundError):
        renew(newsroom.app, "no-such-uid")
