"""Sends: what staff trigger by hand; says first what would happen, then opens, composes and lets it go."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from newsletter.domain.editions import Edition, EditionState, SkipReason
from newsletter.domain.lists import Cadence, MailingList
from newsletter.domain.schedule import DEADLINE_AFTER, Slot, latest_slot, next_slot
from newsletter.domain.subscriptions import SubscriptionState
from newsletter.errors import ConflictError, InvalidError
from newsletter.services.audit import note_act, record_act
from newsletter.services.canaries import check_canary
from newsletter.services.composing import compile_edition, compose
from newsletter.services.context import App, Transaction
from newsletter.services.edition_checks import require_sendable
from newsletter.services.editions import approve_in, new_nonce, open_immediate_editions, open_slot, pending_articles
from newsletter.services.lists import find_list
from newsletter.storage import editions as edition_store
from newsletter.storage.canaries import ask_canary
from newsletter.storage.edition_edits import forget_contents
from newsletter.storage.subscriptions import count_subscriptions


@dataclass(frozen=True, slots=True)
class SendPlan:
    """What a send would do: who gets how much, before anything is written.

    *readers* get something, of *reader_count* who subscribe at this cadence; *titles* are the items' titles in the
    list's own language, in order. *skip_reason*: why nothing would be sent.
    """

    list_slug: str
    cadence: Cadence
    slot_key: str
    slot_at: datetime
    items: int
    titles: tuple[str, ...]
    variants: int
    languages: Mapping[str, int]
    readers: int
    reader_count: int
    largest_html_bytes: int
    skip_reason: SkipReason | None


def choose_cadence(mailing_list: MailingList, cadence: Cadence | None) -> Cadence:
    """Return the cadence that is meant: the one given, or the list's only one.

    Raises:
        InvalidError: the list does not have it, or has several and none was given.
    """
    offered = ", ".join(mailing_list.cadences)
    if cadence is None and len(mailing_list.cadences) > 1:
        raise InvalidError(f"list {mailing_list.slug!r} has several cadences; say which: --cadence {offered}")
    chosen = cadence or mailing_list.cadences[0]
    if chosen not in mailing_list.cadences:
        raise InvalidError(f"list {mailing_list.slug!r} has no {chosen} cadence, only {offered}")
    return chosen


def _choose_digest(mailing_list: MailingList, cadence: Cadence | None) -> Cadence:
    chosen = choose_cadence(mailing_list, cadence)
    if chosen is Cadence.IMMEDIATE:
        raise InvalidError("an immediate list sends by itself, an edition for each article; nothing to plan")
    return chosen


def plan_send(app: App, slug: str, cadence: Cadence | None) -> SendPlan:
    """Say what sending the newest due slot of a list would do; writes nothing.

    Raises:
        NotFoundError: there is no such list.
        InvalidError: the cadence is not the list's.
        ConflictError: the slot has been sent or waits for review; says when the next one is.
    """
    with app.reading() as tx:
        mailing_list = find_list(tx, slug)
        cadence = _choose_digest(mailing_list, cadence)
        slot = latest_slot(cadence, mailing_list.schedule, now=tx.now)
        existing = _existing(tx, mailing_list, cadence, slot)
        is_open = existing is not None and existing.state is EditionState.PLANNED
        edition = existing if existing and is_open else _made_up(tx, mailing_list, cadence, slot)
        composition = compose(tx, mailing_list, edition)
        languages: dict[str, int] = {}
        for (language, _), count in composition.assignment.readers.items():
            languages[language] = languages.get(language, 0) + count
        return SendPlan(
            list_slug=slug,
            cadence=cadence,
            slot_key=slot.key,
            slot_at=slot.at,
            items=len(composition.articles),
            titles=tuple(each.best_translation(mailing_list.default_language).title for each in composition.articles),
            variants=len(composition.variants),
            languages=languages,
            readers=sum(composition.assignment.readers.values()),
            reader_count=composition.reader_count,
            largest_html_bytes=max((each.html_bytes for each in composition.variants.values()), default=0),
            skip_reason=composition.skip_reason,
        )


def find_under_way(app: App, slug: str, cadence: Cadence | None) -> int | None:
    """Return the edition of a list's newest due slot if it was let go and has not ended; None: there is none.

    Raises:
        NotFoundError, InvalidError: as `plan_send`.
    """
    with app.reading() as tx:
        mailing_list = find_list(tx, slug)
        chosen = _choose_digest(mailing_list, cadence)
        slot = latest_slot(chosen, mailing_list.schedule, now=tx.now)
        found = edition_store.find_edition(tx.session, mailing_list.id, slot.key, chosen)
        return found.id if found and found.state in (EditionState.APPROVED, EditionState.SENDING) else None


@dataclass(frozen=True, slots=True)
class ArticlesPlan:
    """What a send of an immediate list would do: an edition for each of *titles*, to each of *readers* who chose it."""

    list_slug: str
    titles: tuple[str, ...]
    readers: int


def plan_articles(app: App, slug: str) -> ArticlesPlan:
    """Say which articles an immediate list has not sent; writes nothing.

    Raises:
        NotFoundError: there is no such list.
        InvalidError: it has no immediate cadence.
    """
    with app.reading() as tx:
        mailing_list = find_list(tx, slug)
        choose_cadence(mailing_list, Cadence.IMMEDIATE)
        counts = count_subscriptions(tx.session)
        return ArticlesPlan(
            list_slug=slug,
            titles=tuple(
                article.best_translation(mailing_list.default_language).title
                for article in pending_articles(tx, mailing_list)
            ),
            readers=sum(
                each.count
                for each in counts
                if (each.list_id, each.cadence, each.state)
                == (mailing_list.id, Cadence.IMMEDIATE, SubscriptionState.CONFIRMED)
            ),
        )


def start_send(
    app: App,
    slug: str,
    cadence: Cadence | None,
    *,
    actor: str,
    is_draft: bool = False,
    tells_staff: bool = False,
    canary: str = "",
) -> int:
    """Open, compose and approve the newest due slot of a list; return the edition's id. Sending follows by doorbell.

    Items visible now are in. Repeating it goes on with the same edition, since a slot has only one; one that was
    skipped is opened again. *is_draft*: it stays in review until somebody approves it. *tells_staff*: who reviews the
    list's drafts is told of it. *canary*: the mails that go first, in place of what the list says.

    Raises:
        NotFoundError, InvalidError, ConflictError: as `plan_send`; or *canary* is none.
    """
    check_canary(canary)
    with app.transaction() as tx:
        mailing_list = find_list(tx, slug)
        cadence = _choose_digest(mailing_list, cadence)
        slot = latest_slot(cadence, mailing_list.schedule, now=tx.now)
        existing = _existing(tx, mailing_list, cadence, slot)
        edition_id = existing.id if existing else None
        deadline_at = max(slot.at, tx.now) + DEADLINE_AFTER[cadence]
        if edition_id is None:
            edition_id = open_slot(tx, mailing_list, cadence, slot, cut_at=tx.now, deadline_at=deadline_at)
            record_act(tx, "opened", f"edition {edition_id}", list=slug, slot=slot.key)
        elif existing and existing.state is EditionState.SKIPPED:
            _reopen(tx, existing, deadline_at)
        if edition_id is None:
            raise ConflictError(f"somebody else has just opened {slug} {slot.key}; see `newsletter editions list`")
        if canary:
            ask_canary(tx.session, edition_id, canary)
            record_act(tx, "asked a canary of", f"edition {edition_id}", canary=canary)
    compile_edition(app, edition_id, is_held=is_draft, tells_staff=tells_staff)
    if is_draft:
        return edition_id
    with app.transaction() as tx:
        edition = edition_store.load_edition(tx.session, edition_id, for_update=True)
        if edition is not None and edition.state is EditionState.REVIEW:
            require_sendable(tx, edition)
            approve_in(tx, edition_id, actor=actor)
    return edition_id


def send_pending_articles(app: App, slug: str) -> list[int]:
    """Open and compose an edition for each article that an immediate list has not sent; return their ids."""
    with app.reading() as tx:
        choose_cadence(find_list(tx, slug), Cadence.IMMEDIATE)
    opened = open_immediate_editions(app, slug)
    for edition_id in opened:
        note_act(app, "opened", f"edition {edition_id}", list=slug)
        compile_edition(app, edition_id)
    return opened


def _existing(tx: Transaction, mailing_list: MailingList, cadence: Cadence, slot: Slot) -> Edition | None:
    """Return the slot's edition where it can still be sent.

    Raises:
        ConflictError: it has ended.
    """
    edition = edition_store.find_edition(tx.session, mailing_list.id, slot.key, cadence)
    if edition is None or edition.state in (EditionState.PLANNED, EditionState.SKIPPED):
        return edition
    if edition.state is EditionState.REVIEW:
        raise ConflictError(
            f"{mailing_list.slug} {slot.key} waits for review; `newsletter editions approve {edition.id}` sends it"
        )
    name = f"{mailing_list.slug} {slot.key} (edition {edition.id})"
    following = next_slot(cadence, mailing_list.schedule, now=tx.now)
    local = following.at.astimezone(mailing_list.schedule.zone_info)
    raise ConflictError(f"{name} is {edition.state} already; the next {cadence} slot is {local:%Y-%m-%d %H:%M %Z}")


def _reopen(tx: Transaction, edition: Edition, deadline_at: datetime) -> None:
    """Let a skipped edition be composed after all, with what is there now; what staff changed in it still counts.

    Raises:
        ConflictError: somebody else has just done so.
    """
    is_ours = edition_store.set_state(
        tx.session,
        edition.id,
        EditionState.PLANNED,
        now=tx.now,
        skip_reason=None,
        cut_at=tx.now,
        deadline_at=deadline_at,
        review_until=None,
        review_told_at=None,
    )
    if not is_ours:
        raise ConflictError(f"somebody else has just opened edition {edition.id}; see `newsletter editions list`")
    forget_contents(tx.session, edition.id)
    record_act(tx, "reopened", f"edition {edition.id}", skipped=edition.skip_reason)


def _made_up(tx: Transaction, mailing_list: MailingList, cadence: Cadence, slot: Slot) -> Edition:
    return Edition(
        id=0,
        list_id=mailing_list.id,
        cadence=cadence,
        slot_key=slot.key,
        slot_at=slot.at,
        cut_at=tx.now,
        deadline_at=max(slot.at, tx.now) + DEADLINE_AFTER[cadence],
        state=EditionState.PLANNED,
        nonce=new_nonce(),
        skip_reason=None,
        review_until=None,
        approved_at=None,
        fanned_out_at=None,
        candidate_count=0,
        done_at=None,
    )
