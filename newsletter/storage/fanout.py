"""Fan-out in SQL: one delivery for each reader of an edition, in chunks by key, repeatable."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, case, delete, func, literal, null, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import aliased
from sqlalchemy.sql.functions import FunctionElement

from newsletter.domain.deliveries import DeliveryState, Pool, Purpose
from newsletter.domain.editions import Edition, EditionPurpose, EditionState
from newsletter.domain.providers import provider_of
from newsletter.domain.subscriptions import PAUSED
from newsletter.storage.audiences import AudienceExceptionRow, AudienceRow, ExclusionRow, beside_audience, latecomers
from newsletter.storage.bulk import again_after_deadlock, insert_into, one_of_many
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.engine import Session, database_now
from newsletter.storage.ledger import ALL_WITHDRAWN
from newsletter.storage.subscribers import SubscriberRow
from newsletter.storage.subscriptions import SubscriptionRow, is_paused
from newsletter.storage.suppressions import SuppressionRow
from newsletter.storage.variants import VariantRow

CHUNK_SIZE = 20_000
MANY = 1_000
"""Readers from which on a second connection, and afterwards a second for the planner's statistics, are well spent."""

Beside = Callable[[Callable[[Session], list[int]]], Future[list[int]]]
"""Does work at once in a transaction of its own, which commits when the work is done; the caller goes on meanwhile."""


class random_token(FunctionElement[str]):  # noqa: N801  It is a SQL function, named like one.
    """Thirty-two random hex digits, made by the database for each row."""

    type = String(32)
    inherit_cache = True
    name = "random_token"


@compiles(random_token, "postgresql")
def _random_token_on_postgresql(_element: object, _compiler: object, **_: object) -> str:
    return "replace(gen_random_uuid()::text, '-', '')"


@compiles(random_token, "sqlite")
def _random_token_on_sqlite(_element: object, _compiler: object, **_: object) -> str:
    return "lower(hex(randomblob(16)))"


TOKEN_BEGINNING = 12


def token_beginning(at: datetime) -> str:
    """Return the first hex digits of the tokens made at one time; the other twenty are random.

    Tokens of one chunk stand together in their index, so that it grows at its end: 80 random bits are not guessed.
    """
    return f"{int(at.timestamp() * 1000):0{TOKEN_BEGINNING}x}"


def next_readers(session: Session, edition: Edition) -> list[int]:
    """Return the next `CHUNK_SIZE` readers of *edition*, in order of id from its cursor on; none: all were seen.

    Readers are the list's confirmed subscriptions of its cadence, of an announcement those of all cadences, of a
    correction those named as having had what it corrects. Locks the edition until the transaction ends.
    """
    cursor = session.execute(
        select(EditionRow.fan_out_cursor).where(EditionRow.id == edition.id).with_for_update(key_share=True)
    ).scalar_one()
    statement = (
        select(SubscriptionRow.id)
        .where(
            SubscriptionRow.list_id == edition.list_id,
            SubscriptionRow.state == text("'confirmed'"),
            SubscriptionRow.id > cursor,
            *_of_purpose(edition),
        )
        .order_by(SubscriptionRow.id)
        .limit(CHUNK_SIZE)
    )
    return list(session.scalars(statement))


def _of_purpose(edition: Edition) -> list[ColumnElement[bool]]:
    """Return what makes a subscription to the list one of *edition*'s readers."""
    if edition.purpose is EditionPurpose.DIGEST:
        return [SubscriptionRow.cadence == edition.cadence]
    if edition.purpose is EditionPurpose.CORRECTION:
        named = select(AudienceExceptionRow.subscription_id).where(AudienceExceptionRow.edition_id == edition.id)
        return [SubscriptionRow.id.in_(named)]
    return []


def forget_half_a_chunk(session: Session, edition: Edition) -> None:
    """Delete what was made for readers beyond the cursor: a chunk failed after half of it was written *beside*.

    Who has left or chosen anew since would else be counted wrong. Call it as a fan-out begins or is given up, the
    edition locked and not sent yet; done again it finds nothing. Waits for a half that is still being written, though
    the connection that asked for it is lost; one that has not begun to write never will.
    """
    session.execute(select(EditionRow.id).where(EditionRow.id == edition.id).with_for_update())
    beyond = select(EditionRow.fan_out_cursor).where(EditionRow.id == edition.id).scalar_subquery()
    for table in (DeliveryRow, ExclusionRow):
        session.execute(delete(table).where(table.edition_id == edition.id, table.subscription_id > beyond))


def fan_out_chunk(
    session: Session,
    edition: Edition,
    readers: Sequence[int],
    *,
    now: datetime,
    decide: Callable[[Sequence[int]], None] = lambda _: None,
    beside: Beside | None = None,
) -> None:
    """Make queued deliveries for *readers*, as `next_readers` gave them in this transaction; at least one.

    Those with a variant get a delivery, in order of variant; the others an exclusion that says why. *decide* is called
    once, before theirs are made, with those who may have come or chosen anew since the edition was composed, if any.
    Writes rows and cursor in the caller's transaction; safe to repeat, since (edition, subscriber) is unique.
    *now* is newsroom time, which is the Date of the mails; how long they may be sent was fixed at the approval.
    *beside*: does half of the work at the same time on PostgreSQL. Its rows may be there although the caller's
    transaction fails: see `forget_half_a_chunk`.
    """
    send_until = session.execute(select(EditionRow.send_until).where(EditionRow.id == edition.id)).scalar_one()
    if session.get_bind().dialect.name == "sqlite":
        if late := [each.subscription_id for each in latecomers(session, edition, readers)]:
            decide(late)
        _insert_deliveries(session, edition, readers, now=now, send_until=send_until)
        _insert_exclusions(session, edition, readers)
    else:
        shared = beside if len(readers) >= MANY else None
        _fan_out_on_postgresql(session, edition, readers, now=now, send_until=send_until, decide=decide, beside=shared)
    session.execute(
        update(EditionRow)
        .where(EditionRow.id == edition.id)
        .values(fan_out_cursor=readers[-1], candidate_count=EditionRow.candidate_count + len(readers))
    )


def _readers(edition: Edition, readers: Sequence[int], *columns: Any) -> Any:
    """Select *columns* for each reader of the chunk, beside the variant that is theirs, if any.

    By id alone: each statement sees what others have committed meanwhile, and who has left since the chunk began
    must still be accounted for. The turn before sending looks again.
    """
    people = (
        select(*columns)
        .select_from(SubscriptionRow)
        .join(SubscriberRow, SubscriberRow.id == SubscriptionRow.subscriber_id)
    )
    return beside_audience(people, edition.id).where(one_of_many(SubscriptionRow.id, readers))


def _fan_out_on_postgresql(
    session: Session,
    edition: Edition,
    readers: Sequence[int],
    *,
    now: datetime,
    send_until: datetime | None,
    decide: Callable[[Sequence[int]], None],
    beside: Beside | None,
) -> None:
    """Do for all but the latecomers what needs no look at the deliveries; then for the latecomers what does."""
    due_at = database_now(session)
    values = {
        "edition": edition.id,
        "list": edition.list_id,
        "cut_at": edition.cut_at,
        "now": now,
        "due_at": due_at,
        "send_until": send_until,
        "began": token_beginning(due_at),
        "secret": secrets.token_bytes(32),
        "are_late": False,
    }
    middle = len(readers) // 2 if beside else 0
    first = beside(_half(session, values, readers[:middle])) if beside else None
    try:
        late = _all_but_latecomers(session, values, readers[middle:])
    finally:  # nothing is written any more when this transaction lets go of the edition
        late_beside = first.result() if first else []
    late = late_beside + late
    if late:
        decide(late)
        session.execute(_CHUNK, values | {"readers": late, "are_late": True})


def _half(session: Session, values: Mapping[str, Any], readers: Sequence[int]) -> Callable[[Session], list[int]]:
    """Return the work of `_all_but_latecomers` for another connection, while the transaction of *session* lasts.

    Where that has ended, its connection lost, nobody waits for this work and its edition may be locked by somebody
    else: nothing is written. The lock on the edition is what the rows' foreign key takes anyway.
    """
    ours = session.scalars(_TRANSACTION).one()
    lock = select(EditionRow.id).where(EditionRow.id == values["edition"]).with_for_update(read=True, key_share=True)

    def work(alone: Session) -> list[int]:
        alone.execute(lock)
        if not alone.scalars(_IS_UNDER_WAY, {"transaction": ours}).one():
            return []
        return _all_but_latecomers(alone, values, readers)

    return work


_TRANSACTION = text("SELECT CAST(pg_current_xact_id() AS text)")
_IS_UNDER_WAY = text("SELECT pg_xact_status(CAST(:transaction AS xid8)) = 'in progress'")


def _all_but_latecomers(session: Session, values: Mapping[str, Any], readers: Sequence[int]) -> list[int]:
    """Make the rows of *readers* but for the latecomers among them, and return those.

    Who has a delivery of the edition already has chosen anew since it was composed, and so is a latecomer. Where that
    is not so, since the chunk is repeated or a clock was wrong, all of them are taken for latecomers.
    """
    session.execute(_SETTINGS)
    try:
        with session.begin_nested():
            return list(session.scalars(_CHUNK, {**values, "readers": list(readers)}))
    except IntegrityError:
        return list(readers)


# The same as what `_insert_deliveries` and `_insert_exclusions` do, in one statement that reads each reader once. It is
# worded so that each join is made by an index, whatever the planner believes of sizes: limits and settings keep it from
# reading a whole table for each chunk, and from reading through one that it takes to be empty, since that is no longer
# so when it gets there. A chunk may be lost with the machine, its cursor with it: no mail is sent before `SENDING` is
# on disk, and all that was written before is then too. Tokens are hashes of a secret that nobody keeps: a random number
# for each costs the database more than the rest of the row.
_SETTINGS = text("""
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true),
       set_config('synchronous_commit', 'off', true)""")
_CHUNK = text("""
WITH found AS (
    SELECT s.id, s.subscriber_id, s.filter_id, s.language, p.address, p.address_hmac, p.provider,
           CASE WHEN x.subscription_id IS NULL THEN a.variant_id ELSE x.variant_id END AS variant_id,
           CASE WHEN x.subscription_id IS NOT NULL THEN false
                ELSE a.edition_id IS NULL OR s.created_at >= CAST(:cut_at AS timestamptz)
                     OR s.confirmed_at >= CAST(:cut_at AS timestamptz) END AS is_late,
           s.paused_at IS NOT NULL AND s.resumed_at IS NULL AND s.paused_until > CAST(:now AS timestamptz) AS is_paused,
           CASE WHEN :are_late THEN (SELECT d.subscription_id FROM delivery d
                                      WHERE d.edition_id = :edition AND d.subscriber_id = s.subscriber_id) END AS had_by
      FROM subscription s
           CROSS JOIN LATERAL (SELECT * FROM subscriber WHERE subscriber.id = s.subscriber_id LIMIT 1) p
           LEFT JOIN LATERAL (SELECT * FROM edition_audience g
                               WHERE g.edition_id = :edition AND g.filter_id = s.filter_id AND g.language = s.language
                               LIMIT 1) a ON true
           LEFT JOIN LATERAL (SELECT * FROM edition_audience_exception o
                               WHERE o.edition_id = :edition AND o.subscription_id = s.id
                               LIMIT 1) x ON true
     WHERE s.id = ANY(CAST(:readers AS bigint[]))),
chunk AS MATERIALIZED (
    SELECT f.*,
           CASE WHEN f.is_late AND NOT :are_late THEN 'late'
                WHEN f.had_by = f.id THEN 'made before'
                WHEN f.variant_id IS NULL THEN 'nothing_chosen'
                WHEN f.address IS NULL OR EXISTS (
                    SELECT FROM suppression u WHERE u.address_hmac = f.address_hmac AND u.lifted_at IS NULL
                ) THEN 'suppressed'
                WHEN f.is_paused THEN 'paused'
                WHEN f.had_by IS NOT NULL OR EXISTS (
                    SELECT FROM subscriber e JOIN delivery d ON d.subscriber_id = e.id AND d.edition_id = :edition
                     WHERE e.address_hmac = f.address_hmac AND e.erased_at IS NOT NULL
                ) THEN 'has_one_already' END AS but
      FROM found f),
made AS (
    INSERT INTO delivery (
        purpose, edition_id, list_id, variant_id, subscriber_id, subscription_id, filter_id, language, address,
        address_hmac, provider, mail_token, mail_at, pool, state, state_at, available_at, deadline_at,
        attempts, tries, lapses, resends)
    SELECT 'edition', :edition, :list, c.variant_id, c.subscriber_id, c.id, c.filter_id, c.language, c.address,
           c.address_hmac, c.provider,
           :began || encode(substring(sha256(CAST(:secret AS bytea) || int8send(c.id)) FROM 1 FOR 10), 'hex'),
           CAST(:now AS timestamptz), 'bulk', 'queued', CAST(:due_at AS timestamptz), CAST(:due_at AS timestamptz),
           CAST(:send_until AS timestamptz), 0, 0, 0, 0
      FROM (SELECT * FROM chunk WHERE but IS NULL ORDER BY variant_id, id) c),
excluded AS (
    INSERT INTO edition_exclusion (edition_id, subscription_id, reason)
    SELECT :edition, c.id, c.but FROM chunk c WHERE c.but NOT IN ('late', 'made before')
    ON CONFLICT DO NOTHING)
SELECT id FROM chunk WHERE but = 'late' ORDER BY id""")

_VARIANT = case(
    (AudienceExceptionRow.subscription_id.is_not(None), AudienceExceptionRow.variant_id),
    else_=AudienceRow.variant_id,
)
_SUPPRESSED = (
    select(SuppressionRow.id)
    .where(SuppressionRow.address_hmac == SubscriberRow.address_hmac, SuppressionRow.lifted_at.is_(None))
    .exists()
)


def _insert_deliveries(
    session: Session, edition: Edition, readers: Sequence[int], *, now: datetime, send_until: datetime | None
) -> None:
    due_at = database_now(session)
    values = {
        "purpose": literal(Purpose.EDITION.value),
        "edition_id": literal(edition.id),
        "list_id": literal(edition.list_id),
        "variant_id": _VARIANT,
        "subscriber_id": SubscriptionRow.subscriber_id,
        "subscription_id": SubscriptionRow.id,
        "filter_id": SubscriptionRow.filter_id,
        "language": SubscriptionRow.language,
        "address": SubscriberRow.address,
        "address_hmac": SubscriberRow.address_hmac,
        "provider": SubscriberRow.provider,
        "content": null(),
        "mail_token": literal(token_beginning(due_at)).concat(func.substr(random_token(), TOKEN_BEGINNING + 1)),
        "mail_at": literal(now, DeliveryRow.mail_at.type),
        "pool": literal(Pool.BULK.value),
        "state": literal(DeliveryState.QUEUED.value),
        "state_at": literal(due_at, DeliveryRow.state_at.type),
        "available_at": literal(due_at, DeliveryRow.available_at.type),
        "deadline_at": literal(send_until, DeliveryRow.state_at.type),
        "attempts": literal(0),
        "tries": literal(0),
        "lapses": literal(0),
        "resends": literal(0),
    }
    before = aliased(SubscriberRow)
    had_it_before_they_were_erased = (
        select(before.id)
        .join(DeliveryRow, DeliveryRow.subscriber_id == before.id)
        .where(
            before.address_hmac == SubscriberRow.address_hmac,
            before.erased_at.is_not(None),
            DeliveryRow.edition_id == edition.id,
        )
        .exists()
    )
    chosen = (
        _readers(edition, readers, *values.values())
        .where(
            _VARIANT.is_not(None),
            SubscriberRow.address.is_not(None),
            ~_SUPPRESSED,
            ~is_paused(),
            ~had_it_before_they_were_erased,
        )
        .order_by(_VARIANT, SubscriptionRow.id)
    )
    session.execute(insert_into(session, DeliveryRow).from_select(list(values), chosen).on_conflict_do_nothing())


def _insert_exclusions(session: Session, edition: Edition, readers: Sequence[int]) -> None:
    """Say of each reader without a delivery why they have none; whoever chose anew meanwhile has another one."""
    reason = case(
        (_VARIANT.is_(None), literal("nothing_chosen")),
        (SubscriberRow.address.is_(None) | _SUPPRESSED, literal("suppressed")),
        (is_paused(), literal(PAUSED)),
        else_=literal("has_one_already"),
    )
    has_delivery = (
        select(DeliveryRow.id)
        .where(
            DeliveryRow.edition_id == edition.id,
            DeliveryRow.subscriber_id == SubscriptionRow.subscriber_id,
            DeliveryRow.subscription_id == SubscriptionRow.id,
        )
        .exists()
    )
    left_out = _readers(edition, readers, literal(edition.id), SubscriptionRow.id, reason).where(~has_delivery)
    session.execute(
        insert_into(session, ExclusionRow)
        .from_select(["edition_id", "subscription_id", "reason"], left_out)
        .on_conflict_do_nothing()
    )


def finish_fan_out(session: Session, edition_id: int, *, now: datetime) -> None:
    """Note that every reader of the edition has been seen.

    After many, PostgreSQL looks at the deliveries anew, and at what else has grown much since it last did: where it
    still believes a table empty, as after a first import or where all rows were deleted and others came into their
    pages, it finds a reader's subscription by walking through the list's, for each mail.
    """
    seen = session.scalar(
        update(EditionRow)
        .where(EditionRow.id == edition_id, EditionRow.fanned_out_at.is_(None))
        .values(fanned_out_at=now)
        .returning(EditionRow.candidate_count)
    )
    if seen is not None and seen >= MANY and session.get_bind().dialect.name == "postgresql":
        grown = session.scalars(_GROWN).all()
        session.execute(text(f"ANALYZE {', '.join(['delivery', *grown])}"))


_GROWN = text("""
SELECT relname FROM pg_class
 WHERE oid = ANY(CAST(ARRAY['subscription', 'subscriber', 'variant'] AS regclass[]))
   AND (reltuples <= 0
        OR pg_relation_size(oid) > 1.2 * relpages * CAST(current_setting('block_size') AS bigint))""")


def exclusion_counts(session: Session, edition_id: int) -> dict[str, int]:
    """Return how many readers got no delivery, by reason."""
    query = (
        select(ExclusionRow.reason, func.count())
        .where(ExclusionRow.edition_id == edition_id)
        .group_by(ExclusionRow.reason)
    )
    return dict(session.execute(query).all())


def cancelled_with_open_mail(session: Session) -> list[int]:
    """Return the cancelled editions by whose counts mail was not sent yet, or under way; the oldest first."""
    query = select(EditionRow.id, EditionRow.counts).where(
        EditionRow.state == EditionState.CANCELLED, EditionRow.counts.is_not(None)
    )
    is_open = {DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.SENDING}
    return [edition_id for edition_id, counts in session.execute(query.order_by(EditionRow.id)) if is_open & {*counts}]


def move_open_deliveries(session: Session, edition_id: int, replaced: Mapping[int, int | None]) -> int:
    """Let mail not sent yet follow variants that were replaced, as `variants.replace_variants` has noted.

    *replaced*: what is sent instead of each; None cancels its mail. Leased mail goes back: its sender skips it.
    """
    of_edition = DeliveryRow.edition_id == edition_id
    followed = one_of_many(DeliveryRow.variant_id, [old for old, new in replaced.items() if new is not None])
    ended = one_of_many(DeliveryRow.variant_id, [old for old, new in replaced.items() if new is None])
    instead = select(VariantRow.replaced_by).where(VariantRow.id == DeliveryRow.variant_id).scalar_subquery()
    moved = _change_open(session, of_edition, followed, variant_id=instead, state=DeliveryState.QUEUED)
    return moved + _change_open(session, of_edition, ended, state=DeliveryState.CANCELLED, reason=ALL_WITHDRAWN)


def cancel_edition_deliveries(session: Session, edition_id: int, reason: str) -> int:
    """End what is queued or leased of an edition; what is being sent goes on. Return how many."""
    return _change_open(session, DeliveryRow.edition_id == edition_id, state=DeliveryState.CANCELLED, reason=reason)


def _change_open(session: Session, *conditions: ColumnElement[bool], **values: Any) -> int:
    """Change what is queued or leased, and take it from whoever leased it; return how many.

    A sender's turn may lock the same rows in another order: whoever PostgreSQL then picks begins anew, here as there.
    """
    change = (
        update(DeliveryRow)
        .where(*conditions, DeliveryRow.state.in_((DeliveryState.QUEUED, DeliveryState.LEASED)))
        .values(state_at=database_now(session), lease_token=None, lease_owner=None, lease_until=None, **values)
        .execution_options(synchronize_session=False)
    )
    changed = again_after_deadlock(session, change)
    return int(changed.rowcount)  # type: ignore[attr-defined]  # the result of an UPDATE has it


NO_READER = 0
"""In the place of a subscriber's id: a mail to staff."""


def insert_transactional(session: Session, values: dict[str, Any]) -> int | None:
    """Queue one mail without an edition; None if its idempotency key is taken.

    *values*: columns of the delivery, its address among them.
    """
    now = database_now(session)
    row = {
        "pool": Pool.TRANSACTIONAL,
        "state": DeliveryState.QUEUED,
        "state_at": now,
        "available_at": now,
        "mail_token": random_token(),
        "provider": provider_of(values["address"]),
    } | values
    inserted: int | None = session.execute(
        insert_into(session, DeliveryRow).on_conflict_do_nothing().values(row).returning(DeliveryRow.id)
    ).scalar_one_or_none()
    return inserted
