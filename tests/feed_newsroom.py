"""A newsroom with topics, one under another, and a list: a test publishes, changes and withdraws its articles."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from prepared import Preparations

from newsletter.clock import fixed_clock
from newsletter.domain.articles import (
    ArticleRecord,
    ArticleState,
    Event,
    Kind,
    TopicMark,
    TopicOrigin,
    Translation,
)
from newsletter.domain.topics import Topic
from newsletter.services.context import App
from newsletter.services.feed_documents import read_document
from newsletter.services.feed_rebuilding import rebuild_feeds
from newsletter.services.feeds import note_article_changes
from newsletter.services.filters import NamedFilter
from newsletter.services.lists import ListDraft, add_list
from newsletter.storage.articles import load_record, lock_source, save_record
from newsletter.storage.feed_documents import load_document
from newsletter.storage.topics import load_topics, save_topics

TOPICS = (
    Topic(0, "climate", "http://metadata.un.org/sdg", None, 1, {"en": "Climate", "ru": "Климат"}),
    Topic(0, "water", "http://metadata.un.org/sdg", None, 2, {"en": "Water", "ru": "Вода"}),
    Topic(0, "health", "http://metadata.un.org/sdg", None, 3, {"en": "Health", "ru": "Здоровье"}),
)

LIST_TITLES = {"en": "The week", "ru": "Неделя"}


def begin(app: App, published: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Publish; return the topics."""
    newsroom = Newsroom(app)
    for number, what in enumerate(published, start=1):
        newsroom.publish(number, **what)
    if published:
        newsroom.rebuild()
    return newsroom.topics


@dataclass(frozen=True)
class Document:
    """What is served of a feed, to be compared."""

    body: bytes
    etag: str
    last_modified: datetime
    entry_count: int


@dataclass
class Newsroom:
    """An App at a time that the test moves."""

    app: App
    topics: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.topics:
            return
        with self.app.transaction() as tx:
            save_topics(tx.session, TOPICS, {"water": "climate"})
            self.topics = {topic.slug: topic.id for topic in load_topics(tx.session)}
        add_list(
            self.app,
            ListDraft(
                slug="weekly",
                titles={code: words for code, words in LIST_TITLES.items() if code in self.app.settings.languages},
                descriptions={"en": "What mattered & why"},
                filter=NamedFilter(topics=("health",)),
            ),
        )

    @classmethod
    def prepared(cls, app: App, preparations: Preparations, *published: dict[str, Any], languages: str = "en"):
        """Return one with articles *published* in feeds that are built, as other tests have it too."""
        app = replace(app, settings=app.settings.model_copy(update={"languages": tuple(languages.split())}))
        return cls(app, preparations.once(app, begin, published=published))

    def at(self, now: datetime) -> "Newsroom":
        """Go to another time."""
        self.app = replace(self.app, clock=fixed_clock(now))
        return self

    def later(self, **span: float) -> "Newsroom":
        """Go on by some time."""
        return self.at(self.app.clock() + timedelta(**span))

    def publish(self, number: int = 1, *, topics: tuple[str, ...] = (), languages: str = "en", **changes: Any) -> int:
        """Store a published article; the change is noted, no feed rebuilt. Returns its id."""
        now = self.app.clock()
        words = {name: changes.pop(name) for name in list(changes) if name in Translation.__dataclass_fields__}
        record = ArticleRecord(
            id=0,
            uid=f"0198c0de-0000-7000-8000-{number:012}",
            kind=Kind.STORY,
            state=ArticleState.PUBLISHED,
            source="import",
            default_language=languages.split(maxsplit=1)[0],
            translations={
                language: Translation(**({
                    "language": language,
                    "title": f"Story {number} ({language})",
                    "summary": f"Summary {number}",
                    "body_html": f"<p>Body {number}</p>",
                } | words))
                for language in languages.split()
            },
            received_at=now,
            updated_at=now,
            modified_at=now,
            published_at=now,
            topics=tuple(TopicMark(self.topics[slug], TopicOrigin.STATED) for slug in topics),
        )  # fmt: skip
        with self.app.transaction() as tx:
            lock_source(tx.session, "import", "Import", now=now)
            article_id = save_record(tx.session, replace(record, **changes), ())
            note_article_changes(tx, (article_id,))
        return article_id

    def change(self, article_id: int, **changes: Any) -> None:
        """Change a stored article as a typo is corrected, or as *changes* say; the change is noted, no feed rebuilt."""
        words = {name: changes.pop(name) for name in list(changes) if name in Translation.__dataclass_fields__}
        with self.app.transaction() as tx:
            record = load_record(tx.session, article_id)
            translations = {code: replace(each, **words) for code, each in record.translations.items()}
            record = replace(record, modified_at=tx.now, translations=translations)
            save_record(tx.session, replace(record, **changes), ())
            note_article_changes(tx, (article_id,))

    def retag(self, article_id: int, *topics: str) -> None:
        """Give an article other topics."""
        self.change(article_id, topics=tuple(TopicMark(self.topics[slug], TopicOrigin.STAFF) for slug in topics))

    def withdraw(self, article_id: int) -> None:
        """Withdraw an article."""
        now = self.app.clock()
        self.change(article_id, state=ArticleState.WITHDRAWN, withdrawn_at=now, withdrawal_reason="error")

    def rebuild(self) -> dict[str, tuple[str, ...]]:
        """Rebuild what wants it; return the changed documents by feed."""
        return {built.slug: built.changed for built in rebuild_feeds(self.app)}

    def document(self, name: str):
        """Return a document as it is served, and how many entries it counts."""
        with self.app.reading() as tx:
            stored, served = load_document(tx.session, name), read_document(tx, name)
        return served and Document(served.body, served.etag, served.last_modified, stored.entry_count)


def an_event(starts_at: datetime) -> Event:
    """An event of two hours in Bishkek."""
    return Event(starts_at, starts_at + timedelta(hours=2), "Asia/Bishkek", "Hall <2>", "1 Park St", "Press office")
