"""Feeds: rebuilt after one article, against plain feedgen; served, against the bare web server; and how soon."""

import contextlib
import gc
import gzip
import hashlib
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import BinaryIO

import feedgen.entry
import feedgen.feed
import feedgen.util
from feedgen.feed import FeedGenerator

from benchmarks.measures import Goal, Row, interleave
from benchmarks.run import Run
from newsletter.bootstrap import build_app
from newsletter.config import Settings
from newsletter.demo.run import sample_files
from newsletter.dispatch import RecordingDispatcher
from newsletter.domain.articles import Article, ArticleRecord, ArticleState, TopicMark, TopicOrigin
from newsletter.domain.topics import Topic
from newsletter.feeds.document import Entry
from newsletter.feeds.documents import fit_entries, write_documents
from newsletter.feeds.fragments import FragmentCache
from newsletter.services.article_imports import import_document
from newsletter.services.context import App
from newsletter.services.feed_building import Work, new_document, prepare
from newsletter.services.feed_documents import DocumentCache, put_together
from newsletter.services.feed_rebuilding import rebuild_feeds
from newsletter.services.feeds import note_article_changes
from newsletter.storage.articles import load_articles, lock_source, save_record
from newsletter.storage.feeds import load_feeds
from newsletter.storage.topics import load_topics, save_topics

LANGUAGES = ("en", "ru", "ky")
FEEDS = 200
LARGE = (5_000, 500)
"""Articles and feeds among which one that is published shows within a second."""
BODY = 8_000
"""Characters of an article's HTML at least: what newsrooms write, while the sample's are short."""
FEEDS_FOR_PLAIN = 20
"""Feeds that plain feedgen writes in a round; its time for all is that of these by the number of their entries."""
SERVE_SECONDS = 2.0
"""Of each server in its turn; as much shorter as everything else is smaller."""
SHORTEST_SERVE_SECONDS = 0.1
REBUILD = Goal(30, 60)
SERVE = Goal(0.8, 0.95)
VISIBLE = Goal(1.0, 0.5, less_is_better=True)


def run(run: Run) -> Iterator[Row]:
    """Yield all rows."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _rebuild(run, Path(folder) / "two-hundred")
        yield from _show(run, Path(folder) / "five-hundred")


def _rebuild(run: Run, home: Path) -> Iterator[Row]:
    """After one article all feeds are up to date, stored, with validators: by us, and by plain feedgen."""
    newsroom = _Newsroom.open(home, feeds=run.scaled(FEEDS), articles=run.scaled(1000))
    rebuild_feeds(newsroom.app)
    for name, about, goal in (
        ("an article on two topics", newsroom.topics[:2], REBUILD),
        ("an article on all topics", newsroom.topics, None),
    ):
        ours = partial(_publish_and_rebuild, newsroom, about)
        found = interleave({"ours": ours, "plain": partial(_plain_rebuild, newsroom)}, run.rounds)
        yield Row(
            run.bench,
            f"{newsroom.feed_count} feeds up to date and stored after {name}, against plain feedgen and gzip",
            found.ratios("ours", "plain"),
            goal,
            figures=f"{1 / found.median('ours'):.2f} s for the {newsroom.concerned} feeds that it concerns, 3 formats, "
            f"from the database into it; {1 / found.median('plain'):.1f} s for all, RSS and Atom, in memory",
        )
    candidates = {
        "ours": partial(_write_all, newsroom),
        "joined": partial(_write_all, newsroom, is_joined=True),
        "plain": partial(_plain_rebuild, newsroom, is_packed=False),
    }
    found = interleave(candidates, run.rounds)
    for candidate, name, goal in (
        ("ours", f"documents of {newsroom.feed_count} feeds that one article concerns, as they are stored", REBUILD),
        ("joined", "the same, and each of them joined as if it were asked for", None),
    ):
        yield Row(
            run.bench,
            f"{name}, against plain feedgen",
            found.ratios(candidate, "plain"),
            goal,
            figures=f"3 formats in {1 / found.median(candidate):.3f} s against 2 in {1 / found.median('plain'):.2f} s, "
            "unpacked, in memory",
        )
    yield from _serve(run, newsroom)


def _publish_and_rebuild(newsroom: "_Newsroom", about: list[int]) -> float:
    newsroom.publish(about)
    started_at = time.perf_counter()
    newsroom.concerned = len(rebuild_feeds(newsroom.app))
    return 1 / (time.perf_counter() - started_at)


def _write_all(newsroom: "_Newsroom", *, is_joined: bool = False) -> float:
    """Write the documents of all feeds from their articles, one of which is new in each, with their validators."""
    works = newsroom.works()
    writer = works[0].writer
    cache = FragmentCache()
    _write(works, cache, {}, is_joined=is_joined)  # as they were before
    article = works[0].articles[0]
    new = {code: replace(writer.entry(article, code), id="tag:new", title="New") for code in LANGUAGES}
    works = newsroom.works()  # as a rebuild finds them: read anew
    gc.freeze()  # a worker does not hold the articles of all feeds at once, as this bench does
    started_at = time.perf_counter()
    _write(works, cache, new, is_joined=is_joined)
    seconds = time.perf_counter() - started_at
    gc.unfreeze()
    return 1 / seconds


def _write(works: Sequence[Work], cache: FragmentCache, new: dict[str, Entry], *, is_joined: bool = False) -> None:
    """Write the documents of feeds, with the *new* entry of their language on top."""
    for work in works:
        entries = [work.writer.entry(article, work.plan.language) for article in work.articles]
        if entries and new:
            entries[0] = new[work.plan.language]
        head = work.writer.head(work.plan, created_at=work.feed.created_at, entries=entries)
        fitted = fit_entries(entries, cache)
        packed = {each.digest: each.packed for each in fitted.fragments}
        for form, recipe in write_documents(head, fitted).items():
            document = new_document(f"{work.feed.slug}.{form}", recipe, {})
            if is_joined:
                put_together(document, partial(_some_of, packed))


def _some_of(packed: dict[bytes, bytes], wanted: Collection[bytes]) -> dict[bytes, bytes]:
    return {each: packed[each] for each in wanted}


def _plain_rebuild(newsroom: "_Newsroom", *, is_packed: bool = True) -> float:
    """Write some of the same feeds as feedgen's own example does, pack them as a web server does, and tag them."""
    works = newsroom.works()
    some = works[:: max(1, len(works) // FEEDS_FOR_PLAIN)]
    share = sum(len(work.articles) for work in some) / sum(len(work.articles) for work in works)
    taken = feedgen.entry.formatRFC2822
    feedgen.entry.formatRFC2822 = feedgen.feed.formatRFC2822 = feedgen.util.formatRFC2822
    started_at = time.perf_counter()
    for work in some:
        made = _plain(work.articles, work.plan.language)
        for document in (made.atom_str(), made.rss_str()):
            if is_packed:
                gzip.compress(document, 6)
                hashlib.sha256(document).hexdigest()
    seconds = time.perf_counter() - started_at
    feedgen.entry.formatRFC2822 = feedgen.feed.formatRFC2822 = taken
    return share / seconds


def _plain(articles: Sequence[Article], language: str) -> FeedGenerator:
    made = FeedGenerator()
    made.id("https://news.example.org/")
    made.title("News")
    made.description("All the news")
    made.language(language)
    made.link(href="https://news.example.org/feed", rel="self")
    made.link(href="https://news.example.org/", rel="alternate")
    for article in articles:
        words = article.best_translation(language)
        entry = made.add_entry(order="append")
        entry.id(article.uid)
        entry.title(words.title)
        entry.link(href=f"https://news.example.org/articles/{article.uid}")
        entry.published(article.published_at)
        entry.updated(article.updated_at)
        entry.author(name="News")
        entry.summary(words.summary or words.title)
        entry.content(words.body_html, type="html")
        for topic in article.topics:
            entry.category(term=str(topic))
    return made


def _serve(run: Run, newsroom: "_Newsroom") -> Iterator[Row]:
    """Ask for a feed over one connection that stays open; the other server answers the same bytes from a constant."""
    cache = DocumentCache(newsroom.app, time.monotonic)
    document = cache.load("all-en.atom")
    assert document is not None
    etag = f'"{document.etag}-gz"'
    ask = partial(_ask, seconds=max(SHORTEST_SERVE_SECONDS, SERVE_SECONDS * min(1, run.scale)))
    with _server(newsroom.app.settings, "feeds") as ours, _server(newsroom.app.settings, "constant") as constant:
        for name, condition in (("a 304", f"If-None-Match: {etag}\r\n"), ("a 200 from memory", "")):
            request = (
                f"GET /feeds/all-en.atom HTTP/1.1\r\nHost: news.example.org\r\nAccept-Encoding: gzip\r\n{condition}\r\n"
            ).encode()
            found = interleave(
                {"ours": partial(ask, ours, request), "constant": partial(ask, constant, request)}, run.rounds * 2 + 1
            )
            yield Row(
                run.bench,
                f"{name}, against the same web server and a constant",
                found.ratios("ours", "constant"),
                SERVE,
                figures=f"{found.median('ours'):,.0f} against {found.median('constant'):,.0f} requests/s",
            )


def _ask(port: int, request: bytes, *, seconds: float) -> float:
    """Return how many answers a second one connection gets."""
    count = 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        reader = connection.makefile("rb")
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            connection.sendall(request)
            _read_answer(reader)
            count += 1
    return count / seconds


def _read_answer(reader: BinaryIO) -> None:
    length = 0
    while (line := reader.readline()) != b"\r\n":
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    reader.read(length)


@contextlib.contextmanager
def _server(settings: Settings, which: str) -> Iterator[int]:
    """Run the web server over feeds or over a constant, in a process of its own."""
    environment = os.environ | {"NEWSLETTER_HOME": str(settings.home), "NEWSLETTER_BASE_URL": settings.base_url}
    command = [sys.executable, "-m", "benchmarks.feed_server", which]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield port
        finally:
            process.terminate()


def _show(run: Run, home: Path) -> Iterator[Row]:
    """Publish one article among thousands and wait until its feed is served with it."""
    articles, feeds = LARGE
    newsroom = _Newsroom.open(home, feeds=run.scaled(feeds), articles=run.scaled(articles))
    rebuild_feeds(newsroom.app)
    cache = DocumentCache(newsroom.app, time.monotonic)
    seconds = []
    for _ in range(max(3, run.rounds)):
        before = cache.load("all-en.atom")
        started_at = time.perf_counter()
        newsroom.publish(newsroom.topics[:2])
        rebuild_feeds(newsroom.app)
        after = cache.load("all-en.atom")
        seconds.append(time.perf_counter() - started_at)
        assert before is not None
        assert after is not None
        assert before.etag != after.etag
    yield Row(
        run.bench,
        f"from publishing to all feeds served, {newsroom.article_count:,} articles, {newsroom.feed_count} feeds",
        seconds,
        VISIBLE,
        unit="s",
        figures="on SQLite that waits for the disk",
    )


@dataclass
class _Newsroom:
    """An embedded installation with the sample newsroom's texts, as often as wanted, under invented topics."""

    app: App
    topics: list[int]
    samples: list[Article]
    article_count: int = 0
    concerned: int = 0

    @classmethod
    def open(cls, home: Path, *, feeds: int, articles: int) -> "_Newsroom":
        settings = Settings(home=home, base_url="https://news.example.org", languages=LANGUAGES)
        app = build_app(settings, dispatcher=RecordingDispatcher())
        for name, content in sample_files():
            import_document(app, name, content)
        with app.transaction() as tx:
            count = max(1, feeds // len(LANGUAGES) - 7)  # beside everything and six kinds
            save_topics(
                tx.session, [Topic(0, f"topic-{n}", "", None, n, {"en": f"Topic {n}"}) for n in range(count)], {}
            )
            topics = [topic.id for topic in load_topics(tx.session)]
            samples = [
                each for each in load_articles(tx.session, range(1, 500)) if each.state is ArticleState.PUBLISHED
            ]
        newsroom = cls(app, topics, samples)
        chance = random.Random(7)
        for chunk in range(0, articles, 250):
            with app.transaction() as tx:
                lock_source(tx.session, "import", "Import", now=tx.now)
                for number in range(chunk, min(articles, chunk + 250)):
                    age = timedelta(hours=articles - number)
                    about = chance.sample(topics, min(2, len(topics)))
                    save_record(tx.session, newsroom.record(tx.now - age, about), ())
        return newsroom

    @property
    def feed_count(self) -> int:
        """How many feeds there are."""
        return (len(self.topics) + 7) * len(LANGUAGES)

    def works(self) -> list[Work]:
        """Return what all feeds are built from."""
        with self.app.reading() as tx:
            return prepare(tx, load_feeds(tx.session))

    def record(self, at: datetime, about: list[int]) -> ArticleRecord:
        """Return a new article with the words of samples, in each language."""
        self.article_count += 1
        first = self.article_count % len(self.samples)
        sample = self.samples[first]
        words = sample.best_translation("en")
        body = ""
        for more in islice(cycle(self.samples), first, None):
            if len(body) >= BODY:
                break
            body += more.best_translation("en").body_html
        return ArticleRecord(
            id=0,
            uid=f"0198c0de-0000-7000-8000-{self.article_count:012}",
            kind=sample.kind,
            state=ArticleState.PUBLISHED,
            source="import",
            default_language="en",
            translations={
                code: replace(
                    words, language=code, title=f"{words.title} {self.article_count}", body_html=body, url=None
                )
                for code in LANGUAGES
            },
            received_at=at,
            updated_at=at,
            modified_at=at,
            published_at=at,
            topics=tuple(TopicMark(topic, TopicOrigin.STATED) for topic in about),
        )

    def publish(self, about: list[int]) -> None:
        """Publish one more article, in three languages."""
        with self.app.transaction() as tx:
            lock_source(tx.session, "import", "Import", now=tx.now)
            article_id = save_record(tx.session, self.record(tx.now, about), ())
            note_article_changes(tx, (article_id,))
