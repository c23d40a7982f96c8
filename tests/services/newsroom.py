"""A newsroom for tests of services: list, articles and readers, written by the real services, and a clock to move."""

import email
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from hashlib import sha256
from typing import Any

from sqlalchemy import event, select, update

from newsletter.demo.mailserver import MailServer
from newsletter.domain.deliveries import DeliveryState, Pool
from newsletter.domain.editions import Edition, EditionState
from newsletter.domain.lists import Cadence, MailingList
from newsletter.domain.subscriptions import Subscription
from newsletter.mail.relay import Relay
from newsletter.services.article_imports import import_document
from newsletter.services.composing import compile_edition
from newsletter.services.editions import fan_out_edition, open_due_editions
from newsletter.services.filters import NamedFilter
from newsletter.services.lists import ListDraft, add_list, find_list
from newsletter.services.sending import Slice, send_slice
from newsletter.services.subscriber_imports import add_subscriber
from newsletter.services.topics import load_topic_document
from newsletter.storage import editions as edition_store
from newsletter.storage import subscribers, subscriptions
from newsletter.storage.articles import ArticleRow, TranslationRow
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.engine import database_now
from newsletter.storage.variants import VariantItemRow

DAY = timedelta(days=1)
WEEK = 7 * DAY
HOUR = timedelta(hours=1)


class MovingClock:
    """A newsroom clock that stands where it is put."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Newsroom:
    """One installation; *app* has a clock that `move` moves. It begins with a list "weekly" that began long ago."""

    def __init__(self, app: Any, *, has_begun: bool = False) -> None:
        """*has_begun*: the list is there."""
        self.clock = MovingClock(app.clock())
        self.app = replace(app, clock=self.clock)
        if not has_begun:
            self.add_list()

    def move(self, span: timedelta) -> None:
        """Let newsroom time pass."""
        self.clock.now += span

    def add_list(self, slug: str = "weekly", **changes: Any) -> MailingList:
        """Add a list of everything in English and Russian; weekly on Mondays at 08:00 unless told otherwise."""
        values = {
            "titles": {"en": f"The {slug}", "ru": "Новости"},
            "languages": ("en", "ru"),
            "from_address": "news@example.org",
            "since": self.clock.now - 100 * DAY,
        }
        return add_list(self.app, ListDraft(slug=slug, **(values | changes)))

    def add_topics(self, *lines: str) -> None:
        """Add topics, each given as `slug` or `slug < parent`."""
        topics = []
        for line in lines:
            slug, _, parent = line.partition(" < ")
            topics.append({"slug": slug, "labels": {"en": slug.title()}} | ({"parent": parent} if parent else {}))
        load_topic_document(self.app, "topics.json", json.dumps({"topics": topics}).encode())

    def publish(self, title: str, *, age: timedelta = 12 * HOUR, ru: str = "", **fields: Any) -> str:
        """Bring in an article dated *age* ago, with a translation where *ru* is its title; return its uid."""
        told = [sha256(f"{title}{part}".encode()).hexdigest() for part in range(3)]  # no two tell the same story
        path = title.replace(" ", "-")
        item = {
            "id": title,
            "title": title,
            "paragraphs": told,
            "url": f"https://example.org/{path}",
            "published": (self.clock.now - age).isoformat(),
        } | fields
        if ru:
            item["translations"] = {"ru": {"title": ru, "paragraphs": told, "url": f"https://example.org/ru/{path}"}}
        [outcome] = import_document(self.app, "articles.json", json.dumps([item]).encode(), source="Press")
        assert outcome.article_uid is not None, outcome
        return outcome.article_uid

    def subscribe(
        self, *names: str, slug: str = "weekly", language: str = "en", cadence: str = "", **choice: tuple[str, ...]
    ) -> None:
        """Subscribe readers, known by the local part of their address; *choice* narrows what they get."""
        for name in names:
            wanted = NamedFilter(**choice)
            basis = "signed up on paper"
            address = f"{name}@readers.example"
            add_subscriber(self.app, slug, address, basis=basis, language=language, cadence=cadence, wanted=wanted)

    def subscription(self, name: str) -> Subscription:
        """Return a reader's newest subscription."""
        with self.app.reading() as tx:
            person = subscribers.load_subscriber(tx.session, f"{name}@readers.example")
            assert person is not None
            return subscriptions.load_subscriptions(tx.session, [person.id])[-1]

    def article_id(self, title: str) -> int:
        """Return the id of the article with this title."""
        with self.app.reading() as tx:
            return tx.session.scalars(select(TranslationRow.article_id).where(TranslationRow.title == title)).one()

    def open(self, slug: str = "weekly", cadence: Cadence = Cadence.WEEKLY) -> int:
        """Open the edition of a list that is due; return its id."""
        open_due_editions(self.app)
        with self.app.reading() as tx:
            list_id = find_list(tx, slug).id
            planned = edition_store.list_editions(tx.session, list_id=list_id, states=[EditionState.PLANNED])
        [edition_id] = [edition.id for edition in planned if edition.cadence is cadence]
        return edition_id

    def compose(self, slug: str = "weekly", cadence: Cadence = Cadence.WEEKLY) -> int:
        """Open and compose the edition of a list that is due; return its id."""
        edition_id = self.open(slug, cadence)
        compile_edition(self.app, edition_id)
        return edition_id

    def fan_out(self, slug: str = "weekly", cadence: Cadence = Cadence.WEEKLY) -> int:
        """Open, compose and fan out the edition of a list that is due; return its id."""
        edition_id = self.compose(slug, cadence)
        fan_out_edition(self.app, edition_id)
        return edition_id

    def edition(self, edition_id: int) -> Edition:
        """Return an edition as it stands."""
        with self.app.reading() as tx:
            edition = edition_store.load_edition(tx.session, edition_id)
        assert edition is not None
        return edition

    def state(self, edition_id: int) -> EditionState:
        """Return an edition's state."""
        return self.edition(edition_id).state

    def titles(self, edition_id: int) -> set[str]:
        """Return the titles of an edition's articles, in their own languages."""
        with self.app.reading() as tx:
            ids = [article_id for article_id, _ in edition_store.edition_items(tx.session, edition_id)]
        return {self.title(article_id) for article_id in ids}

    def title(self, article_id: int) -> str:
        """Return an article's title in its own language."""
        own = (TranslationRow.article_id == ArticleRow.id) & (TranslationRow.language == ArticleRow.default_language)
        with self.app.reading() as tx:
            query = select(TranslationRow.title).join(ArticleRow, own).where(ArticleRow.id == article_id)
            return tx.session.scalars(query).one()

    def deliveries(self, edition_id: int | None = None) -> dict[str, DeliveryRow]:
        """Return the deliveries of an edition, or those without one, by the reader's name."""
        query = select(DeliveryRow).where(DeliveryRow.edition_id == edition_id).order_by(DeliveryRow.id)
        with self.app.reading() as tx:
            return {str(row.address).partition("@")[0]: row for row in tx.session.scalars(query)}

    def states(self, edition_id: int | None = None) -> dict[str, DeliveryState]:
        """Return the states of an edition's deliveries by the reader's name."""
        return {name: DeliveryState(row.state) for name, row in self.deliveries(edition_id).items()}

    def contents(self, edition_id: int) -> dict[str, list[str]]:
        """Return what each reader of a fanned-out edition gets: titles in their articles' own languages, in order."""
        found = {}
        for name, row in self.deliveries(edition_id).items():
            query = select(VariantItemRow.article_id).where(VariantItemRow.variant_id == row.variant_id)
            with self.app.reading() as tx:
                ids = list(tx.session.scalars(query.order_by(VariantItemRow.position)))
            found[name] = [self.title(each) for each in ids]
        return found

    def change(self, delivery: DeliveryRow, **values: Any) -> None:
        """Change a delivery behind everybody's back."""
        with self.app.transaction() as tx:
            tx.session.execute(update(DeliveryRow).where(DeliveryRow.id == delivery.id).values(**values))

    def approved_ago(self, edition_id: int, span: timedelta) -> None:
        """Let an edition have been approved that long ago, by the database's clock."""
        row = edition_store.EditionRow
        with self.app.transaction() as tx:
            until = tx.session.get_one(row, edition_id).send_until
            tx.session.execute(update(row).where(row.id == edition_id).values(send_until=until - span))

    def make_due(self) -> None:
        """Let everything in the queue be due now, as time would."""
        with self.app.transaction() as tx:
            now = database_now(tx.session)
            tx.session.execute(update(DeliveryRow).where(DeliveryRow.state == "queued").values(available_at=now))

    def deliver(
        self, edition_id: int, *, but: tuple[str, ...] = (), end: DeliveryState = DeliveryState.EXPIRED
    ) -> None:
        """Let all mail of an edition be accepted, and that to *but* come to another *end*; the edition is done."""
        counts: dict[str, int] = {}
        for name, row in self.deliveries(edition_id).items():
            state = end if name in but else DeliveryState.ACCEPTED
            counts[str(state)] = counts.get(str(state), 0) + 1
            self.change(row, state=state, accepted_at=self.clock.now)
        row = edition_store.EditionRow
        with self.app.transaction() as tx:
            tx.session.execute(update(row).where(row.id == edition_id).values(state=EditionState.DONE, counts=counts))

    @contextmanager
    def meanwhile(self, words: str, act: Callable[[], object]) -> Iterator[threading.Thread]:
        """Begin *act* in another process's stead once a statement with these *words* has run, and see it through.

        Yields the thread it runs in, which may have to wait until the statement's transaction has ended.
        """
        engine, other = self.app.database.engine, threading.Thread(target=act)

        def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if words in statement and not other.ident:
                other.start()
                other.join(0.3)

        event.listen(engine, "after_cursor_execute", listen)
        try:
            yield other
            assert other.ident, f"no statement with {words!r}"
            other.join()
        finally:
            event.remove(engine, "after_cursor_execute", listen)

    @contextmanager
    def relay(self) -> Iterator[MailServer]:
        """Send to a real SMTP server while the block lasts."""
        with MailServer() as server:
            self.server = server
            self.use_relay(server.url)
            yield server

    def use_relay(self, url: str) -> None:
        """Hand mail to the SMTP server at *url* from now on."""
        self.app = replace(self.app, relays=Relay.parse_all(url))

    def send(self, pool: Pool = Pool.BULK) -> Slice:
        """Send what is due."""
        return send_slice(self.app, pool)

    def mails(self) -> dict[str, list[bytes]]:
        """Return what the SMTP server took, by the recipient's name, in order of arrival."""
        found: dict[str, list[bytes]] = {}
        for mail in self.server.mails:
            [recipient] = mail.envelope.recipients
            found.setdefault(recipient.partition("@")[0], []).append(mail.content)
        return found


def read(content: bytes) -> EmailMessage:
    """Return a mail as the standard library reads it."""
    message = email.message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(content: bytes) -> str:
    """Return a mail's plain text."""
    part = read(content).get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def titles_in(content: bytes) -> set[str]:
    """Return the titles of the articles that a mail's text links to; each article's address ends in its title."""
    return {path.replace("-", " ") for path in re.findall(r"https://example\.org/(?:ru/)?([\w-]+)", text_of(content))}
