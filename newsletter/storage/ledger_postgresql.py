"""The hot path of sending in PostgreSQL's own words: a claim, and a turn, are one statement each, whatever the batch.

Values go in as arrays, so a statement's text and plan do not depend on how many there are; each array as one text,
since the driver looks at every value of a list, and takes longer for it than for all else. Times are the statement's.
A state is compared as `state || ''` where rows are found by their ids: else the planner may read an index of states
through, which holds an entry for all that was sent since the last vacuum.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, text

from newsletter.domain.deliveries import Told
from newsletter.storage.base import UTCDateTime
from newsletter.storage.engine import Session
from newsletter.storage.ledger_lanes import Share

_CLAIM = """
WITH share AS MATERIALIZED (
    SELECT * FROM unnest(CAST(:editions AS bigint[]), CAST(:providers AS text[]), CAST(:mosts AS int[]))
             WITH ORDINALITY AS s (edition_id, provider, most, place)),
found AS MATERIALIZED (
    SELECT due.id, due.lapses, row_number() OVER () AS place
      FROM share CROSS JOIN LATERAL (
               SELECT d.id, d.lapses FROM delivery d
                WHERE d.state = 'queued' AND d.edition_id {is_its} AND d.provider = share.provider
                  AND d.available_at <= statement_timestamp()
                ORDER BY d.available_at, d.id LIMIT share.most FOR UPDATE SKIP LOCKED) due
     LIMIT :total),
first AS (SELECT id, lapses > 1 AS is_suspect FROM found ORDER BY place LIMIT 1),
taken AS (
    UPDATE delivery d
       SET state = 'leased', state_at = statement_timestamp(), lease_token = :token, lease_owner = :worker,
           lease_until = statement_timestamp() + CAST(:lease AS interval)
     WHERE d.id = ANY(ARRAY(SELECT found.id FROM found, first
                             WHERE CASE WHEN first.is_suspect THEN found.id = first.id ELSE found.lapses <= 1 END))
    RETURNING d.*)
SELECT taken.id, taken.purpose, taken.edition_id, taken.list_id, taken.variant_id, taken.filter_id, taken.language,
       coalesce(taken.address, '') AS address, taken.provider, taken.mail_token, taken.mail_at, taken.content,
       s.uid AS subscription_uid, taken.attempts, taken.tries
  FROM taken LEFT JOIN subscription s ON s.id = taken.subscription_id
 ORDER BY taken.variant_id NULLS FIRST, taken.id"""

_CLAIM_OF_EDITIONS = text(_CLAIM.format(is_its="= share.edition_id")).columns(mail_at=UTCDateTime)
_CLAIM_WITHOUT_EDITION = text(_CLAIM.format(is_its="IS NULL")).columns(mail_at=UTCDateTime)


def claim_shares(
    session: Session, shares: Sequence[Share], *, total: int, worker: str, token: str, lease: timedelta
) -> Sequence[Row[Any]]:
    """Lease what is due of *shares*, which are of one pool, up to *total*; return what `ledger.Claimed` asks for."""
    without_edition = shares[0].lane.edition_id is None
    values = {
        "editions": _numbers(each.lane.edition_id for each in shares),
        "providers": _texts(each.lane.provider for each in shares),
        "mosts": _numbers(each.most for each in shares),
        "total": total,
        "worker": worker,
        "token": token,
        "lease": lease,
    }
    return session.execute(_CLAIM_WITHOUT_EDITION if without_edition else _CLAIM_OF_EDITIONS, values).all()


_RECORDED = """
told AS MATERIALIZED (
    SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:ns AS int[]), CAST(:tokens AS text[]), CAST(:states AS text[]),
                         CAST(:outcomes AS text[]), CAST(:stages AS text[]), CAST(:codes AS int[]),
                         CAST(:enhanceds AS text[]), CAST(:replies AS text[]), CAST(:waits AS float[]),
                         CAST(:costs AS int[]), CAST(:reasons AS text[]))
             AS t (id, n, token, state, outcome, stage, code, enhanced, reply, wait, cost, reason)),
recorded AS (
    UPDATE delivery d
       SET state = t.state, state_at = statement_timestamp(),
           available_at = statement_timestamp() + make_interval(secs => t.wait),
           accepted_at = CASE t.state WHEN 'accepted' THEN statement_timestamp() END,
           reason = t.reason, lapses = 0, tries = d.tries + t.cost,
           lease_token = NULL, lease_owner = NULL, lease_until = NULL
      FROM told t
     WHERE d.id = t.id AND d.state || '' = 'sending' AND d.lease_token = t.token AND d.attempts = t.n
    RETURNING d.id),
closed AS (
    INSERT INTO delivery_attempt
           (delivery_id, n, worker, lease_token, started_at, finished_at, outcome, stage, code, enhanced, reply)
    SELECT t.id, t.n, was.lease_owner, t.token, was.state_at, statement_timestamp(),
           t.outcome, t.stage, t.code, t.enhanced, t.reply
      FROM recorded JOIN told t ON t.id = recorded.id
           JOIN delivery was ON was.id = recorded.id /* as it was before this statement */)"""
_AHEAD = """
ahead AS (
    UPDATE delivery d
       SET state = 'sending', state_at = statement_timestamp(), attempts = d.attempts + 1, lease_owner = :worker,
           lease_until = statement_timestamp() + CAST(:lease AS interval)
     WHERE d.id = ANY(CAST(:next_ids AS bigint[])) AND d.state || '' = 'leased' AND d.lease_token = :token
       AND d.lease_until > statement_timestamp()
       AND (d.deadline_at IS NULL OR d.deadline_at > statement_timestamp())
       AND NOT EXISTS (SELECT FROM stop)
       AND NOT EXISTS (SELECT FROM suppression s WHERE s.address_hmac = d.address_hmac AND s.lifted_at IS NULL)
       AND NOT EXISTS (SELECT FROM variant v WHERE v.id = d.variant_id AND v.replaced_at IS NOT NULL)
       AND (d.edition_id IS NULL
            OR EXISTS (SELECT FROM edition e JOIN list l ON l.id = e.list_id
                        WHERE e.id = d.edition_id AND e.state = 'sending' AND l.paused_at IS NULL)
               AND EXISTS (SELECT FROM subscription s
                            WHERE s.subscriber_id = d.subscriber_id AND s.list_id = d.list_id
                              AND s.state = 'confirmed' AND (s.paused_at IS NULL OR s.resumed_at IS NOT NULL)))
    RETURNING d.id, d.attempts)"""
_TOLD_IDS = "SELECT id, 0 AS attempt FROM recorded"
_AHEAD_IDS = "SELECT id, attempts AS attempt FROM ahead"
_TURN = text(f"WITH {_RECORDED}, {_AHEAD} {_TOLD_IDS} UNION ALL {_AHEAD_IDS}")
_ONLY_RECORD = text(f"WITH {_RECORDED} {_TOLD_IDS}")
_ONLY_AHEAD = text(f"WITH {_AHEAD} {_AHEAD_IDS}")


def turn(
    session: Session, *, told: Sequence[Told], next_ids: Sequence[int], token: str, worker: str, lease: timedelta
) -> tuple[set[int], dict[int, int]]:
    """Record *told* and write *next_ids* ahead; return which were recorded, and the attempts by id of what was cleared.

    What is not among them came late, or is not to be sent: see `ledger.take_turn`.
    """
    if not told and not next_ids:
        return set(), {}
    values: Mapping[str, Any] = {"next_ids": _numbers(next_ids), "token": token, "worker": worker, "lease": lease}
    if not told:
        rows = session.execute(_ONLY_AHEAD, values).all()
    elif not next_ids:
        rows = session.execute(_ONLY_RECORD, _columns_of(told)).all()
    else:
        rows = session.execute(_TURN, {**_columns_of(told), **values}).all()
    return {ref for ref, attempt in rows if not attempt}, {ref: attempt for ref, attempt in rows if attempt}


def _columns_of(told: Sequence[Told]) -> dict[str, str]:
    return {
        "ids": _numbers(each.delivery_id for each in told),
        "ns": _numbers(each.attempt for each in told),
        "tokens": _texts(each.token for each in told),
        "states": _texts(each.state for each in told),
        "outcomes": _texts(each.outcome for each in told),
        "stages": _texts(each.stage for each in told),
        "codes": _numbers(each.code for each in told),
        "enhanceds": _texts(each.enhanced for each in told),
        "replies": _texts(each.reply for each in told),
        "waits": _numbers(each.wait.total_seconds() for each in told),
        "costs": _numbers(int(each.costs_a_try) for each in told),
        "reasons": _texts(each.reason for each in told),
    }


def _numbers(values: Iterable[float | None]) -> str:
    """Write an array of numbers as PostgreSQL reads it."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def _texts(values: Iterable[str | None]) -> str:
    """Write an array of texts as PostgreSQL reads it: each in quotes, behind a backslash what would end them."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def _quoted(value: str) -> str:
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'
