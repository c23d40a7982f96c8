"""Polling: asks one source, takes in what is new in it, and says when to ask again; no failure leaves this module."""

import hashlib
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from newsletter.config import Settings
from newsletter.domain import drafts, item_keys
from newsletter.domain.articles import ArticleState, Kind
from newsletter.domain.drafts import UnusableError
from newsletter.domain.prose import normalise, shorten
from newsletter.domain.sources import (
    SourceState,
    Timing,
    back_off,
    is_gone,
    next_wait,
    read_timing,
    suspects,
)
from newsletter.errors import ConflictError, InvalidError, NewsletterError
from newsletter.ingest.aside import SECONDS, aside, end_readers
from newsletter.ingest.document import Document, FeedFacts, Item
from newsletter.ingest.feed import read_feed
from newsletter.ingest.fields import Defaults
from newsletter.ingest.full_text import LARGEST_PAGE, is_excerpt, with_full_text
from newsletter.ingest.json_feed import read_json_feed
from newsletter.services.article_imports import ImportOutcome, ImportResult, SourcedItem, give_keys, import_items
from newsletter.services.articles import withdraw_article
from newsletter.services.audit import note_act
from newsletter.services.context import App
from newsletter.services.fetching import PAGES, Fetched, fetch
from newsletter.services.source_hubs import tend_hub
from newsletter.services.sources import find_source
from newsletter.services.topics import TopicFinder
from newsletter.storage import articles as article_store
from newsletter.storage import sources as storage
from newsletter.storage.engine import database_now
from newsletter.storage.sources import Poll
from newsletter.storage.topics import load_topics

log = structlog.get_logger()

LEASE = timedelta(minutes=10)
"""How long one poll may take; far longer than its bounds add up to."""
PAGES_SECONDS = 60.0
"""Time for fetching pages in one poll; those left over come in the next, a minute later."""
LEFT_OVER_WAIT = timedelta(minutes=1)
MOST_ITEMS = 500
"""Items of a polled document that are looked at; the first ones, which are the newest nearly everywhere."""
MOST_LOOKS = 5
"""Pages that are asked in one poll whether they are gone."""
LONGEST_PROBLEM = 300
MOST_WARNINGS = 20
FUTURE = timedelta(minutes=10)
"""A date further ahead than clocks differ is taken for first seen: a feed tells of what was published."""
NOT_MODIFIED, FOUND, GONE = 304, 200, 410


@dataclass(frozen=True, slots=True)
class PollReport:
    """What came of one poll; *result*: `changed`, `unchanged`, `failed` or `closed`.

    *withdrawn*: uids of articles that are gone at the source.
    """

    source: str
    result: str
    problem: str = ""
    outcomes: tuple[ImportOutcome, ...] = ()
    withdrawn: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def stop_reading() -> None:
    """End what reads sources' documents beside this process: for one that Python does not see to at its end."""
    end_readers()


def poll_source_now(app: App, slug: str) -> PollReport:
    """Poll a source at once, due or not, paused ones too.

    Raises:
        NotFoundError: it is not polled.
        ConflictError: it is being polled at this moment.
    """
    with app.reading() as tx:
        poll = find_source(tx, slug)
    note_act(app, "polled", f"source {slug}")
    report = poll_source(app, poll.source_id, at_once=True)
    if report is None:
        raise ConflictError(f"the source {slug} is being polled at this moment; look again in a minute")
    return report


def poll_source(app: App, source_id: int, *, at_once: bool = False) -> PollReport | None:
    """Ask a source that is due and take in what is new; None: it is not due, or another process asks it.

    Whatever its server does is recorded, and it is asked again later; a server that is ill less and less often.
    """
    token, begun = secrets.token_hex(16), time.monotonic()
    with app.transaction() as tx:
        poll = storage.claim_poll(tx.session, source_id, token=token, lease=LEASE, at_once=at_once)
        asked_at = database_now(tx.session)
    if poll is None:
        return None
    visit = _Visit(app, poll, token, asked_at, jitter=random.SystemRandom().random())
    try:
        report = visit.ask()
    except NewsletterError as error:
        report = visit.fail(str(error))
    except Exception as error:  # whatever a document can do, its source waits and the others do not
        log.exception("poll_broke", source=poll.slug)
        report = visit.fail(f"it could not be read ({type(error).__name__}); the log says more")
    visit.tend_hub()
    log.info(
        "source_polled",
        source=poll.slug,
        result=report.result,
        items=len(report.outcomes),
        withdrawn=len(report.withdrawn),
        seconds=round(time.monotonic() - begun, 2),
    )
    return report


@dataclass(slots=True)
class _Visit:
    """One poll of one source, under its lease."""

    app: App
    poll: Poll
    token: str
    asked_at: datetime
    jitter: float
    timing: Timing = field(default_factory=Timing)
    moved_to: str | None = None
    answer: Fetched | None = None
    facts: FeedFacts = field(default_factory=FeedFacts)

    def ask(self) -> PollReport:
        """Ask, and do what the answer wants."""
        poll = self.poll
        answer = fetch(self._settings, poll.url, etag=poll.etag, last_modified=poll.last_modified)
        self.timing = read_timing(answer.headers, now=self.asked_at)
        self.moved_to = answer.moved_to
        if answer.status == GONE:
            return self._close()
        if answer.status not in (FOUND, NOT_MODIFIED):
            return self.fail(_status_problem(answer.status))
        body_digest = hashlib.sha256(answer.body).hexdigest()
        if answer.status == NOT_MODIFIED or body_digest == poll.body_digest:
            return self._unchanged(answer)
        return self._take(answer, body_digest)

    def fail(self, problem: str) -> PollReport:
        """Record a failure; what was good before stays, and the source is asked again later."""
        problem = shorten(normalise(problem), LONGEST_PROBLEM)
        failures = self.poll.failures + 1
        self._save(
            back_off(failures, self.timing, jitter=self.jitter),
            failures=failures,
            problem=problem,
            problem_at=self.asked_at,
        )
        return PollReport(self.poll.slug, "failed", problem)

    def tend_hub(self) -> None:
        """After an answer that was fine, see to the subscription at its hub; what goes wrong there is only logged."""
        if self.answer is None:
            return
        try:
            tend_hub(self.app, self.poll, self.facts, self.answer, asked_at=self.asked_at)
        except Exception:  # a hub is a convenience: without it the source is polled
            log.exception("hub_broke", source=self.poll.slug)

    def _close(self) -> PollReport:
        """Ask no more: its server says that it is gone, and knows that it is for good."""
        problem = "its server says that it is gone for good (410)"
        self._save(timedelta(0), failures=self.poll.failures + 1, problem=problem, problem_at=self.asked_at)
        with self.app.transaction() as tx:
            storage.set_poll_state(tx.session, self.poll.source_id, SourceState.CLOSED, problem)
        return PollReport(self.poll.slug, "closed", problem)

    def _unchanged(self, answer: Fetched) -> PollReport:
        withdrawn, missing = self._look_for_gone([])
        ttl = self.poll.ttl_seconds
        self.timing = replace(self.timing, ttl=None if ttl is None else timedelta(seconds=ttl))
        has_validators = bool(self.poll.etag or self.poll.last_modified)
        wait = next_wait(self.poll.interval, self.timing, is_conditional=has_validators, jitter=self.jitter)
        self._save(wait, missing=missing, **self._moved(), **_FINE, succeeded_at=self.asked_at)
        self.answer = answer
        return PollReport(self.poll.slug, "unchanged", withdrawn=tuple(withdrawn))

    def _take(self, answer: Fetched, body_digest: str) -> PollReport:
        document = self._read(answer)
        facts = document.feed or FeedFacts()
        items = give_keys(self.poll.slug, replace(document, items=document.items[:MOST_ITEMS]))
        chosen = self._choose(items)
        full, is_left_over = self._with_pages(chosen.items)
        outcomes = import_items(self.app, [self._dated(each, chosen.known) for each in full])
        window = [each.key for each in items if each.key]
        withdrawn, missing = self._look_for_gone(window, facts)
        warnings = _warnings(document, outcomes)
        etag, last_modified = answer.headers.get("etag"), answer.headers.get("last-modified")
        self.timing = replace(self.timing, ttl=facts.ttl)
        wait = next_wait(
            self.poll.interval, self.timing, is_conditional=bool(etag or last_modified), jitter=self.jitter
        )
        self._save(
            LEFT_OVER_WAIT if is_left_over else wait,
            **self._moved(),
            **_FINE,
            etag=None if is_left_over else etag,
            last_modified=None if is_left_over else last_modified,
            ttl_seconds=None if facts.ttl is None else int(facts.ttl.total_seconds()),
            body_digest="" if is_left_over else body_digest,
            since=chosen.since,
            skipped=[key for key in window if key in chosen.skipped],
            window=window,
            missing=missing,
            succeeded_at=self.asked_at,
            changed_at=self.asked_at,
            counts=_counts(outcomes, len(withdrawn)),
            warnings=warnings,
        )
        self.answer, self.facts = answer, facts
        return PollReport(self.poll.slug, "changed", "", tuple(outcomes), tuple(withdrawn), tuple(warnings))

    def _read(self, answer: Fetched) -> Document:
        """Read a document of any format; what it says it is counts less than how it begins."""
        poll = self.poll
        if not answer.body.strip():
            raise InvalidError("the document is empty")
        language = poll.language or self._settings.default_language
        defaults = Defaults(self._settings.zone_info, language, Kind(poll.kind), poll.title)
        beginning = answer.body[:200].removeprefix(b"\xef\xbb\xbf").lstrip()
        if beginning.startswith(b"{"):
            document = aside(read_json_feed, SECONDS, answer.body, defaults)
        else:
            document = aside(read_feed, SECONDS, answer.body, defaults, declared=answer.charset)
        return replace(document, items=tuple(self._settle(item) for item in document.items))

    def _settle(self, item: Item) -> Item:
        """Give an item what staff decided for its source: the language, and topics before its own."""
        draft = item.draft
        if draft is None:
            return item
        if self.poll.language:
            draft = replace(draft, texts=(replace(draft.own, language=self.poll.language), *draft.texts[1:]))
        return replace(item, draft=replace(draft, topics=(*self.poll.topics, *draft.topics)))

    def _choose(self, items: Sequence[SourcedItem]) -> "_Chosen":
        """Leave out what was there before us, and categories that are no topics of ours."""
        with self.app.reading() as tx:
            names = {name for each in items for name in (each.key, *each.aliases)}
            known = article_store.known_items(tx.session, self.poll.source_id, names)
            finder = TopicFinder(load_topics(tx.session))
            now = tx.now
        mine = [_with_known_topics(each, finder) for each in items]
        if self.poll.is_first:
            chosen = self._choose_first(mine, known, now)
        else:
            skipped = frozenset(self.poll.skipped)
            kept = [each for each in mine if not _was_before(each, known, skipped, self.poll.since, self._settings)]
            chosen = _Chosen(kept, known, skipped, self.poll.since)
        is_archive = self.poll.is_first and not self.poll.mails_first
        return replace(chosen, items=[replace(each, is_archive=is_archive) for each in chosen.items])

    def _choose_first(self, items: Sequence[SourcedItem], known: dict[str, Any], now: datetime) -> "_Chosen":
        zone = self._settings.zone_info
        new = [each for each in items if each.item.draft and not _is_known(each, known)]
        dated = {id(each): each.item.draft.published_at(zone) for each in new if each.item.draft}
        newest = sorted(range(len(new)), key=lambda place: (-(dated[id(new[place])] or now).timestamp(), place))[
            : self.poll.first_items
        ]
        taken = {id(new[place]) for place in newest}
        left = frozenset(each.key for each in new if id(each) not in taken)
        dates = [at for each in new if id(each) in taken and (at := dated[id(each)])]
        is_dated = len(dates) == len(taken)
        since = (min(dates) if dates else now) if is_dated and left else None
        return _Chosen([each for each in items if each.key not in left], known, left, since)

    def _with_pages(self, items: Sequence[SourcedItem]) -> tuple[list[SourcedItem], bool]:
        """Give items of which a feed has the beginning only the text of their page; say whether some were left over.

        What is known and came again as it was is not fetched again. Dates do not count there: a site that calls each
        item new each time would have us fetch all its pages.
        """
        with self.app.reading() as tx:
            known = article_store.known_items(tx.session, self.poll.source_id, [each.key for each in items])
        deadline, made, is_left_over = time.monotonic() + PAGES_SECONDS, [], False
        for each in items:
            draft = each.item.draft
            if draft is None:
                made.append(each)
                continue
            came = item_keys.digest(replace(draft, published=None, updated=None))
            there = known.get(each.key)
            is_wanted = self.poll.takes_full_text and is_excerpt(draft) and (there is None or there.digest != came)
            if is_wanted and time.monotonic() > deadline and not self.poll.is_first:
                is_left_over = True
                continue
            if is_wanted and time.monotonic() <= deadline:
                draft = self._with_page(draft)
            made.append(replace(each, item=replace(each.item, draft=draft), digest=came))
        return made, is_left_over

    def _with_page(self, draft: drafts.Draft) -> drafts.Draft:
        url = draft.own.url or ""
        try:
            page = fetch(self._settings, url, accept=PAGES, most=LARGEST_PAGE)
            problem = _page_problem(page)
            if not problem:
                return drafts.tidy(aside(with_full_text, SECONDS, draft, page.body, charset=page.charset))
        except (NewsletterError, UnusableError) as error:
            problem = shorten(normalise(str(error)), 150)
        except Exception as error:  # a page that breaks us must not cost the source its other items
            log.exception("page_broke", source=self.poll.slug)
            problem = f"its page could not be read ({type(error).__name__})"
        return replace(draft, warnings=(*draft.warnings, f"the feed's excerpt was taken: {problem}"))

    def _dated(self, sourced: SourcedItem, known: dict[str, Any]) -> SourcedItem:
        """Date what is new and has no date, or one to come, by when it was first seen."""
        draft = sourced.item.draft
        if draft is None:
            return sourced
        at, now = draft.published_at(self._settings.zone_info), self.app.clock()
        is_believed = at is not None and at <= now + FUTURE
        if is_believed:
            return sourced
        first_seen = None if _is_known(sourced, known) else now
        return replace(sourced, item=replace(sourced.item, draft=replace(draft, published=first_seen)))

    def _look_for_gone(self, window: Sequence[str], facts: FeedFacts | None = None) -> tuple[list[str], dict[str, str]]:
        """Withdraw what is gone at the source; return the uids of what was, and which items are suspected still.

        *window*: keys of the new document; empty: it is the old one.
        """
        facts = facts or FeedFacts()
        missing = {key: since for key, since in self.poll.missing.items() if key not in set(window)}
        removed = {item_keys.id_key(each): "its feed says that it was removed" for each in facts.removed}
        for key in suspects(self.poll.window, window, is_complete=facts.is_complete) if window else ():
            missing.setdefault(key, "")
        with self.app.reading() as tx:
            ids = storage.articles_of_keys(tx.session, self.poll.source_id, [*missing, *removed])
            records = {key: article_store.load_record(tx.session, article_id) for key, article_id in ids.items()}
        gone = {key: why for key, why in removed.items() if key in records}
        still: dict[str, str] = {}
        for looks, (key, since) in enumerate(missing.items()):
            record = records.get(key)
            if key in gone or record is None or record.state is not ArticleState.PUBLISHED:
                continue
            if looks >= MOST_LOOKS:
                still[key] = since
                continue
            missing_since = datetime.fromisoformat(since) if since else None
            status = self._page_status(record.own_translation.url)
            if is_gone(status, missing_since, now=self.asked_at):
                gone[key] = f"it left its feed, and its page answers {status}"
            elif status in (0, 404):
                still[key] = since or self.asked_at.isoformat()
        withdrawn = []
        for key, why in gone.items():
            if records[key].state is ArticleState.PUBLISHED:
                withdraw_article(self.app, records[key].uid, reason=f"withdrawn at the source: {why}")
                withdrawn.append(records[key].uid)
        return list(dict.fromkeys(withdrawn)), still

    def _page_status(self, url: str | None) -> int:
        """Return what a page answers; 0: nothing. An item without a page cannot be asked, and counts as there."""
        if not url:
            return FOUND
        try:
            return fetch(self._settings, url, accept=PAGES, reads_body=False).status
        except NewsletterError:
            return 0

    def _moved(self) -> dict[str, str]:
        """Return the address to ask from now on, where the old one leads elsewhere for good and that was fine."""
        return {"url": self.moved_to} if self.moved_to and self.moved_to != self.poll.url else {}

    def _save(self, wait: timedelta, **values: Any) -> None:
        with self.app.transaction() as tx:
            storage.save_poll(tx.session, self.poll.source_id, token=self.token, wait=wait, **values)

    @property
    def _settings(self) -> Settings:
        return self.app.settings


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The items of a document to take; *skipped*: keys of what was there before us, *since*: when that ends."""

    items: list[SourcedItem]
    known: dict[str, Any]
    skipped: frozenset[str]
    since: datetime | None


_FINE: dict[str, Any] = {"failures": 0, "problem": "", "problem_at": None}


def _is_known(sourced: SourcedItem, known: dict[str, Any]) -> bool:
    return sourced.key in known or any(alias in known for alias in sourced.aliases)


def _was_before(
    sourced: SourcedItem, known: dict[str, Any], skipped: frozenset[str], since: datetime | None, settings: Settings
) -> bool:
    """Say whether an item was there before we first asked, and was left out then."""
    draft = sourced.item.draft
    if draft is None or _is_known(sourced, known):
        return False
    at = draft.published_at(settings.zone_info)
    return sourced.key in skipped or (since is not None and at is not None and at < since)


def _with_known_topics(sourced: SourcedItem, finder: TopicFinder) -> SourcedItem:
    draft = sourced.item.draft
    if draft is None:
        return sourced
    _, unknown = finder.find(draft.topics)
    kept = tuple(dict.fromkeys(name for name in draft.topics if name not in unknown))
    return replace(sourced, item=replace(sourced.item, draft=replace(draft, topics=kept)))


def _page_problem(page: Fetched) -> str:
    if page.status != FOUND:
        return _status_problem(page.status)
    is_page = page.media_type in ("", "text/html", "application/xhtml+xml")
    return "" if is_page else f"its page is {shorten(normalise(page.media_type), 60)}"


def _status_problem(status: int) -> str:
    known = {
        401: "its server wants a password (401)",
        403: "its server refuses us (403)",
        404: "there is nothing at its address (404)",
        429: "its server says that we ask too often (429)",
    }
    return known.get(status, f"its server answers {status}")


def _counts(outcomes: Sequence[ImportOutcome], withdrawn: int) -> dict[str, int]:
    counts = {result.value: sum(each.result is result for each in outcomes) for result in ImportResult}
    counts |= {"significant": sum(each.is_significant for each in outcomes), "withdrawn": withdrawn}
    return {name: count for name, count in counts.items() if count}


def _warnings(document: Document, outcomes: Sequence[ImportOutcome]) -> list[str]:
    """Return what a person should know of a document, what was refused first."""
    told = list(document.warnings)
    if len(document.items) > MOST_ITEMS:
        told.append(f"it has {len(document.items):,} items; the first {MOST_ITEMS} are looked at")
    refused = [each for each in outcomes if each.result is ImportResult.REFUSED]
    told += [f"item {each.position} refused: {each.reason}" for each in refused]
    for each in outcomes:
        told += [f"item {each.position}: {warning}" for warning in each.warnings if warning not in document.warnings]
    return [shorten(normalise(each), LONGEST_PROBLEM) for each in dict.fromkeys(told)][:MOST_WARNINGS]
