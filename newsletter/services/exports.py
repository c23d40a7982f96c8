"""Exports: everything there is, in open formats that this service and others read; a page at a time, however much.

What is written holds addresses, so only its owner may read it. Each page is as it stands when it is read.
"""

import csv
import json
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from newsletter.domain.articles import ArticleRecord, ArticleState, Translation
from newsletter.domain.lists import WEEKDAYS, MailingList
from newsletter.domain.subscriptions import EndReason, SubscriptionState
from newsletter.domain.suppressions import SuppressionReason
from newsletter.domain.topics import Topic
from newsletter.errors import InvalidError
from newsletter.services.article_imports import source_slug
from newsletter.services.audit import list_acts, record_act
from newsletter.services.context import App, Transaction
from newsletter.services.editions import edition_progress
from newsletter.services.export_desk import export_accounts, export_api_clients, export_limits, export_sources
from newsletter.services.filters import NamedFilter, load_names
from newsletter.services.lists import ListFacts, list_lists
from newsletter.storage import articles as article_store
from newsletter.storage import exports as storage
from newsletter.storage import lists as list_store
from newsletter.storage import subscriptions as subscription_store
from newsletter.storage import topics as topic_store

PAGE = 500
"""Rows read in one transaction."""

LARGEST_ARTICLES = 10_000_000
"""Bytes after which another file of articles is begun; imports take twice that."""

MOST_ROWS = 200_000
"""Rows after which another file of subscribers is begun; imports take five times that."""

SUBSCRIBER_COLUMNS = (
    "address",
    "language",
    "cadence",
    "topics",
    "kinds",
    "languages",
    "standing",
    "since",
    "ended_at",
    "reason",
    "paused_until",
    "basis",
)

_SUPPRESSED = {SuppressionReason.HARD_BOUNCE: "bounced", SuppressionReason.COMPLAINT: "complained"}

Row = TypeVar("Row")


@dataclass(slots=True)
class ExportReport:
    """What was written: how many of each thing, in which files of *folder*, each with how many."""

    folder: str
    at: datetime
    counts: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)

    def note(self, what: str, file: str, count: int) -> None:
        """Note a finished file."""
        self.counts[what] = self.counts.get(what, 0) + count
        self.files[file] = count


def export_everything(app: App, folder: Path, *, on_file: Callable[[str, int], None] = lambda *_: None) -> ExportReport:
    """
    Write articles, topics, lists, subscribers, consents, suppressions, private feeds, sources, accounts, API clients,
    limits, editions and the audit record into *folder*; passwords, tokens and keys stay.

    It is made, for its owner alone. *on_file* is told each finished file and how many things are in it. An export that
    fails leaves what it wrote, without the manifest that is written last.

    Raises:
        InvalidError: the folder is there and not empty, or cannot be written.
    """
    report = ExportReport(str(folder), app.clock())
    export = _Export(app, folder, report, on_file)
    try:
        _make_folder(folder)
        export.write_all()
    except OSError as error:
        raise InvalidError(f"{folder} cannot be written: {error.strerror or error}; choose another place") from error
    with app.transaction() as tx:
        record_act(tx, "exported", "everything", counts=dict(report.counts))
    return report


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InvalidError(f"{folder} is not empty; name a folder that is not there yet")
    folder.chmod(0o700)


@dataclass(frozen=True, slots=True)
class _Export:
    """Writes into one folder, a page at a time."""

    app: App
    folder: Path
    report: ExportReport
    on_file: Callable[[str, int], None]

    def write_all(self) -> None:
        self._write_articles()
        self._write_topics()
        self._write_lists()
        for each in list_lists(self.app):
            self._write_subscribers(each.mailing_list)
        self._write_consents()
        self._write_suppressions()
        self._write_private_feeds()
        self._write_array("sources", "sources.json", export_sources(self.app))
        self._write_array("accounts", "accounts.json", export_accounts(self.app))
        self._write_array("API clients", "api-clients.json", export_api_clients(self.app))
        self._write_array("limits", "limits.json", export_limits(self.app))
        self._write_array("editions", "editions.json", self._editions())
        self._write_array("acts", "audit.json", self._acts())
        facts = {"at": self.report.at.isoformat(), "counts": self.report.counts, "files": self.report.files}
        _write_text(self.folder / "manifest.json", json.dumps(facts, ensure_ascii=False, indent=2) + "\n")

    def _done(self, what: str, name: str, count: int) -> None:
        self.report.note(what, name, count)
        self.on_file(name, count)

    def _write_array(self, what: str, name: str, values: Iterable[Mapping[str, Any]]) -> None:
        with _Array(self.folder / name) as file:
            for value in values:
                file.write(value)
        self._done(what, name, file.count)

    def _write_articles(self) -> None:
        """Write what imports may bring back into files of bounded size, and what was withdrawn into one of its own."""
        file, number = None, 0
        with _Array(self.folder / "articles-withdrawn.json", of="withdrawn") as withdrawn:
            for item, is_withdrawn in self._articles():
                if is_withdrawn:
                    withdrawn.write(item)
                    continue
                if file is None or file.size > LARGEST_ARTICLES:
                    if file is not None:
                        file.close()
                        self._done("articles", file.path.name, file.count)
                    number += 1
                    file = _Array(self.folder / f"articles-{number}.json", of="articles")
                file.write(item)
        if file is not None:
            file.close()
            self._done("articles", file.path.name, file.count)
        self._done("withdrawn articles", withdrawn.path.name, withdrawn.count)

    def _articles(self) -> Iterator[tuple[dict[str, Any], bool]]:
        with self.app.reading() as tx:
            slugs = {topic.id: topic.slug for topic in topic_store.load_topics(tx.session)}
            titles = storage.source_titles(tx.session)
        after = 0
        while True:
            with self.app.reading() as tx:
                ids = storage.article_ids(tx.session, after=after, limit=PAGE)
                records = [article_store.load_record(tx.session, each) for each in ids]
            for record in records:
                yield _article(record, slugs, titles), record.state is ArticleState.WITHDRAWN
            if not ids:
                return
            after = ids[-1]

    def _write_topics(self) -> None:
        """Write a file for each scheme, as `newsletter topics load` reads them: parents' schemes first."""
        with self.app.reading() as tx:
            topics = topic_store.load_topics(tx.session)
        slugs = {topic.id: topic.slug for topic in topics}
        schemes = list(dict.fromkeys(topic.scheme for topic in sorted(topics, key=lambda each: each.parent_id or 0)))
        for number, scheme in enumerate(schemes, start=1):
            named = [_topic(topic, slugs) for topic in topics if topic.scheme == scheme]
            name = f"topics-{number}.json"
            text = json.dumps({"scheme": scheme, "topics": named}, ensure_ascii=False, indent=2)
            _write_text(self.folder / name, text + "\n")
            self._done("topics", name, len(named))

    def _write_lists(self) -> None:
        self._write_array("lists", "lists.json", (_list(each) for each in list_lists(self.app)))

    def _write_subscribers(self, mailing_list: MailingList) -> None:
        """Write one line for each person who has or had the list, into files of bounded length."""
        rows = self._subscribers(mailing_list)
        number, has_more = 0, True
        while has_more:
            number += 1
            name = f"subscribers-{mailing_list.slug}-{number}.csv"
            with _Table(self.folder / name, SUBSCRIBER_COLUMNS) as table:
                has_more = table.take(rows, MOST_ROWS)
            self._done("subscribers", name, table.count)

    def _subscribers(self, mailing_list: MailingList) -> Iterator[Sequence[object]]:
        named = _Named()
        for page in self._pages(
            lambda tx, after: storage.standings(tx.session, mailing_list.id, after=after, limit=PAGE)
        ):
            with self.app.reading() as tx:
                named.learn(tx, {each.filter_id for each in page})
                agreed = subscription_store.load_consents(tx.session, [each.id for each in page])
            for each in page:
                basis = next((said.basis for said in reversed(agreed.get(each.id, [])) if said.act in _AGREEING), "")
                yield _subscriber(each, named.filters[each.filter_id], basis)

    def _write_consents(self) -> None:
        with _Table(self.folder / "consents.csv", ("address", "list", "at", "act", "basis", "evidence")) as table:
            for page in self._pages(lambda tx, after: storage.consents(tx.session, after=after, limit=PAGE)):
                for each in page:
                    said = each.consent
                    table.write(
                        (each.address, each.list, _time(said.at), said.act.value, said.basis, str(said.evidence))
                    )
        self._done("consents", "consents.csv", table.count)

    def _write_suppressions(self) -> None:
        after = 0
        with _Table(self.folder / "suppressions.csv", ("address_hmac", "reason", "since")) as table:
            while True:
                with self.app.reading() as tx:
                    page = storage.suppressions(tx.session, after=after, limit=PAGE)
                for _, each in page:
                    table.write((each.address_hmac, each.reason.value, _time(each.created_at)))
                if not page:
                    break
                after = page[-1][0]
        self._done("suppressions", "suppressions.csv", table.count)

    def _write_private_feeds(self) -> None:
        """Write who was given a feed of their own; its address is a secret of theirs, and made anew elsewhere."""
        with _Table(self.folder / "private-feeds.csv", ("address", "list", "made_at", "revoked_at")) as table:
            for page in self._pages(lambda tx, after: storage.private_feeds(tx.session, after=after, limit=PAGE)):
                for each in page:
                    revoked_at = _time(each.revoked_at) if each.revoked_at else ""
                    table.write((each.address, each.list, _time(each.made_at), revoked_at))
        self._done("private feeds", "private-feeds.csv", table.count)

    def _editions(self) -> Iterator[dict[str, Any]]:
        after = 0
        while True:
            with self.app.reading() as tx:
                found = storage.editions(tx.session, after=after, limit=PAGE)
                told = [_edition(tx, each) for each in found]
            yield from told
            if not found:
                return
            after = found[-1].id

    def _acts(self) -> Iterator[dict[str, Any]]:
        """Yield the record of who did what, the last act first."""
        before = None
        while found := list_acts(self.app, before=before, limit=PAGE):
            for each in found:
                yield {
                    "at": _time(each.at),
                    "actor": each.actor,
                    "act": each.act,
                    "about": each.about,
                    "details": dict(each.details),
                }
            before = found[-1].id

    def _pages(self, load: Callable[[Transaction, int], list[Any]]) -> Iterator[list[Any]]:
        """Yield pages of rows that have an id, in its order, each read in a transaction of its own."""
        after = 0
        while True:
            with self.app.reading() as tx:
                page = load(tx, after)
            if not page:
                return
            yield page
            after = page[-1].id


_AGREEING = frozenset({"asked", "confirmed", "imported", "changed"})
"""Lines of the record of consent whose basis says what a person agreed to."""


@dataclass(slots=True)
class _Named:
    """Filters in words, each found once."""

    filters: dict[int, NamedFilter] = field(default_factory=dict)

    def learn(self, tx: Transaction, ids: set[int]) -> None:
        if missing := ids - self.filters.keys():
            names = load_names(tx)
            found = list_store.load_filters(tx.session, missing)
            self.filters |= {each: names.name(choice) for each, choice in found.items()}


def _article(record: ArticleRecord, slugs: Mapping[int, str], titles: Mapping[str, str]) -> dict[str, Any]:
    """Return an article as `newsletter articles import` reads it; of a withdrawn one, why as well."""
    title = titles.get(record.source, record.source)
    own = record.own_translation
    others = {code: _text(each) for code, each in record.translations.items() if code != record.default_language}
    image = {"url": record.image_url, "width": record.image_width, "height": record.image_height}
    event = record.event
    facts = {
        "id": record.uid,
        "source": title if source_slug(title) == record.source else record.source,
        "kind": record.kind.value,
        "language": record.default_language,
        "published": _time(record.published_at),
        "updated": _time(record.updated_at) if record.revision > 1 else None,
        "embargo_until": _time(record.embargo_until),
        "topics": [slugs[each] for each in record.counting_topics],
        **_text(own),
        "image": {name: value for name, value in image.items() if value} if record.image_url else None,
        "event": {name: _time(value) if isinstance(value, datetime) else value for name, value in asdict(event).items()}
        if event
        else None,
        "translations": others,
    }
    if record.state is ArticleState.WITHDRAWN:
        facts |= {"withdrawn_at": _time(record.withdrawn_at), "withdrawal_reason": record.withdrawal_reason}
    return {name: value for name, value in facts.items() if value not in (None, "", [], {})}


def _text(text: Translation) -> dict[str, Any]:
    facts = {
        "title": text.title,
        "summary": text.summary,
        "html": text.body_html,
        "url": text.url,
        "image_alt": text.image_alt,
        "image_credit": text.image_credit,
    }
    return {name: value for name, value in facts.items() if value}


def _topic(topic: Topic, slugs: Mapping[int, str]) -> dict[str, Any]:
    facts = {
        "slug": topic.slug,
        "labels": dict(topic.labels),
        "parent": slugs.get(topic.parent_id or 0),
        "rules": {language: list(phrases) for language, phrases in topic.rules.items()},
        "apply": topic.applies_rules,
    }
    return {name: value for name, value in facts.items() if value}


def _list(found: ListFacts) -> dict[str, Any]:
    """Return a list's settings, and the command that adds it elsewhere."""
    each = found.mailing_list
    return {
        "slug": each.slug,
        "titles": dict(each.titles),
        "descriptions": dict(each.descriptions),
        "intros": dict(each.intros),
        "from_name": each.from_name,
        "from_address": each.from_address,
        "reply_to": each.reply_to,
        "cadences": [cadence.value for cadence in each.cadences],
        "zone": each.schedule.zone,
        "send_at": f"{each.schedule.send_at:%H:%M}",
        "weekday": WEEKDAYS[each.schedule.weekday],
        "month_day": each.schedule.month_day,
        "languages": list(each.languages),
        "filter": {name: list(values) for name, values in asdict(found.filter).items()},
        "sections": each.sections.value,
        "review_minutes": each.review_minutes,
        "review_hold": each.review_hold,
        "canary": each.canary,
        "canary_limit": each.canary_limit,
        "in_doubt": each.in_doubt_policy.value,
        "since": _time(each.since),
        "is_public": each.is_public,
        "readers": found.confirmed,
        "added_by": shlex.join(_adding(found)),
    }


def _adding(found: ListFacts) -> Iterator[str]:
    """Yield the words of the command that adds a list like this one."""
    each = found.mailing_list
    yield from ("newsletter", "lists", "add", each.slug)
    for option, words in (("title", each.titles), ("description", each.descriptions), ("intro", each.intros)):
        for language, text in words.items():
            yield from (f"--{option}", f"{language}={text}")
    for option, values in (
        ("cadence", [cadence.value for cadence in each.cadences]),
        ("language", each.languages),
        ("topic", found.filter.topics),
        ("kind", found.filter.kinds),
        ("source", found.filter.sources),
        ("article-language", found.filter.languages),
    ):
        for value in values:
            yield from (f"--{option}", value)
    yield from ("--from", f"{each.from_name} <{each.from_address}>" if each.from_name else each.from_address)
    yield from ("--zone", each.schedule.zone, "--at", f"{each.schedule.send_at:%H:%M}")
    yield from ("--weekday", WEEKDAYS[each.schedule.weekday], "--month-day", str(each.schedule.month_day))
    yield from ("--sections", each.sections.value, "--in-doubt", each.in_doubt_policy.value)
    yield from ("--since", each.since.isoformat())
    options = {
        "reply-to": each.reply_to,
        "review": f"{each.review_minutes}m" if each.review_minutes else "",
        "canary": each.canary,
        "canary-limit": "" if each.canary_limit is None else f"{each.canary_limit:g}",
    }
    for option, given in options.items():
        if given:
            yield from (f"--{option}", given)
    if each.review_hold:
        yield "--review-hold"
    if not each.is_public:
        yield "--hidden"


def _subscriber(each: storage.Standing, chosen: NamedFilter, basis: str) -> Sequence[object]:
    standing = _standing(each)
    is_suppressed = each.suppression is not None
    return (
        each.address,
        each.language,
        each.cadence.value,
        " ".join(chosen.topics),
        " ".join(chosen.kinds),
        " ".join(chosen.languages),
        standing,
        _time(each.confirmed_at or each.created_at),
        _time(each.suppressed_at if is_suppressed else each.ended_at),
        (each.suppression or each.end_reason or "") and str(each.suppression or each.end_reason),
        _time(each.paused_until),
        basis,
    )


def _standing(each: storage.Standing) -> str:
    """Return how a person stands, in the words that `newsletter subscribers import` knows."""
    if each.suppression:
        return _SUPPRESSED.get(each.suppression, "blocked")
    if each.state is SubscriptionState.CONFIRMED:
        return "active"
    if each.state is SubscriptionState.UNCONFIRMED or each.end_reason is EndReason.NEVER_CONFIRMED:
        return "waiting"
    return "left"


def _edition(tx: Transaction, edition: Any) -> dict[str, Any]:
    found = edition_progress(tx, edition)
    return {
        "id": edition.id,
        "list": found.list_slug,
        "purpose": edition.purpose.value,
        "cadence": found.cadence.value,
        "slot": found.slot_key,
        "slot_at": _time(found.slot_at),
        "state": found.state.value,
        "skip_reason": found.skip_reason.value if found.skip_reason else None,
        "approved_at": _time(edition.approved_at),
        "done_at": _time(found.done_at),
        "readers": found.candidates,
        "mails": {state.value: count for state, count in found.deliveries.items()},
        "no_mail_for": dict(found.exclusions),
        "articles": [
            {"id": uid, "withdrawn_at": _time(at)} if at else {"id": uid}
            for uid, at in storage.items_by_uid(tx.session, edition.id)
        ],
    }


def _time(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def _open(path: Path) -> Any:
    """Open a new file for its owner alone; the caller closes it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")


def _write_text(path: Path, text: str) -> None:
    with closing(_open(path)) as file:
        file.write(text)


class _Array:
    """A JSON file of one array, by itself or under the name *of*, written value by value."""

    def __init__(self, path: Path, *, of: str = "") -> None:
        self.path, self.count, self.size = path, 0, 0
        self._file = _open(path)
        self._closing = "\n]}\n" if of else "\n]\n"
        self._file.write(f'{{"{of}": [' if of else "[")

    def write(self, value: Mapping[str, Any]) -> None:
        text = json.dumps(value, ensure_ascii=False)
        self._file.write((",\n" if self.count else "\n") + text)
        self.count += 1
        self.size += len(text.encode())

    def close(self) -> None:
        self._file.write(self._closing)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Table:
    """A CSV file, written row by row."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.count = 0
        self._file = _open(path)
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns)

    def write(self, row: Sequence[object]) -> None:
        self._writer.writerow(row)
        self.count += 1

    def take(self, rows: Iterator[Sequence[object]], most: int) -> bool:
        """Write up to *most* of *rows*; say whether there may be more."""
        for row in rows:
            self.write(row)
            if self.count == most:
                return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
