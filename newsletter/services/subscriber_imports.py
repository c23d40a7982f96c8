"""Imports of subscribers: many rows into one list, on a stated basis for consent; nobody who left is brought back."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any

from newsletter.domain.addresses import Address
from newsletter.domain.filters import Filter
from newsletter.domain.lists import Cadence, MailingList
from newsletter.domain.subscriptions import (
    LEAVING,
    Choice,
    Consent,
    ConsentAct,
    EndReason,
    Pause,
    Subscription,
    SubscriptionState,
    fit_cadence,
    fit_filter,
    left_out,
)
from newsletter.errors import ConflictError, InvalidError
from newsletter.ingest.subscriber_csv import BrokenLine, SubscriberFile, SubscriberLine
from newsletter.mail.addresses import address_hmac, parse_address
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.services.filters import FilterNames, NamedFilter, load_names
from newsletter.services.lists import find_list
from newsletter.storage import lists as list_store
from newsletter.storage import subscribers as subscriber_store
from newsletter.storage import subscriptions as storage
from newsletter.storage.suppressions import load_suppressions

IMPORT_CHUNK = 1000
"""Rows in one transaction: short enough that nobody waits for it, long enough to be quick."""

FROM_A_FILE = "import of "
"""What the evidence begins with of whoever was brought in with a file, its name after it."""

SHORTEST_BASIS = 10
"""Characters; "yes" is no basis for consent that anybody could show to an authority."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not taken, and why; *line* is the file's line number."""

    line: int
    address: str
    why: str


class RowOutcome(StrEnum):
    """What became of one row."""

    ADDED = "added"
    SAME = "same"  # subscribed already; what the reader chose stays
    REFUSED = "refused"


@dataclass(slots=True)
class ImportReport:
    """What became of a file's rows: how many of each outcome, and every refused one."""

    counts: Counter[RowOutcome] = field(default_factory=lambda: Counter(dict.fromkeys(RowOutcome, 0)))
    refusals: list[Refusal] = field(default_factory=list)

    def refuse(self, line: int, address: str, why: str) -> None:
        """Note a row that is not taken."""
        self.counts[RowOutcome.REFUSED] += 1
        self.refusals.append(Refusal(line, address, why))


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that is right by itself; what its address's past says is seen when it is stored."""

    line: int
    address: Address
    hmac: str
    choice: Filter
    cadence: Cadence
    language: str
    since: datetime | None = None
    basis: str = ""
    paused_until: datetime | None = None


def import_subscribers(
    app: App,
    slug: str,
    file: SubscriberFile,
    *,
    name: str,
    basis: str,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ImportReport:
    """
    Subscribe each row of *file* to a list, confirmed on the stated *basis*; *name* is the file's, for the record.

    Commits every thousand rows, and may be repeated: who is subscribed stays as they are. *on_progress* is told how
    many lines were read since the last time. Nothing is rung and no mail is sent.

    Raises:
        InvalidError: the basis says nothing.
        NotFoundError: there is no such list.
    """
    return import_lines(app, slug, file.lines(), name=name, basis=basis, on_progress=on_progress)


def import_lines(
    app: App,
    slug: str,
    lines: Iterable[SubscriberLine | BrokenLine],
    *,
    name: str,
    basis: str,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ImportReport:
    """
    Subscribe people as `import_subscribers` does, given as lines of a file called *name*.

    Raises:
        InvalidError, NotFoundError: as `import_subscribers`.
    """
    importer = _open_importer(app, slug, basis=basis, evidence=f"{FROM_A_FILE}{name}")
    lines = iter(lines)
    while chunk := list(islice(lines, IMPORT_CHUNK)):
        importer.take(app, chunk)
        on_progress(chunk[-1].number)
    _record(app, slug, importer, name)
    return importer.report


def add_subscriber(
    app: App, slug: str, address: str, *, basis: str, language: str = "", cadence: str = "", wanted: NamedFilter
) -> RowOutcome:
    """
    Subscribe one address to a list, confirmed on the stated *basis*; say whether it was subscribed already.

    Raises:
        InvalidError: the basis says nothing.
        NotFoundError: there is no such list.
        ConflictError: the row is refused; the message says why.
    """
    importer = _open_importer(app, slug, basis=basis, evidence="added by staff")
    line = SubscriberLine(1, address, language, cadence, wanted.topics, wanted.kinds, wanted.languages)
    importer.take(app, [line])
    if importer.report.refusals:
        raise ConflictError(f"{address}: {importer.report.refusals[0].why}")
    _record(app, slug, importer, "by hand")
    return next(outcome for outcome, count in importer.report.counts.items() if count)


def _record(app: App, slug: str, importer: "_Importer", name: str) -> None:
    counts: dict[str, Any] = {outcome.value: count for outcome, count in importer.report.counts.items()}
    with app.transaction() as tx:
        record_act(tx, "imported", f"subscribers of {slug}", file=name, basis=importer.basis, **counts)


def _open_importer(app: App, slug: str, *, basis: str, evidence: str) -> "_Importer":
    if len(basis.strip()) < SHORTEST_BASIS:
        raise InvalidError(
            "state the basis for consent in a sentence, such as: signed up on paper at the press day of 12 May 2024"
        )
    with app.reading() as tx:
        mailing_list = find_list(tx, slug)
        return _Importer(
            mailing_list=mailing_list,
            carried=list_store.load_filter(tx.session, mailing_list.filter_id),
            names=load_names(tx),
            secret=app.settings.lasting_secret,
            basis=basis.strip(),
            evidence=evidence,
        )


WANTS_MAIL = frozenset(
    {"", "active", "subscribed", "confirmed", "enabled", "opted in", "yes", "y", "true", "1"}
    | {"активен", "активна", "активный", "подписан", "подписана", "подтверждён", "подтвержден", "да"}
    | {"активдүү", "жазылган", "ооба"}
)
"""What files say of those who want mail. Nobody is mailed for a word that is not known: it may say that they left."""


def _require_wish(status: str) -> None:
    if status not in WANTS_MAIL:
        raise InvalidError(
            f"its status is {status!r}, which does not say that they want mail; put those who left into a file of "
            "their own, for --as left, and where the column tells something else, take it out"
        )


@dataclass(slots=True)
class _Importer:
    """Takes rows into one list; remembers the choices and addresses it has met, so that a large file costs little."""

    mailing_list: MailingList
    carried: Filter
    names: FilterNames
    secret: bytes
    basis: str
    evidence: str
    report: ImportReport = field(default_factory=ImportReport)
    _choices: dict[NamedFilter, Filter] = field(default_factory=dict)
    _filter_ids: dict[Filter, int] = field(default_factory=dict)
    _lines: dict[str, int] = field(default_factory=dict)

    def take(self, app: App, lines: Sequence[SubscriberLine | BrokenLine]) -> None:
        """Store what can be stored of *lines*, in one transaction, and report the rest."""
        rows = [row for line in lines if (row := self._read(line))]
        if rows:
            with app.transaction() as tx:
                self._store(tx, self._welcome(tx, rows))

    def _read(self, line: SubscriberLine | BrokenLine) -> _Row | None:
        if isinstance(line, BrokenLine):
            self.report.refuse(line.number, "", line.why)
            return None
        try:
            _require_wish(line.status)
            address = self._find_address(line.address)
            row = _Row(
                line.number,
                address,
                address_hmac(self.secret, address.key),
                self._find_choice(NamedFilter(line.topics, line.kinds, (), line.languages)),
                self._find_cadence(line.cadence),
                self._find_language(line.language),
                line.since,
                line.basis,
                line.paused_until,
            )
        except InvalidError as error:
            self.report.refuse(line.number, line.address, str(error))
            return None
        self._lines[address.key] = line.number
        return row

    def _find_address(self, text: str) -> Address:
        if not text:
            raise InvalidError("it has no address")
        address = parse_address(text)
        if address.key in self._lines:
            raise InvalidError(f"it repeats line {self._lines[address.key]}")
        return address

    def _find_choice(self, named: NamedFilter) -> Filter:
        if named not in self._choices:
            choice = self.names.find(named)
            fitting = fit_filter(choice, self.carried, self.names.ancestors)
            if facets := left_out(choice, fitting):
                raise InvalidError(
                    f"list {self.mailing_list.slug!r} carries none of the {' and '.join(facets)} chosen; "
                    "leave them empty for everything, or choose others"
                )
            self._choices[named] = fitting
        return self._choices[named]

    def _find_cadence(self, text: str) -> Cadence:
        known = {str(cadence): cadence for cadence in Cadence}
        cadence = fit_cadence(known.get(text), self.mailing_list) if text in known or not text else None
        if cadence is None:
            offered = ", ".join(self.mailing_list.cadences)
            raise InvalidError(f"list {self.mailing_list.slug!r} has no cadence {text!r}; choose among {offered}")
        return cadence

    def _find_language(self, text: str) -> str:
        offered = self.mailing_list.languages
        code = text if text in offered else text.replace("_", "-").partition("-")[0]
        if code and code not in offered:
            raise InvalidError(
                f"list {self.mailing_list.slug!r} is not written in {text!r}; choose among {', '.join(offered)}"
            )
        return code or self.mailing_list.default_language

    def _welcome(self, tx: Transaction, rows: Sequence[_Row]) -> list[_Row]:
        """Return the rows of addresses that may be brought in, and report the others."""
        hmacs = [row.hmac for row in rows]
        suppressions = load_suppressions(tx.session, hmacs)
        reasons = storage.load_end_reasons(tx.session, self.mailing_list.id, hmacs)
        welcome = []
        for row in rows:
            left = LEAVING & reasons.get(row.hmac, set())
            if row.hmac in suppressions:
                why = f"the address must not be mailed ({suppressions[row.hmac].reason})"
                self.report.refuse(row.line, row.address.original, f"{why}; `subscribers release` lifts that")
            elif left:
                why = f"the reader left this list ({', '.join(sorted(left))}); only they can sign up again"
                self.report.refuse(row.line, row.address.original, why)
            else:
                welcome.append(row)
        return welcome

    def _store(self, tx: Transaction, rows: Sequence[_Row]) -> None:
        people = subscriber_store.intern_subscribers(
            tx.session,
            [
                subscriber_store.NewSubscriber(
                    str(uuid.uuid4()), row.address.original, row.address.key, row.hmac, row.language
                )
                for row in rows
            ],
            now=tx.now,
        )
        live = self._live(tx, [person.id for person in people.values()])
        missing = [choice for choice in {row.choice for row in rows} if choice not in self._filter_ids]
        self._filter_ids |= list_store.intern_filters(tx.session, missing)
        new: dict[str, list[storage.NewSubscription]] = {}
        pauses: dict[str, Pause] = {}
        for row in rows:
            person_id = people[row.address.key].id
            standing = live.get(person_id)
            if standing and standing.state is SubscriptionState.CONFIRMED:
                continue
            if standing:
                storage.end_subscription(tx.session, standing.id, EndReason.CHANGED, now=tx.now)
            choice = Choice(row.cadence, row.language, self._filter_ids[row.choice])
            uid = str(uuid.uuid4())
            new.setdefault(row.basis, []).append(
                storage.NewSubscription(uid, person_id, self.mailing_list.id, choice, confirmed_at=row.since or tx.now)
            )
            if row.paused_until and row.paused_until > tx.now:
                pauses[uid] = Pause(tx.now, row.paused_until, catches_up=False)
        added = {uid for basis, each in new.items() for uid in self._add(tx, each, basis)}
        for uid, pause in pauses.items():
            if uid in added and (stored := storage.load_subscription(tx.session, uid)):
                storage.pause_subscription(tx.session, stored.id, pause)
        self.report.counts[RowOutcome.ADDED] += len(added)
        self.report.counts[RowOutcome.SAME] += len(rows) - len(added)

    def _add(self, tx: Transaction, new: Sequence[storage.NewSubscription], basis: str) -> set[str]:
        """Store subscriptions whose people agreed elsewhere by *basis*, empty where that is not known."""
        evidence = f"{self.evidence}; agreed there by: {basis}" if basis else self.evidence
        consent = Consent(tx.now, ConsentAct.IMPORTED, self.basis, evidence)
        return storage.add_subscriptions(tx.session, new, consent, now=tx.now)

    def _live(self, tx: Transaction, subscriber_ids: Sequence[int]) -> dict[int, Subscription]:
        return {
            each.subscriber_id: each
            for each in storage.load_subscriptions(tx.session, subscriber_ids)
            if each.list_id == self.mailing_list.id and each.state is not SubscriptionState.ENDED
        }
