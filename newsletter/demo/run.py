"""The demo's run: the sample newsroom goes the whole way, from files to mailboxes, in a home of its own.

Nothing here is made up for show: files are imported, editions come from the calendar and mails go out over SMTP by
the same services as in production. Only the clock is set: it stands at each moment at which something is due.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path

from newsletter.bootstrap import build_app
from newsletter.clock import Clock, clock_from, fixed_clock
from newsletter.config import Settings, load_settings
from newsletter.demo.audience import BASIS, LISTS, invent_readers, write_csv
from newsletter.demo.calendar import BEGINNING, END, FORTNIGHT, ZONE
from newsletter.demo.mailserver import MailServer, MailStore
from newsletter.dispatch import Doorbell, InProcessDispatcher
from newsletter.domain.articles import ArticleState, Kind
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import ENDED, EditionState
from newsletter.domain.lists import Cadence, MailingList
from newsletter.domain.schedule import next_slot
from newsletter.embedded import run_until_idle
from newsletter.ingest.subscriber_csv import read_subscriber_file
from newsletter.services.articles import ImportOutcome, ImportResult, import_document, list_articles
from newsletter.services.context import App
from newsletter.services.editions import Progress
from newsletter.services.feed_rebuilding import rebuild_feeds
from newsletter.services.feeds import ensure_feeds, list_feeds, mark_feeds_dirty
from newsletter.services.lists import add_list, list_lists
from newsletter.services.reports import list_progress
from newsletter.services.subscriber_imports import ImportReport, import_subscribers
from newsletter.services.topics import load_topic_document

Watch = Callable[[str, int, int], None]
"""Is told the step, how much of it is done, and how much there is."""

IMAGE_PREFIX = b"/demo/images/"
"""How the sample's files name their images; the address of this installation is put before it."""
MOST_EDITIONS = 10_000
MOST_ARTICLES = 1_000


class SetClock:
    """The newsroom's clock in the demo: it stands where it is put, and goes on by itself once it is let go."""

    def __init__(self, at: datetime) -> None:
        self._clock: Clock = fixed_clock(at)

    def __call__(self) -> datetime:
        """Return what it shows."""
        return self._clock()

    def stand_at(self, at: datetime) -> None:
        """Show *at* until told otherwise."""
        self._clock = fixed_clock(at)

    def go_on(self) -> None:
        """Go on from where it stands, as fast as any clock."""
        self._clock = clock_from(self._clock())


@dataclass(frozen=True, slots=True)
class Demo:
    """The parts of a demo: the service, its clock, and what its mail server has taken."""

    app: App
    clock: SetClock
    mails: MailStore


@dataclass(frozen=True, slots=True)
class ListOutcome:
    """What came of one list: its readers, its editions, and the mails the relay took."""

    slug: str
    readers: int
    editions: int
    skipped: int
    items: int
    variants: int
    accepted: int


@dataclass(frozen=True, slots=True)
class DemoFacts:
    """What happened; *problems* says what does not add up, nothing if all does."""

    items: dict[ImportResult, int]
    articles: int
    embargoed: int
    translations: dict[str, int]
    topics: int
    subscribers: int
    refused_rows: int
    feeds: int
    entries: int
    lists: tuple[ListOutcome, ...]
    editions: int
    skipped: int
    variants: int
    deliveries: dict[DeliveryState, int]
    mails_received: int
    seconds: float
    problems: tuple[str, ...]


@contextmanager
def open_demo(home: Path, *, base_url: str) -> Iterator[Demo]:
    """Start the mail server and make the service over *home*, whatever the environment says; stop both in the end."""
    clock = SetClock(BEGINNING)
    with MailServer(home / "mails") as server:
        app = build_app(demo_settings(home, base_url=base_url, smtp_url=server.url), clock=clock)
        try:
            yield Demo(app, clock, server.mails)
        finally:
            app.database.dispose()


def demo_settings(home: Path, *, base_url: str, smtp_url: str) -> Settings:
    """Return the settings of the sample newsroom: embedded, and nothing of it taken from the environment."""
    return load_settings(
        home=home,
        database_url="",
        broker_url="",
        smtp_url=smtp_url,
        base_url=base_url,
        secret_key="",
        retired_keys=(),
        name="Karlygach Press Centre",
        postal_address="4 Library Street, Karlygach, Karlygach Valley",
        mail_domain="press.karlygach.example",
        from_address="news@press.karlygach.example",
        return_path="",
        wait_factor=1,
        dkim_keys=(),
        dkim_domain="",
        zone=ZONE.key,
        languages=("en", "ru", "ky"),
        accent_colour="#17607a",
        logo_url="",
        refuse_disposable=True,
        refuse_roles=False,
        refused_domains=frozenset(),
        sign_ups_per_network=30,
        sign_ups_overall=2000,
        consent_network="truncated",
        keep_addresses_days=180,
        keep_ended_days=400,
        reports_address="",
        dns_server="",
        review_addresses=(),
        return_tags=False,
        hub="own",
        reachable_networks=(),
    )


def run_demo(demo: Demo, watch: Watch = lambda _step, _done, _total: None) -> DemoFacts:
    """Load the sample, replay its five weeks, and say what happened. Repeating it in the same home mails nobody twice.

    Afterwards the clock goes on from the end of the five weeks.
    """
    started = time.monotonic()
    app, clock = demo.app, demo.clock
    topic_count = _load_topics(app)
    outcomes = _import_articles(app, watch)
    _add_lists(app)
    imported = _import_readers(app, watch)
    _replay(demo, watch)
    _build_feeds(app, watch)
    facts = _gather_facts(demo, topic_count, outcomes, imported, seconds=time.monotonic() - started)
    clock.go_on()
    return facts


def sample_files() -> list[tuple[str, bytes]]:
    """Return the sample newsroom's files by name, in the order of their names."""
    folder = files("newsletter.demo") / "newsroom"
    return sorted((each.name, each.read_bytes()) for each in folder.iterdir() if each.is_file())


def _load_topics(app: App) -> int:
    with as_file(files("newsletter") / "data" / "sdg-topics.yaml") as path:
        return load_topic_document(app, path.name, path.read_bytes()).topic_count


def _import_articles(app: App, watch: Watch) -> list[ImportOutcome]:
    sample = sample_files()
    outcomes: list[ImportOutcome] = []
    for number, (name, content) in enumerate(sample):
        watch("Articles", number, len(sample))
        addressed = content.replace(IMAGE_PREFIX, app.settings.base_url.encode() + IMAGE_PREFIX)
        outcomes += import_document(app, name, addressed)
    watch("Articles", len(sample), len(sample))
    return outcomes


def _add_lists(app: App) -> None:
    known = {each.mailing_list.slug for each in list_lists(app)}
    for draft in LISTS:
        if draft.slug not in known:
            add_list(app, draft)


def _import_readers(app: App, watch: Watch) -> list[ImportReport]:
    readers = invent_readers()
    reports = []
    for number, draft in enumerate(LISTS):
        watch("Subscribers", number, len(LISTS))
        name = f"{draft.slug}.csv"
        file = read_subscriber_file(write_csv(readers, draft.slug), name=name)
        reports.append(import_subscribers(app, draft.slug, file, name=name, basis=BASIS))
    watch("Subscribers", len(LISTS), len(LISTS))
    return reports


def _replay(demo: Demo, watch: Watch) -> None:
    """Let the five weeks pass: at each moment what is due then is composed and sent.

    Feeds show only what is true now, so they are left for later: readers of feeds did not look in at those moments.
    """
    moments = _moments(demo.app)
    with _deaf_to(demo.app, Doorbell.ARTICLE_CHANGED, Doorbell.REBUILD_FEEDS):
        for number, moment in enumerate(moments):
            watch(f"Calendar: {moment.astimezone(ZONE):%-d %B}", number, len(moments))
            demo.clock.stand_at(moment)
            run_until_idle(demo.app)
    watch("Calendar", len(moments), len(moments))


@contextmanager
def _deaf_to(app: App, *doorbells: Doorbell) -> Iterator[None]:
    dispatcher = app.dispatcher
    if not isinstance(dispatcher, InProcessDispatcher):
        raise TypeError("the demo runs in one process")
    handlers = dispatcher.handlers
    dispatcher.handlers = {**handlers, **dict.fromkeys(doorbells, lambda _: None)}
    try:
        yield
    finally:
        dispatcher.handlers = handlers


def _build_feeds(app: App, watch: Watch) -> None:
    with app.transaction() as tx:
        ensure_feeds(tx)
        mark_feeds_dirty(tx, [each.id for each in list_articles(tx, limit=MOST_ARTICLES).articles])
    built = itertools.count(1)
    rebuild_feeds(app, on_built=lambda _, total: watch("Feeds", next(built), total))


def _moments(app: App) -> list[datetime]:
    """Return when the clock must stand still: at each slot of a list, when a press release appears, and at the end."""
    lists = [each.mailing_list for each in list_lists(app)]
    slots = {at for each in lists for cadence in each.cadences for at in _slots(cadence, each)}
    with app.reading() as tx:
        releases = list_articles(tx, kind=Kind.PRESS_RELEASE, limit=MOST_ARTICLES).articles
    appearances = {each.visible_at for each in releases if each.visible_at and FORTNIGHT <= each.visible_at < END}
    return sorted({*slots, *appearances, END})


def _slots(cadence: Cadence, mailing_list: MailingList) -> Iterator[datetime]:
    if cadence is Cadence.IMMEDIATE:
        return
    slot = next_slot(cadence, mailing_list.schedule, now=mailing_list.since)
    while slot.at <= END:
        yield slot.at
        slot = next_slot(cadence, mailing_list.schedule, now=slot.at)


def _gather_facts(
    demo: Demo, topic_count: int, outcomes: Sequence[ImportOutcome], imported: Sequence[ImportReport], *, seconds: float
) -> DemoFacts:
    app = demo.app
    editions = list_progress(app, slug=None, state=None, limit=MOST_EDITIONS)
    with app.reading() as tx:
        feeds = list_feeds(tx)
        known = list_articles(tx, limit=MOST_ARTICLES).articles
    public = [each for each in known if each.is_public(END)]
    deliveries: Counter[DeliveryState] = sum((Counter(each.deliveries) for each in editions), Counter())
    translations = Counter(language for each in public for language in each.translations)
    return DemoFacts(
        items=dict(Counter(each.result for each in outcomes)),
        articles=len(public),
        embargoed=sum(each.state is ArticleState.PUBLISHED for each in known) - len(public),
        translations=dict(translations.most_common()),
        topics=topic_count,
        subscribers=len(invent_readers()),
        refused_rows=sum(len(report.refusals) for report in imported),
        feeds=len(feeds),
        entries=sum(each.feed.entry_count for each in feeds),
        lists=tuple(
            _list_outcome(each.mailing_list.slug, each.confirmed, editions) for each in reversed(list_lists(app))
        ),
        editions=sum(each.state is EditionState.DONE for each in editions),
        skipped=sum(each.state is EditionState.SKIPPED for each in editions),
        variants=sum(each.variants for each in editions),
        deliveries=dict(deliveries),
        mails_received=len(demo.mails),
        seconds=round(seconds, 1),
        problems=tuple(_problems(editions, deliveries, len(demo.mails))),
    )


def _list_outcome(slug: str, readers: int, editions: Sequence[Progress]) -> ListOutcome:
    mine = [each for each in editions if each.list_slug == slug]
    return ListOutcome(
        slug=slug,
        readers=readers,
        editions=sum(each.state is EditionState.DONE for each in mine),
        skipped=sum(each.state is EditionState.SKIPPED for each in mine),
        items=sum(each.items for each in mine),
        variants=sum(each.variants for each in mine),
        accepted=sum(each.deliveries.get(DeliveryState.ACCEPTED, 0) for each in mine),
    )


def _problems(editions: Sequence[Progress], deliveries: Counter[DeliveryState], received: int) -> Iterator[str]:
    accepted = deliveries[DeliveryState.ACCEPTED]
    if accepted != received:
        yield f"{accepted:,} deliveries are accepted, but the mail server has taken {received:,} mails"
    if other := {state.value: count for state, count in deliveries.items() if state is not DeliveryState.ACCEPTED}:
        yield f"deliveries that were not accepted: {other}"
    for each in editions:
        name = f"edition {each.edition_id} ({each.list_slug} {each.slot_key})"
        if not each.adds_up:
            yield f"{name}: {each.candidates} readers, but {sum(each.deliveries.values())} deliveries"
        if each.state not in ENDED:
            yield f"{name} is still {each.state}"
