"""Every route that the application has, asked what nobody should ask it: never a failure of ours, always the guards.

Whatever can come from outside is hostile in this newsroom, and nothing of it may act in any page, feed or calendar.
Routes are read off the application itself and fields off the templates, so that a new one cannot be forgotten here.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote, urlencode

import httpx
import pytest
from harmless import EVIL, EVIL_LINES, EVIL_URL, harm_in
from hypothesis import HealthCheck, given
from hypothesis import settings as asking
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.routing import Mount, Route
from web_visitors import Browser

from newsletter.domain.lists import Cadence
from newsletter.domain.sources import HubState
from newsletter.domain.staff import Role
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.rendering.environment import templates_folder
from newsletter.services import api as api_service
from newsletter.services import edition_checks, private_feeds, staff
from newsletter.services.api import add_api_client
from newsletter.services.article_imports import import_document
from newsletter.services.composing import compile_edition
from newsletter.services.context import App
from newsletter.services.editions import open_due_editions
from newsletter.services.feed_rebuilding import rebuild_feeds
from newsletter.services.filters import EVERY_ARTICLE
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.requests import ask_for_data
from newsletter.services.search import index_articles
from newsletter.services.sources import add_source
from newsletter.services.subscriber_imports import add_subscriber
from newsletter.services.topics import load_topic_document
from newsletter.storage import articles, editions, sources, variants
from newsletter.storage.requests import ReaderRequestRow
from newsletter.web import feeds, rates
from newsletter.web.application import build_web
from newsletter.web.console.desk import COOKIE
from newsletter.web.security import BodyLimit, SecurityHeaders

ASKED = 1000
BASIS = "signed up on paper at the fair, May 2024"
MISSING = ("/archive/2026-03/all-en.atom", "/gone-en.atom")
"""Feeds that the newsroom could have and has not."""
OPERATOR = "operator@staff.example"
METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH")
HOLE = re.compile(r"{([a-z]+)[^}]*}")
UNTYPED = ("before", "lang", "lists", "after", "page", "q", "hub.mode", "hub.topic", "hub.callback", "hub.challenge")
"""Fields of addresses that no template names."""
STRANGE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["", "0", "-1", "9" * 40, "..", "%00", "\0", "\u202e", "🙂", "null", "../../etc/passwd", "' OR 1"]),
    st.binary(max_size=20).map(lambda raw: raw.decode("latin-1")),
)
USUAL = st.sampled_from(
    (
        *(
            "weekly",
            "leave-all",
            "undo",
            "pause",
            "lists",
            "erase",
            "2026-04-01",
            "a@gmial.com",
            "aida@example.org",
            "en",
        ),
        *("subscribe", "denied", "https://example.org/feed", "correction", "test", "1", "on", "operator"),
    )
)
HEADERS = st.dictionaries(
    st.sampled_from(
        (
            *("host", "accept", "accept-language", "accept-encoding", "if-none-match", "if-modified-since", "range"),
            *(
                "origin",
                "cookie",
                "authorization",
                "x-forwarded-for",
                "x-hub-signature",
                "idempotency-key",
                "forwarded",
            ),
            *("sec-fetch-dest", "sec-fetch-site", "content-length"),
        )
    ),
    st.one_of(
        st.binary(max_size=30).map(lambda raw: re.sub(rb"[\r\n\0]", b"", raw)),
        st.sampled_from(
            [b"*", b"document", b"cross-site", b"br;q=1", b"Thu, 01 Jan 1970 00:00:00 GMT", b"bytes=0-", b"[::"]
        ),
    ),
    max_size=3,
)


EVENT = {
    "starts_at": "2026-04-02T10:00",
    "zone": "UTC",
    "venue": EVIL_LINES,
    "address": EVIL,
    "contact": EVIL_LINES,
}


@dataclass(frozen=True)
class Place:
    """A path of the application, with holes, and the methods that it takes."""

    path: str
    methods: tuple[str, ...]


def places(app: App) -> list[Place]:
    """Return all that the application answers; what is asked past its routes is a route of the feeds'."""
    return [*walk(build_web(app).routes), *walk(feeds.routes(app)), Place("/feeds/hub", ("POST",))]


def walk(routes, prefix: str = "") -> Iterator[Place]:
    for route in routes:
        if isinstance(route, Mount):
            yield from walk(route.routes, prefix + route.path)
        else:
            assert isinstance(route, Route), f"say here how {route!r} is asked"
            yield Place(prefix + route.path, tuple(sorted(route.methods or METHODS)))


def fields_of_forms() -> list[str]:
    """Return the names of all fields that our templates have."""
    found: set[str] = set(UNTYPED)
    for path in templates_folder().glob("web/**/*.html"):
        text = path.read_text(encoding="utf-8")
        found.update(re.findall(r'name="([\w.-]+)"', text), re.findall(r'(?:field|choices)\(\s*"([\w-]+)"', text))
    return sorted(found)


FIELDS = st.sampled_from(fields_of_forms())
VALUES = st.one_of(STRANGE, USUAL)
PAIRS = st.lists(st.tuples(FIELDS, VALUES), max_size=6)


@dataclass
class Furnished:
    """A newsroom that has one of everything, and somebody signed in who asks; *real*: what fills holes, by place."""

    app: App
    browser: Browser
    password: str
    headers: dict[str, str]
    real: dict[str, str]
    names: list[str]
    session: str = ""

    def fill(self, path: str, strange: str | None = None, turn: int = 0) -> str:
        """Return *path* with what is there in its holes, or with something strange."""
        first = path.split("/")[1]

        def value(hole: re.Match[str]) -> str:
            if strange is not None:
                return quote(strange, safe="")
            if path.startswith("/feeds/"):
                return self.names[turn % len(self.names)]
            return self.real.get(f"{first}.{hole[1]}") or self.real[hole[1]]

        return HOLE.sub(value, path)

    def ask(self, method: str, address: str, pairs=(), body=None, headers=None) -> httpx.Response:
        """Ask with everything that opens doors: a session with its forms' mark, and a token for the API."""
        if not self.session or staff.find_session(self.app, self.session) is None:  # it was signed out
            found = staff.sign_in(self.app, OPERATOR, self.password, network="here")
            assert isinstance(found, staff.SignedIn)
            self.session = found.token
        mark = ("form_token", staff.form_token(self.session))
        kind, content = body or (
            "application/x-www-form-urlencoded",
            urlencode([mark, *pairs], errors="surrogatepass").encode(),
        )
        usual = {"cookie": f"{COOKIE}={self.session}", "content-type": kind}
        told: dict[str, bytes | str] = self.headers | usual | (headers or {})
        return self.browser.request(method, address, content=content if method == "POST" else b"", headers=told)


@pytest.fixture
def settings(settings):
    """Those of a newsroom whose own name is no better than what comes from outside."""
    return settings.model_copy(update={"name": EVIL, "postal_address": EVIL})


@pytest.fixture
def furnished(newsroom: App, browser: Browser, sign_up, path_to, monkeypatch) -> Furnished:
    monkeypatch.setattr(api_service, "REQUESTS_PER_MINUTE", 10**6)
    for limit in ("MOST_ORDERS", "MOST_SEARCHES", "MOST_PREVIEWS"):
        monkeypatch.setattr(rates, limit, 10**6)
    for limit in ("TRIES_AT_ACCOUNT_FROM_NETWORK", "TRIES_FROM_NETWORK", "TRIES_AT_ACCOUNT"):
        monkeypatch.setattr(staff, limit, 10**6)
    monkeypatch.setattr(edition_checks, "MOST_LINKS", 0)  # a check asks the links of an edition, and these lead nowhere
    reader = sign_up()
    browser.post(path_to(TokenPurpose.CONFIRM, reader.uid))
    write(newsroom)
    add_subscriber(newsroom, "weekly", "b@example.org", basis=BASIS, cadence=Cadence.WEEKLY, wanted=EVERY_ARTICLE)
    add_list(
        newsroom,
        ListDraft(
            slug="reviewed",
            titles={"en": EVIL},
            descriptions={"en": EVIL},
            review_minutes=600,
            since=long_ago(newsroom),
        ),
    )
    add_subscriber(newsroom, "reviewed", "c@example.org", basis=BASIS, wanted=EVERY_ARTICLE)
    for edition_id in open_due_editions(newsroom):
        compile_edition(newsroom, edition_id)
    index_articles(newsroom)
    rebuild_feeds(newsroom)
    ask_for_data(newsroom, reader.uid)
    own_feed = next(iter(private_feeds.renew(newsroom, reader.uid).values())).rpartition("/feeds/")[2]
    allowed = {"authorization": f"Bearer {add_api_client(newsroom, 'Anything').token}"}
    told = {"id": "1", "kind": "story", "published": "2026-03-15", "title": "A tram", "markdown": "A tram runs. " * 20}
    brought = browser.post("/api/articles", json=told, headers=allowed).json()["article"]["uid"]
    return Furnished(
        newsroom,
        browser,
        staff.add_account(newsroom, OPERATOR, Role.OPERATOR).password,
        allowed,
        real_values(newsroom, reader.uid) | {"api.uid": brought},
        ["all-en.atom", "all-en.json", "all-en.ics", "list-weekly-en.rss", own_feed, "style.css", ""]
        + [f"custom.{suffix}?topic=rivers&kind=story" for suffix in ("atom", "ics")]
        + ["custom?topic=schools", "archive/2026-03/all-en.atom", "all.rss", "gone-en.atom"],
    )


def long_ago(app: App):
    return app.clock() - timedelta(days=60)


def write(app: App) -> None:
    """Bring in an event and a story of last week, and a topic, each as hostile as what comes from outside can be."""
    items = [
        {
            "id": kind,
            "kind": kind,
            "title": f"A {kind} of the river {EVIL}",
            "summary": EVIL,
            "url": f"https://example.org/{kind}?{quote(EVIL)}" if kind == "story" else EVIL_URL,
            "topics": ["rivers"],
            "published": (app.clock() - timedelta(days=2)).isoformat(),
            "html": f"<p onclick=alert(1)>The river. {EVIL} <a href='{EVIL_URL}'>a link</a></p><svg onload=alert(1)>"
            * 9,
            "image": {"url": "https://example.org/a.png", "alt": EVIL, "credit": EVIL, "caption": EVIL},
            **({"event": EVENT} if kind == "event" else {}),
        }
        for kind in ("story", "event")
    ]
    load_topic_document(
        app, "topics.json", json.dumps({"topics": [{"slug": "rivers", "labels": {"en": EVIL}}]}).encode()
    )
    import_document(app, "articles.json", json.dumps(items).encode(), source="Press")


def real_values(app: App, uid: str) -> dict[str, str]:
    """Return what is there, by the name of the hole that it fills; some by the first part of the path too."""
    signer = TokenSigner(app.settings.secret)
    with app.reading() as tx:
        [event] = [
            each for each in articles.visible_articles(tx.session, now=tx.now, since=long_ago(app)) if each.event
        ]
        sent = next(each for each in editions.list_editions(tx.session) if each.state == "approved")
        waiting = next(each for each in editions.list_editions(tx.session) if each.state == "review")
        shown, drafted = (variants.widest_variant(tx.session, each.id, "en") for each in (sent, waiting))
        asked = tx.session.scalars(select(ReaderRequestRow.uid)).one()
    lives = int((app.clock() + timedelta(days=1)).timestamp())
    names = {"requests": asked, "refusals": asked, "review": f"{waiting.id}.{lives}"}
    tokens = {f"{each}.token": signer.sign(each, names.get(each.value, uid)) for each in TokenPurpose}
    return tokens | {
        "uid": event.uid,
        "article": event.uid,
        "slug": "rivers",
        "list": "weekly",
        "slot": sent.slot_key,
        "language": "en",
        "digest": shown.digest[:16] if shown else "",
        "variant": str(drafted.id if drafted else 0),
        "edition": str(waiting.id),
        "name": hub_name(app),
    }


def hub_name(app: App) -> str:
    """Return the name under which the hub of a source calls back, with the question that it asks."""
    poll = add_source(app, "https://press.example/feed", name="Polled")
    told = {"hub_url": "https://hub.example/", "hub_topic": poll.url, "hub_name": "a-name-in-an-address"}
    with app.transaction() as tx:
        sources.save_hub(tx.session, poll.source_id, hub_state=HubState.ASKED, **told)
    asked = {"hub.mode": "subscribe", "hub.topic": poll.url, "hub.challenge": "x", "hub.lease_seconds": "864000"}
    return f"{told['hub_name']}?{urlencode(asked)}"


def hold(answer: httpx.Response, *told: object) -> None:
    """See that an answer is no failure of ours and carries what guards it."""
    path = answer.request.url.path
    assert answer.status_code < 500, (answer.text[:200], *told)
    assert "nosniff" == answer.headers.get("x-content-type-options") or answer.status_code in (204, 304), told
    if not path.startswith(("/feeds/", "/feeds.opml")):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'"), told
    if "html" in answer.headers.get("content-type", ""):
        assert "script-src 'unsafe" not in answer.headers["content-security-policy"], told
    assert [] == harm_in(answer), told
    if not path.startswith("/console"):
        assert "set-cookie" not in answer.headers, told


@pytest.mark.slow
def test_every_route_answers_to_what_is_there(furnished):
    for place in places(furnished.app):
        for method in place.methods:
            for turn in range(len(furnished.names) if "{name:path}" in place.path else 1):
                address = furnished.fill(place.path, turn=turn)
                answer = furnished.ask(method, address)

                hold(answer, method, address)
                if method == "GET":
                    assert (404 == answer.status_code) == address.endswith(MISSING), address
    for path in ("/", "/articles/{uid}", "/archive/{list}/{slot}/{language}", "/console/editions/{edition}"):
        shown = furnished.ask("GET", furnished.fill(path)).text
        assert "&lt;script&gt;alert(1)" in shown, f"{path} shows none of what is hostile"


@pytest.mark.slow
def test_no_request_makes_a_route_fail(furnished):
    everything = places(furnished.app)
    bodies = st.one_of(
        st.none(),
        st.dictionaries(FIELDS, VALUES, max_size=4).map(lambda told: ("application/json", json.dumps(told).encode())),
        st.binary(max_size=60).map(lambda raw: ("application/x-www-form-urlencoded", raw)),
        st.binary(max_size=60).map(
            lambda raw: ("multipart/form-data; boundary=x", b"--x\r\n" + raw + b"\r\n--x--\r\n")
        ),
        st.binary(max_size=60).map(lambda raw: ("text/xml; charset=utf-16", raw)),
    )

    @asking(max_examples=ASKED, suppress_health_check=list(HealthCheck), database=None)
    @given(
        where=st.tuples(st.sampled_from(METHODS), st.sampled_from(everything), st.one_of(st.none(), STRANGE)),
        turn=st.integers(0, 20),
        query=PAIRS,
        sent=st.tuples(PAIRS, bodies, HEADERS),
    )
    def ask(where, turn, query, sent):
        method, place, strange = where
        filled = furnished.fill(place.path, strange, turn)
        address = f"{filled}{'&' if '?' in filled else '?'}{urlencode(query, errors='surrogatepass')}"

        hold(furnished.ask(method, address, *sent), method, address, *sent)

    ask()


def test_there_are_routes_to_ask(newsroom):
    """All that answers is found: nothing but what this test knows stands before the routes."""
    found = {each.path for each in places(newsroom)}

    assert {"/", "/subscribe", "/preferences/{token}", "/unsubscribe/{token}", "/feeds/{name:path}"} <= found
    assert {"/api/articles/{uid}", "/api/openapi.json", "/hooks/websub/{name}", "/console/editions/{edition}"} <= found
    assert [feeds.FeedsFirst, SecurityHeaders, BodyLimit] == [each.cls for each in build_web(newsroom).user_middleware]
