"""Resending: mails of an edition that failed go again, by a person's decision, with the same Message-ID and Date."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from newsletter.dispatch import Doorbell
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import Edition, EditionState
from newsletter.domain.providers import PROVIDERS
from newsletter.domain.resends import RESENDABLE_FOR, Hindrance, ResendBounds, ResendChoice, parse_choice
from newsletter.domain.schedule import DEADLINE_AFTER
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services.audit import name_deliveries, record_act
from newsletter.services.canaries import begin_canary
from newsletter.services.context import App, Transaction
from newsletter.services.guard import watch
from newsletter.services.inquiries import RESENT
from newsletter.services.mends import mend_in_edition
from newsletter.services.stops import LONGEST_REASON
from newsletter.services.withdrawals import withdraw_from_edition
from newsletter.storage import articles, audit, editions, ledger, lists, resends, stops
from newsletter.storage.engine import database_now
from newsletter.storage.resends import FailedMails
from newsletter.storage.stops import StopKind

__all__ = ["FailedMails", "ResendPlan", "choose", "plan_resend", "resend_failed"]

log = structlog.get_logger()

CHUNK = 2000
"""Deliveries queued again in one transaction, so that nobody waits long for the edition's lock."""

ANY = ResendChoice()


@dataclass(frozen=True, slots=True)
class ResendPlan:
    """What sending the failed mails of an edition again would do.

    *alike*: the failed mails that were chosen, by cause, answer, provider and hindrance. *expired* and *in_doubt*: the
    edition's mails that did not arrive, or may not have, and are no matter of this. *without*: titles of articles that
    were withdrawn since and are left out, *mended*: of those whose new words go. *deadline_at*: never sent later.
    """

    edition_id: int
    list_slug: str
    slot_key: str
    state: EditionState
    choice: ResendChoice
    alike: Sequence[FailedMails]
    expired: int
    in_doubt: int
    without: Sequence[str]
    mended: Sequence[str]
    deadline_at: datetime

    @property
    def failed(self) -> int:
        """How many failed mails were chosen."""
        return sum(each.mails for each in self.alike)

    @property
    def sendable(self) -> int:
        """How many of them go again."""
        return sum(each.mails for each in self.alike if each.hindrance is None)

    @property
    def away(self) -> Mapping[Hindrance, int]:
        """How many stay away, by what keeps them."""
        found: Counter[Hindrance] = Counter()
        for each in self.alike:
            if each.hindrance is not None:
                found[each.hindrance] += each.mails
        return found


def choose(code: str | None = None, provider: str | None = None) -> ResendChoice:
    """Return which failed mails a person means by the *code* of a reply and a receiving *provider*.

    Raises:
        InvalidError: the code is none, or there is no such provider.
    """
    if provider and provider not in PROVIDERS:
        raise InvalidError(f"{provider!r} is no provider; there are {', '.join(PROVIDERS)}")
    try:
        return parse_choice(code or None, provider or None)
    except ValueError as error:
        raise InvalidError(str(error)) from error


def plan_resend(app: App, edition_id: int, choice: ResendChoice = ANY) -> ResendPlan:
    """Say what sending the failed mails of an edition again would do; writes nothing.

    Raises:
        NotFoundError: there is no such edition.
        ConflictError: nothing of it can be sent again; says why.
    """
    with app.reading() as tx:
        edition = _check(tx, edition_id)
        counts = ledger.counts_by_state(tx.session, edition_id)
        mailing_list = lists.load_list_by_id(tx.session, edition.list_id)
        withdrawn, changed = _changed_since(tx, edition)
        titles = {
            each.id: each.best_translation(mailing_list.default_language).title
            for each in articles.load_articles(tx.session, [*withdrawn, *changed])
        }
        return ResendPlan(
            edition_id=edition_id,
            list_slug=mailing_list.slug,
            slot_key=edition.slot_key,
            state=edition.state,
            choice=choice,
            alike=resends.count_failed(tx.session, edition_id, choice, bounds=_bounds(tx, edition)),
            expired=counts.get(DeliveryState.EXPIRED, 0),
            in_doubt=counts.get(DeliveryState.IN_DOUBT, 0),
            without=[titles[each] for each in withdrawn],
            mended=[titles[each] for each in changed],
            deadline_at=_deadline(tx, edition),
        )


def resend_failed(app: App, edition_id: int, choice: ResendChoice = ANY, *, why: str) -> int:
    """Queue the failed mails of an edition again, as long as they may be sent at all; return how many.

    An edition that was done is sent again, and done when they have come to an end; one that is paused stays so. In
    chunks, each of which leaves everything right: what was not reached when it breaks off is found by the next call,
    and one that finds nothing changes nothing. *why* is put on record.

    Raises:
        InvalidError: no reason is given.
        NotFoundError: there is no such edition.
        ConflictError: nothing of it can be sent again; says why.
    """
    if not why.strip():
        raise InvalidError("say why: --why '…'; it is put on record beside your name")
    if not watch(app):
        raise ConflictError(_RESTORED)
    plan = plan_resend(app, edition_id, choice)
    queued = after = 0
    while chunk := _next_chunk(app, plan, after):
        queued += _queue_again(app, plan, chunk, why)
        after = chunk[-1]
    if queued:
        log.info("failed_mails_resent", edition_id=edition_id, mails=queued)
    return queued


def _next_chunk(app: App, plan: ResendPlan, after: int) -> list[int]:
    if not plan.sendable:
        return []
    with app.reading() as tx:
        return resends.failed_ids(tx.session, plan.edition_id, plan.choice, after=after, limit=CHUNK)


def _queue_again(app: App, plan: ResendPlan, chunk: Sequence[int], why: str) -> int:
    """Queue what of *chunk* may be sent now; the first of an edition that was done opens it again."""
    with app.transaction() as tx:
        edition = _lock(tx, plan.edition_id)
        if not (ids := resends.resendable(tx.session, chunk, bounds=_bounds(tx, edition))):
            return 0
        if edition.state is EditionState.DONE:
            _open_again(tx, edition, mails=plan.sendable)
        deadline_at = _deadline(tx, edition)
        resends.extend_sending(tx.session, edition.id, deadline_at)
        queued = resends.requeue_failed(tx.session, edition.id, ids, deadline_at=deadline_at)
        _record(tx, plan, ids, queued, why)
        tx.ring(Doorbell.SEND_BULK)
        return queued


def _record(tx: Transaction, plan: ResendPlan, ids: Sequence[int], mails: int, why: str) -> None:
    choice = plan.choice
    chosen: dict[str, Any] = {"code": choice.code or choice.enhanced, "provider": choice.provider}
    told = {name: value for name, value in chosen.items() if value is not None} | name_deliveries(ids)
    record_act(tx, RESENT, f"edition {plan.edition_id}", mails=mails, why=why[:LONGEST_REASON], **told)


def _lock(tx: Transaction, edition_id: int) -> Edition:
    """Lock an edition's list, then itself: whoever withdraws an article meanwhile waits for us, or we for them."""
    found = _check(tx, edition_id)
    lists.lock_list(tx.session, found.list_id)
    editions.load_edition(tx.session, edition_id, for_update=True)
    return _check(tx, edition_id)


def _check(tx: Transaction, edition_id: int) -> Edition:
    edition = editions.load_edition(tx.session, edition_id)
    if edition is None:
        raise NotFoundError(f"there is no edition {edition_id}; see `newsletter editions list`")
    if why_not := _WHY_NOT.get(edition.state):
        raise ConflictError(f"edition {edition_id} {why_not}")
    if any(stop.kind is StopKind.RESTORE for stop in stops.load_stops(tx.session)):
        raise ConflictError(_RESTORED)
    if edition.approved_at and tx.now - edition.approved_at > RESENDABLE_FOR:
        raise ConflictError(
            f"edition {edition_id} was let go on {edition.approved_at:%Y-%m-%d}, more than {RESENDABLE_FOR.days} days "
            "ago; its news is archive and not sent any more"
        )
    return edition


_RESTORED = (
    "the database was set back to an older state, in which mails may have failed that were sent since: "
    "`newsletter db acknowledge-restore` first"
)
_NOT_YET = "has not been sent yet: nothing of it has failed"
_WHY_NOT = {
    EditionState.PLANNED: _NOT_YET,
    EditionState.REVIEW: _NOT_YET,
    EditionState.APPROVED: "is being made ready; send again what fails when it is being sent",
    EditionState.SKIPPED: "was skipped: no mail was made of it",
    EditionState.CANCELLED: "was cancelled for good; whoever has not had its articles gets them with the next one",
}


def _open_again(tx: Transaction, edition: Edition, *, mails: int) -> None:
    """Let an edition that was done be sent again, without what was withdrawn since and with the words that were mended.

    Behind a canary if its list has one: what failed once may fail again for the same cause.
    """
    withdrawn, changed = _changed_since(tx, edition)
    for article_id in withdrawn:
        withdraw_from_edition(tx, edition, article_id)
    for article_id in changed:
        mend_in_edition(tx, edition, article_id)
    editions.set_state(tx.session, edition.id, EditionState.SENDING, now=tx.now, done_at=None)
    begin_canary(tx, edition.id, mails=mails)


def _changed_since(tx: Transaction, edition: Edition) -> tuple[list[int], list[int]]:
    """Return which articles were withdrawn, and which were changed, since an edition was done; an open one follows."""
    if edition.state is not EditionState.DONE or edition.done_at is None:
        return [], []
    return resends.changed_items(tx.session, edition.id, since=edition.done_at)


def _deadline(tx: Transaction, edition: Edition) -> datetime:
    """Return until when mails that are sent again may be sent: as long from now as an edition's first ones, by cadence.

    By the database's clock.
    """
    return database_now(tx.session) + DEADLINE_AFTER[edition.cadence]


def _bounds(tx: Transaction, edition: Edition) -> ResendBounds:
    """Return what of an edition is too old to be sent again.

    After a restore, what had failed may have been sent again in the time that was lost.
    """
    kept = timedelta(days=tx.settings.keep_addresses_days)
    acknowledged = audit.load_acts(tx.session, about="restore", limit=MOST_RESTORES)
    return ResendBounds(
        forgotten_before=tx.now - kept + DEADLINE_AFTER[edition.cadence],
        unsure_until=next((act.at for act in acknowledged if not act.details.get("nothing_lost")), None),
    )


MOST_RESTORES = 100
"""Acts of the record that are looked at; there is one for each restore."""
