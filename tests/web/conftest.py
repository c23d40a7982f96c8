"""A newsroom with two lists and a topic tree, and a browser without scripts or cookies in front of it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from prepared import Preparations
from web_visitors import Browser, find

from newsletter.domain.lists import Cadence
from newsletter.domain.subscriptions import Subscription
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.services.context import App
from newsletter.services.filters import NamedFilter
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.topics import load_topic_document
from newsletter.storage.engine import Database
from newsletter.web import visits

TOPICS = """
topics:
  - slug: city
    labels: {en: The city, ru: Город}
  - slug: schools
    parent: city
    labels: {en: Schools, ru: Школы}
  - slug: rivers
    labels: {en: Rivers, ru: Реки}
"""


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest) -> Database:
    """The embedded database: what pages do there they do by the services, which are tested on both."""
    database: Database = request.getfixturevalue(f"{request.param}_database")
    return database


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer forms when their work is done; what the wait hides has a test of its own."""
    monkeypatch.setattr(visits, "ANSWER_SECONDS", 0)


@pytest.fixture
def newsroom(app: App, preparations: Preparations) -> App:
    """An App with two public lists, one of them of events only, a hidden list, and three topics."""
    preparations.once(app, with_lists_and_topics)
    return app


def with_lists_and_topics(app: App) -> None:
    load_topic_document(app, "topics.yaml", TOPICS.encode())
    cadences = (Cadence.DAILY, Cadence.WEEKLY)
    since = app.clock() - timedelta(days=30)
    titles = {"en": "The week", "ru": "Неделя"}
    add_list(app, ListDraft(slug="weekly", titles=titles, cadences=cadences, since=since))
    events = NamedFilter(kinds=("event",))
    add_list(app, ListDraft(slug="events", titles={"en": "Events"}, filter=events, since=since))
    add_list(app, ListDraft(slug="staff", titles={"en": "Staff only"}, is_public=False))


@pytest.fixture
def browser(newsroom: App) -> Browser:
    """A browser in front of `newsroom`."""
    return Browser(newsroom)


@pytest.fixture
def path_to(newsroom: App) -> Callable[..., str]:
    """Return the path that a mail to a reader would lead to, by purpose."""

    def path(purpose: TokenPurpose, uid: str) -> str:
        return f"/{purpose}/{TokenSigner(newsroom.settings.secret).sign(purpose, uid)}"

    return path


@pytest.fixture
def sign_up(browser: Browser, newsroom: App) -> Callable[..., Subscription]:
    """Sign an address up by the form and return its newest subscription, which waits."""

    def act(address: str = "aida@example.org", **fields: object) -> Subscription:
        answer = browser.subscribe(address=address, **{"list": "weekly", **fields})
        assert 200 == answer.status_code
        return find(newsroom, address)[-1]

    return act


@pytest.fixture
def reader(sign_up: Callable[..., Subscription], browser: Browser, newsroom: App, path_to) -> Subscription:
    """A reader of the weekly list who signed up and confirmed."""
    waiting = sign_up()
    browser.post(path_to(TokenPurpose.CONFIRM, waiting.uid))
    return find(newsroom, "aida@example.org")[-1]
