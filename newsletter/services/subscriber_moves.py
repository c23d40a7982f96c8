"""Moving in: people from another list manager's export, as they stood there, with their dates."""

import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from newsletter.domain.lists import MailingList
from newsletter.domain.subscriptions import LEAVING, Choice, Consent, ConsentAct, EndReason, Subscription
from newsletter.domain.suppressions import SuppressionReason
from newsletter.errors import InvalidError
from newsletter.ingest.foreign_subscribers import ForeignFile, ForeignLine, Standing, Tool
from newsletter.mail.addresses import address_hmac, parse_address
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.services.lists import find_list
from newsletter.services.subscriber_imports import FROM_A_FILE, IMPORT_CHUNK, Refusal, RowOutcome, import_lines
from newsletter.services.subscriptions import end_one
from newsletter.storage import subscribers as subscriber_store
from newsletter.storage import subscriptions as storage
from newsletter.storage.suppressions import add_suppression, load_release, load_suppressions

_SUPPRESSED = {
    Standing.BOUNCED: SuppressionReason.HARD_BOUNCE,
    Standing.COMPLAINED: SuppressionReason.COMPLAINT,
    Standing.BLOCKED: SuppressionReason.MANUAL,
}


@dataclass(slots=True)
class MoveReport:
    """What an export holds and what comes of it; *standings*: rows by how they stood there.

    *first* and *last*: the span of the dates of consent, None where it has none. *added*, *same* and *refused* of the
    active ones; *left*: people who left there and stay so here; *suppressed*: addresses never to be mailed; *kept*:
    who left or bounced there and signed up, or was released, here.
    """

    tool: Tool
    standings: dict[str, int]
    first: datetime | None
    last: datetime | None
    added: int = 0
    same: int = 0
    left: int = 0
    suppressed: int = 0
    kept: int = 0
    refusals: list[Refusal] = field(default_factory=list)


def look_over(file: ForeignFile) -> MoveReport:
    """Say what an export holds; nothing is changed."""
    counts = Counter(line.standing.value for line in file.lines)
    dates = [line.since for line in file.lines if line.since]
    return MoveReport(file.tool, dict(sorted(counts.items())), min(dates, default=None), max(dates, default=None))


def move_in(app: App, slug: str, file: ForeignFile, *, name: str, basis: str) -> MoveReport:
    """Bring an export's people into a list as they stood; *basis* says how they agreed there. May be repeated.

    Who is active is subscribed, since when the export says; who never confirmed is not; who left there counts as having
    left here, so that no import brings them back, and one that did so already is undone; bounced and blocked addresses
    are suppressed. What people chose here themselves stands, and who was released here stays so. No mail is sent.

    Raises:
        InvalidError: the basis says nothing.
        NotFoundError: there is no such list.
    """
    report = look_over(file)
    lines = iter(file.lines)
    while chunk := list(islice(lines, IMPORT_CHUNK)):
        with app.transaction() as tx:
            mailing_list = find_list(tx, slug)
            consent = Consent(tx.now, ConsentAct.IMPORTED, basis.strip(), f"{FROM_A_FILE}{name}")
            for line in chunk:
                _close(tx, mailing_list, line, report, consent)
    active = (line.as_line() for line in file.lines if line.standing is Standing.ACTIVE)
    imported = import_lines(app, slug, active, name=name, basis=basis)
    report.added, report.same = imported.counts[RowOutcome.ADDED], imported.counts[RowOutcome.SAME]
    report.refusals += imported.refusals
    with app.transaction() as tx:
        record_act(tx, "moved in", f"subscribers of {slug}", file=name, tool=file.tool.value, left=report.left)
    return report


def _close(tx: Transaction, mailing_list: MailingList, line: ForeignLine, report: MoveReport, consent: Consent) -> None:
    """Put on record a person who is not to be mailed, or not by this list."""
    if line.standing in (Standing.ACTIVE, Standing.WAITING):
        return
    try:
        address = parse_address(line.address)
    except InvalidError as error:
        report.refusals.append(Refusal(line.number, line.address, str(error)))
        return
    hashed = address_hmac(tx.settings.lasting_secret, address.key)
    if reason := _SUPPRESSED.get(line.standing):
        _suppress(tx, hashed, reason, line, report)
        return
    person = subscriber_store.NewSubscriber(
        str(uuid.uuid4()), address.original, address.key, hashed, mailing_list.default_language
    )
    [known] = subscriber_store.intern_subscribers(tx.session, [person], now=tx.now).values()
    live = [
        each
        for each in storage.load_subscriptions(tx.session, [known.id])
        if each.list_id == mailing_list.id and each.ended_at is None
    ]
    if any(_was_chosen_here(tx, each) for each in live):
        report.kept += 1
    elif live:
        for each in live:
            end_one(tx, each, EndReason.UNSUBSCRIBED, basis=consent.basis, evidence=consent.evidence)
        report.left += 1
    elif not LEAVING & storage.load_end_reasons(tx.session, mailing_list.id, [hashed]).get(hashed, set()):
        _end_at_once(tx, known.id, mailing_list, line, consent)
        report.left += 1


def _was_chosen_here(tx: Transaction, live: Subscription) -> bool:
    """Say whether anything speaks for a subscription but a file that it was brought in with."""
    record = storage.load_consents(tx.session, [live.id])[live.id]
    return not all(each.act is ConsentAct.IMPORTED and str(each.evidence).startswith(FROM_A_FILE) for each in record)


def _suppress(tx: Transaction, hashed: str, reason: SuppressionReason, line: ForeignLine, report: MoveReport) -> None:
    if hashed in load_suppressions(tx.session, [hashed]):
        return
    released_at = load_release(tx.session, hashed)
    if released_at and (line.ended_at is None or line.ended_at <= released_at):
        report.kept += 1
        return
    add_suppression(tx.session, hashed, reason, now=line.ended_at or tx.now)
    report.suppressed += 1


def _end_at_once(
    tx: Transaction, subscriber_id: int, mailing_list: MailingList, line: ForeignLine, consent: Consent
) -> None:
    at = line.ended_at or tx.now
    choice = Choice(mailing_list.cadences[0], mailing_list.default_language, mailing_list.filter_id)
    uid = str(uuid.uuid4())
    new = storage.NewSubscription(uid, subscriber_id, mailing_list.id, choice, confirmed_at=line.since or at)
    storage.add_subscriptions(tx.session, [new], consent, now=min(line.since or at, at))
    stored = storage.load_subscription(tx.session, uid)
    if stored is not None:
        storage.end_subscription(tx.session, stored.id, EndReason.UNSUBSCRIBED, now=at)
