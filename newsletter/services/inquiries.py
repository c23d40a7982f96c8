"""Inquiries: what became of a mail, told as one reader's story; nothing here writes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from newsletter.domain.deliveries import DeliveryState
from newsletter.errors import NotFoundError
from newsletter.mail.addresses import parse_address
from newsletter.services.audit import names_delivery
from newsletter.services.context import App, Transaction
from newsletter.storage import audit, inquiries, subscribers
from newsletter.storage.inquiries import AttemptRecord, MailRecord, ReportRecord

__all__ = ["RESENT", "MailRecord", "Resend", "Story", "list_mails", "tell_story"]

MOST_ACTS = 1000
"""Acts about an edition among which its resends are looked for, the newest."""

MOST_TOLD = 50
"""Mails of one reader in a story, the newest; `newsletter deliveries list` pages through all."""


RESENT = "resent"
"""The act of whoever sent failed mails of an edition again."""


@dataclass(frozen=True, slots=True)
class Resend:
    """A person's decision that a mail that had failed goes again; *after* the attempt of this number."""

    at: datetime
    by: str
    why: str
    after: int


@dataclass(frozen=True, slots=True)
class Story:
    """One mail: as it stands, every attempt at it, every report of it, and its *message_id* for a relay's log.

    *resent*: when it was sent again after it had failed.
    """

    mail: MailRecord
    message_id: str
    attempts: list[AttemptRecord]
    reports: list[ReportRecord]
    resent: list[Resend]


def list_mails(
    app: App,
    *,
    edition_id: int | None = None,
    states: Collection[DeliveryState] = (),
    answer: str | None = None,
    provider: str | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[MailRecord]:
    """Return deliveries in order of id; *answer*: what the last attempt came to; *after*: an id, to page on."""
    with app.reading() as tx:
        return inquiries.list_mails(
            tx.session,
            edition_id=edition_id,
            states=states,
            answer=answer,
            provider=provider,
            after=after,
            limit=limit,
        )


def tell_story(app: App, subject: str) -> list[Story]:
    """Return the story of one mail, by its number, or of a reader's mails, by the address: the newest first.

    Raises:
        NotFoundError: there is no such mail, or no such reader.
        InvalidError: it is neither a number nor an address.
    """
    with app.reading() as tx:
        mails = [_find_mail(tx, int(subject))] if subject.isdecimal() else _mails_of_reader(tx, subject)
        ids = [mail.id for mail in mails]
        attempts = inquiries.load_attempts(tx.session, ids)
        reports = inquiries.load_reports(tx.session, ids)
        resent = {mail.id: _resends_of(tx, mail, attempts[mail.id]) for mail in mails}
    domain = app.settings.domain
    return [
        Story(mail, f"<{mail.mail_token}@{domain}>", attempts[mail.id], reports[mail.id], resent[mail.id])
        for mail in mails
    ]


def _resends_of(tx: Transaction, mail: MailRecord, attempts: Sequence[AttemptRecord]) -> list[Resend]:
    """Return the resends on record that were of this mail, the first one first: those that something came after."""
    if mail.edition_id is None:
        return []
    acts = audit.load_acts(tx.session, about=f"edition {mail.edition_id}", limit=MOST_ACTS)
    return [
        Resend(act.at, act.actor, act.details["why"], sum(each.finished_at <= act.at for each in attempts))
        for act in reversed(acts)
        if act.act == RESENT
        and names_delivery(act.details, mail.id)
        and (mail.state is not DeliveryState.FAILED or mail.state_at > act.at)
    ]


def _find_mail(tx: Transaction, delivery_id: int) -> MailRecord:
    found = inquiries.load_mail(tx.session, delivery_id)
    if found is None:
        raise NotFoundError(f"there is no delivery {delivery_id}; `newsletter deliveries list` shows those there are")
    return found


def _mails_of_reader(tx: Transaction, address: str) -> list[MailRecord]:
    reader = subscribers.load_subscriber(tx.session, parse_address(address).key)
    if reader is None:
        raise NotFoundError(f"no subscriber has the address {address}; give a delivery's number or another address")
    return inquiries.mails_of(tx.session, reader.id, limit=MOST_TOLD)
