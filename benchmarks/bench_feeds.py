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
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
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
from newsletter.feeds.documents import FragmentCache, fit_entries, write_documents
from newsletter.services.article_imports import import_document
from newsletter.services.context import App
from newsletter.services.feed_building import load_writer, prepare
from newsletter.services.feed_documents import DocumentCache
from newsletter.services.feeds import note_article_changes, rebuild_feeds
from newsletter.storage.articles import load_articles, lock_source, save_record
from newsletter.storage.feeds import load_feeds
from newsletter.storage.topics import load_topics, save_topics

LANGUAGES = ("en", "ru", "ky")
FEEDS = 200
LARGE = (5_000, 500)
"""Articles and feeds among which one that is published shows within a second."""
ENTRIES = 50
FEEDS_FOR_PLAIN = 20
"""Feeds that plain feedgen writes in a round; its time for all of them is so many times that of one."""
SERVE_SECONDS = 2.0
REBUILD = Goal(30, 60)
SERVE = Goal(0.8, 0.95)
VISIBLE = Goal(1.0, 0.5, less_is_better=True)


def run(run: Run) -> Iterator[Row]:
    """Yield all rows."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _rebuild(run, Path(folder) / "two-hundred")
        yield from _show(run, Path(folder) / "five-hundred")


def _rebuild(run: Run, home: Path) -> Iterator[Row]:
    """After one article all feeds are up to date, packed, with validators: by us, and by plain feedgen."""
    newsroom = _Newsroom.open(home, feeds=run.scaled(FEEDS), articles=run.scaled(1000))
    rebuild_feeds(newsroom.app)
    texts = newsroom.texts()
    found = interleave(
        {"ours": partial(_publish_and_rebuild, newsroom), "plain": partial(_plain_rebuild, newsroom, texts)}, run.rounds
    )
    concerned = newsroom.concerned
    yield Row(
        run.bench,
        f"{newsroom.feed_count} feeds up to date after an article, packed and stored, against plain feedgen and gzip",
        found.ratios("ours", "plain"),
        figures=f"{1 / found.median('ours'):.2f} s for the {concerned} feeds that it concerns, in 3 formats, in the "
        f"database; {1 / found.median('plain'):.1f} s for all, RSS and Atom, in memory",
    )
    found = interleave(
        {"ours": partial(_write_all, newsroom), "plain": partial(_plain_rebuild, newsroom, texts, is_packed=False)},
        run.rounds,
    )
    yield Row(
        run.bench,
        f"documents of {newsroom.feed_count} feeds that one article concerns, against plain feedgen",
        found.ratios("ours", "plain"),
        REBUILD,
        figures=f"3 formats in {1 / found.median('ours'):.3f} s against 2 in {1 / found.median('plain'):.2f} s",
    )
    yield from _serve(run, newsroom)


def _publish_and_rebuild(newsroom: "_Newsroom") -> float:
    newsroom.publish()
    started_at = time.perf_counter()
    newsroom.concerned = len(rebuild_feeds(newsroom.app))
    return 1 / (time.perf_counter() - started_at)


def _write_all(newsroom: "_Newsroom") -> float:
    """Write the documents of all feeds, in which one article is new."""
    with newsroom.app.reading() as tx:
        works = [work for feed in load_feeds(tx.session) for work in prepare(tx, [feed])]
        writer = load_writer(tx)
    cache = FragmentCache()
    feeds = []
    for work in works:
        entries = [writer.entry(article, work.plan.language) for article in work.articles]
        head = writer.head(work.plan, created_at=work.feed.created_at, entries=entries)
        write_documents(head, fit_entries(entries, cache))  # as they were before
        feeds.append((head, [replace(entry, id="tag:new", title="New") for entry in entries[:1]] + entries[1:]))
    # The same new article in each feed of a language: nobody has written it before.
    new = {head.language: entries[0] for head, entries in feeds}
    gc.freeze()  # a worker does not hold the articles of all feeds at once, as this bench does
    started_at = time.perf_counter()
    for head, entries in feeds:
        write_documents(head, fit_entries([new[head.language], *entries[1:]], cache))
    seconds = time.perf_counter() - started_at
    gc.unfreeze()
    return 1 / seconds


def _plain_rebuild(newsroom: "_Newsroom", texts: list[Article], *, is_packed: bool = True) -> float:
    """Write feeds as feedgen's own example does, pack them as a web server does, and tag them."""
    taken = feedgen.entry.formatRFC2822
    feedgen.entry.formatRFC2822 = feedgen.feed.formatRFC2822 = feedgen.util.formatRFC2822
    started_at = time.perf_counter()
    for number in range(FEEDS_FOR_PLAIN):
        articles = [texts[(number * 7 + each) % len(texts)] for each in range(ENTRIES)]
        for document in (_plain(articles).atom_str(), _plain(articles).rss_str()):
            if is_packed:
                gzip.compress(document, 6)
                hashlib.sha256(document).hexdigest()
    seconds = time.perf_counter() - started_at
    feedgen.entry.formatRFC2822 = feedgen.feed.formatRFC2822 = taken
    return FEEDS_FOR_PLAIN / newsroom.feed_count / seconds


def _plain(articles: list[Article]) -> FeedGenerator:
    made = FeedGenerator()
    made.id("https://news.example.org/")
    made.title("News")
    made.description("All the news")
    made.language("en")
    made.link(href="https://news.example.org/feed", rel="self")
    made.link(href="https://news.example.org/", rel="alternate")
    for article in articles:
        words = article.best_translation("en")
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
    with _server(newsroom.app.settings, "feeds") as ours, _server(newsroom.app.settings, "constant") as constant:
        for name, condition in (("a 304", f"If-None-Match: {etag}\r\n"), ("a 200 from memory", "")):
            request = (
                f"GET /feeds/all-en.atom HTTP/1.1\r\nHost: news.example.org\r\nAccept-Encoding: gzip\r\n{condition}\r\n"
            ).encode()
            found = interleave(
                {"ours": partial(_ask, ours, request), "constant": partial(_ask, constant, request)}, run.rounds * 2 + 1
            )
            yield Row(
                run.bench,
                f"{name}, against the same web server and a constant",
                found.ratios("ours", "constant"),
                SERVE,
                figures=f"{found.median('ours'):,.0f} against {found.median('constant'):,.0f} requests/s",
            )


def _ask(port: int, request: bytes) -> float:
    """Return how many answers a second one connection gets."""
    count = 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        reader = connection.makefile("rb")
        until = time.perf_counter() + SERVE_SECONDS
        while time.perf_counter() < until:
            connection.sendall(request)
            _read_answer(reader)
            count += 1
    return count / SERVE_SECONDS


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
        newsroom.publish()
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

    def texts(self) -> list[Article]:
        """Return articles for whoever writes feeds in another way."""
        with self.app.reading() as tx:
            return load_articles(tx.session, range(1, 400))

    def record(self, at: datetime, about: list[int]) -> ArticleRecord:
        """Return a new article with the words of a sample, in each language."""
        self.article_count += 1
        sample = self.samples[self.article_count % len(self.samples)]
        words = sample.best_translation("en")
        return ArticleRecord(
            id=0,
            uid=f"0198c0de-0000-7000-8000-{self.article_count:012}",
            kind=sample.kind,
            state=ArticleState.PUBLISHED,
            source="import",
            default_language="en",
            translations={
                code: replace(words, language=code, title=f"{words.title} {self.article_count}", url=None)
                for code in LANGUAGES
            },
            received_at=at,
            updated_at=at,
            modified_at=at,
            published_at=at,
            topics=tuple(TopicMark(topic, TopicOrigin.STATED) for topic in about),
        )

    def publish(self) -> None:
        """Publish one more article, in three languages, on two topics."""
        with self.app.transaction() as tx:
            lock_source(tx.session, "import", "Import", now=tx.now)
            article_id = save_record(tx.session, self.record(tx.now, self.topics[:2]), ())
            note_article_changes(tx, (article_id,))
