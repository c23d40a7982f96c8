"""Exports: everything there is, in open formats that this service and others read; a page at a time, however much.

What is written holds addresses, so only its owner may read it. Each page is as it stands when it is read.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from newsletter.domain.articles import ArticleState
from newsletter.domain.lists import MailingList
from newsletter.errors import InvalidError
from newsletter.services.audit import list_acts, record_act
from newsletter.services.context import App, Transaction
from newsletter.services.export_desk import export_accounts, export_api_clients, export_limits, export_sources
from newsletter.services.export_files import ArrayFile, TableFile, write_text
from newsletter.services.export_rows import (
    SUBSCRIBER_COLUMNS,
    article_facts,
    edition_facts,
    list_facts,
    subscriber_row,
    time_text,
    topic_facts,
)
from newsletter.services.filters import NamedFilter, load_names
from newsletter.services.lists import list_lists
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
        write_text(self.folder / "manifest.json", json.dumps(facts, ensure_ascii=False, indent=2) + "\n")

    def _done(self, what: str, name: str, count: int) -> None:
        self.report.note(what, name, count)
        self.on_file(name, count)

    def _write_array(self, what: str, name: str, values: Iterable[Mapping[str, Any]]) -> None:
        with ArrayFile(self.folder / name) as file:
            for value in values:
                file.write(value)
        self._done(what, name, file.count)

    def _write_articles(self) -> None:
        """Write what imports may bring back into files of bounded size, and what was withdrawn into one of its own."""
        file, number = None, 0
        with ArrayFile(self.folder / "articles-withdrawn.json", of="withdrawn") as withdrawn:
            for item, is_withdrawn in self._articles():
                if is_withdrawn:
                    withdrawn.write(item)
                    continue
                if file is None or file.size > LARGEST_ARTICLES:
                    if file is not None:
                        file.close()
                        self._done("articles", file.path.name, file.count)
                    number += 1
                    file = ArrayFile(self.folder / f"articles-{number}.json", of="articles")
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
                yield article_facts(record, slugs, titles), record.state is ArticleState.WITHDRAWN
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
            named = [topic_facts(topic, slugs) for topic in topics if topic.scheme == scheme]
            name = f"topics-{number}.json"
            text = json.dumps({"scheme": scheme, "topics": named}, ensure_ascii=False, indent=2)
            write_text(self.folder / name, text + "\n")
            self._done("topics", name, len(named))

    def _write_lists(self) -> None:
        self._write_array("lists", "lists.json", (list_facts(each) for each in list_lists(self.app)))

    def _write_subscribers(self, mailing_list: MailingList) -> None:
        """Write one line for each person who has or had the list, into files of bounded length."""
        rows = self._subscribers(mailing_list)
        number, has_more = 0, True
        while has_more:
            number += 1
            name = f"subscribers-{mailing_list.slug}-{number}.csv"
            with TableFile(self.folder / name, SUBSCRIBER_COLUMNS) as table:
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
                yield subscriber_row(each, named.filters[each.filter_id], basis)

    def _write_consents(self) -> None:
        with TableFile(self.folder / "consents.csv", ("address", "list", "at", "act", "basis", "evidence")) as table:
            for page in self._pages(lambda tx, after: storage.consents(tx.session, after=after, limit=PAGE)):
                for each in page:
                    said = each.consent
                    table.write(
                        (each.address, each.list, time_text(said.at), said.act.value, said.basis, str(said.evidence))
                    )
        self._done("consents", "consents.csv", table.count)

    def _write_suppressions(self) -> None:
        after = 0
        with TableFile(self.folder / "suppressions.csv", ("address_hmac", "reason", "since")) as table:
            while True:
                with self.app.reading() as tx:
                    page = storage.suppressions(tx.session, after=after, limit=PAGE)
                for _, each in page:
                    table.write((each.address_hmac, each.reason.value, time_text(each.created_at)))
                if not page:
                    break
                after = page[-1][0]
        self._done("suppressions", "suppressions.csv", table.count)

    def _write_private_feeds(self) -> None:
        """Write who was given a feed of their own; its address is a secret of theirs, and made anew elsewhere."""
        with TableFile(self.folder / "private-feeds.csv", ("address", "list", "made_at", "revoked_at")) as table:
            for page in self._pages(lambda tx, after: storage.private_feeds(tx.session, after=after, limit=PAGE)):
                for each in page:
                    revoked_at = time_text(each.revoked_at) if each.revoked_at else ""
                    table.write((each.address, each.list, time_text(each.made_at), revoked_at))
        self._done("private feeds", "private-feeds.csv", table.count)

    def _editions(self) -> Iterator[dict[str, Any]]:
        after = 0
        while True:
            with self.app.reading() as tx:
                found = storage.editions(tx.session, after=after, limit=PAGE)
                told = [edition_facts(tx, each) for each in found]
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
                    "at": time_text(each.at),
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
