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
from newsletter.domain.articles import Kind
from newsletter.domain.prose import normalise, shorten
from newsletter.domain.sources import (
    SourceState,
    Timing,
    back_off,
    next_wait,
    read_timing,
)
from newsletter.errors import ConflictError, InvalidError, NewsletterError
from newsletter.ingest.aside import SECONDS, aside, end_readers
from newsletter.ingest.document import Document, FeedFacts, Item
from newsletter.ingest.feed import read_feed
from newsletter.ingest.fields import Defaults
from newsletter.ingest.json_feed import read_json_feed
from newsletter.services.article_imports import ImportOutcome, ImportResult, import_items
from newsletter.services.audit import note_act
from newsletter.services.context import App
from newsletter.services.departures import withdraw_gone
from newsletter.services.fetching import FOUND, Fetched, fetch, tell_status
from newsletter.services.item_choices import Chosen, choose_items
from newsletter.services.item_pages import complete_texts
from newsletter.services.source_hubs import tend_hub
from newsletter.services.sourced_items import SourcedItem, give_keys
from newsletter.services.sources import find_source
from newsletter.storage import sources as storage
from newsletter.storage.engine import database_now
from newsletter.storage.sources import Poll

log = structlog.get_logger()

LEASE = timedelta(minutes=10)
"""How long one poll may take; far longer than its bounds add up to."""
LEFT_OVER_WAIT = timedelta(minutes=1)
MOST_ITEMS = 500
"""Items of a polled document that are looked at; the first ones, which are the newest nearly everywhere."""
LONGEST_PROBLEM = 300
MOST_WARNINGS = 20
FUTURE = timedelta(minutes=10)
"""A date further ahead than clocks differ is taken for first seen: a feed tells of what was published."""
NOT_MODIFIED, GONE = 304, 410


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
            return self.fail(tell_status(answer.status))
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
        withdrawn, missing = self._withdraw_gone([], FeedFacts())
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
        chosen = choose_items(self.app, self.poll, items)
        full, is_left_over = complete_texts(self.app, self.poll, chosen.items)
        outcomes = import_items(self.app, [self._dated(each, chosen) for each in full])
        window = [each.key for each in items if each.key]
        withdrawn, missing = self._withdraw_gone(window, facts)
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

    def _dated(self, sourced: SourcedItem, chosen: Chosen) -> SourcedItem:
        """Date what is new and has no date, or one to come, by when it was first seen."""
        draft = sourced.item.draft
        if draft is None:
            return sourced
        at, now = draft.published_at(self._settings.zone_info), self.app.clock()
        if at is not None and at <= now + FUTURE:
            return sourced
        return sourced.with_draft(replace(draft, published=None if chosen.knows(sourced) else now))

    def _withdraw_gone(self, window: Sequence[str], facts: FeedFacts) -> tuple[list[str], dict[str, str]]:
        return withdraw_gone(self.app, self.poll, window, facts, asked_at=self.asked_at)

    def _moved(self) -> dict[str, str]:
        """Return the address to ask from now on, where the old one leads elsewhere for good and that was fine."""
        return {"url": self.moved_to} if self.moved_to and self.moved_to != self.poll.url else {}

    def _save(self, wait: timedelta, **values: Any) -> None:
        with self.app.transaction() as tx:
            storage.save_poll(tx.session, self.poll.source_id, token=self.token, wait=wait, **values)

    @property
    def _settings(self) -> Settings:
        return self.app.settings


_FINE: dict[str, Any] = {"failures": 0, "problem": "", "problem_at": None}


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
