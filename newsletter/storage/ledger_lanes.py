"""Lanes: where due mail stands, by edition and receiving provider, found by a few probes of one index.

Each probe is a descent into the index of queued deliveries, so looking costs the same whether ten or a million wait,
and mail that must wait (a paused edition's, a provider's without allowance) is never read past.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Integer, String, TextualSelect, bindparam, text

from newsletter.domain.deliveries import Pool
from newsletter.domain.limits import Allowance
from newsletter.storage.base import UTCDateTime
from newsletter.storage.engine import Session, database_now


@dataclass(frozen=True, slots=True)
class Lane:
    """Due mail of one edition to one provider; *edition_id* is None for mail without an edition.

    *is_urgent*: news that is sent at once. *canary_left*: so many may be taken of the edition; None: any number.
    """

    edition_id: int | None
    provider: str
    is_urgent: bool
    canary_left: int | None
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class Share:
    """A lane, and how many may be taken from it."""

    lane: Lane
    most: int


_OF_EDITIONS = """
    SELECT e.id, CASE e.cadence WHEN 'immediate' THEN 0 ELSE 1 END, e.canary_left, (
               SELECT d.provider FROM delivery d WHERE d.state = 'queued' AND d.edition_id = e.id
                ORDER BY d.provider LIMIT 1)
      FROM edition e JOIN list l ON l.id = e.list_id
     WHERE {editions}"""
_OF_NO_EDITION = """
    SELECT CAST(NULL AS BIGINT), 0, CAST(NULL AS INTEGER), (
               SELECT d.provider FROM delivery d WHERE d.state = 'queued' AND d.edition_id IS NULL
                ORDER BY d.provider LIMIT 1)
     WHERE {stops}"""
_LANES = """
WITH RECURSIVE lane (edition_id, urgency, canary_left, provider) AS ({first}
    UNION ALL
    SELECT lane.edition_id, lane.urgency, lane.canary_left, (
               SELECT d.provider FROM delivery d
                WHERE d.state = 'queued' AND d.edition_id {is_its} AND d.provider > lane.provider
                ORDER BY d.provider LIMIT 1)
      FROM lane WHERE lane.provider IS NOT NULL),
head AS (
    SELECT lane.*, (
               SELECT d.available_at FROM delivery d
                WHERE d.state = 'queued' AND d.edition_id {is_its} AND d.provider = lane.provider
                ORDER BY d.available_at, d.id LIMIT 1) AS oldest_at, (
               SELECT d.id FROM delivery d
                WHERE d.state = 'queued' AND d.edition_id {is_its} AND d.provider = lane.provider
                ORDER BY d.available_at, d.id LIMIT 1) AS oldest_id
      FROM lane WHERE lane.provider IS NOT NULL)
SELECT edition_id, provider, urgency = 0 AS is_urgent, canary_left, oldest_at FROM head
 WHERE oldest_at <= {now} ORDER BY urgency, oldest_at, oldest_id"""

_NO_STOP = "NOT EXISTS (SELECT 1 FROM stop)"
_MAY_BE_SENT = (
    f"e.state = 'sending' AND (e.canary_left IS NULL OR e.canary_left > 0) AND l.paused_at IS NULL AND {_NO_STOP}"
)
_IS_OPEN = "e.state IN ('approved', 'sending', 'paused')"


def _statement(pool: Pool, *, editions: str, stops: str, is_sqlite: bool) -> TextualSelect:
    first = _OF_EDITIONS.format(editions=editions) if pool is Pool.BULK else _OF_NO_EDITION.format(stops=stops)
    is_its = "= lane.edition_id" if pool is Pool.BULK else "IS NULL"
    now = ":now" if is_sqlite else "statement_timestamp()"
    statement = text(_LANES.format(first=first, is_its=is_its, now=now))
    if is_sqlite:
        statement = statement.bindparams(bindparam("now", type_=UTCDateTime()))
    return statement.columns(
        edition_id=BigInteger, provider=String, is_urgent=Boolean, canary_left=Integer, oldest_at=UTCDateTime
    )


_DUE = {
    (pool, is_sqlite): _statement(pool, editions=_MAY_BE_SENT, stops=_NO_STOP, is_sqlite=is_sqlite)
    for pool in Pool
    for is_sqlite in (False, True)
}
_WAITING = {
    (pool, is_sqlite): _statement(pool, editions=_IS_OPEN, stops="1 = 1", is_sqlite=is_sqlite)
    for pool in Pool
    for is_sqlite in (False, True)
}


def due_lanes(session: Session, pool: Pool) -> list[Lane]:
    """Return the lanes of a pool with mail that may be claimed now; what is sent at once first, then the oldest."""
    return _lanes(session, _DUE, pool)


def waiting_lanes(session: Session, pool: Pool) -> list[Lane]:
    """Return the lanes of a pool with mail that is due, whether or not anything holds it back."""
    return _lanes(session, _WAITING, pool)


def _lanes(session: Session, statements: Mapping[tuple[Pool, bool], TextualSelect], pool: Pool) -> list[Lane]:
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    values = {"now": database_now(session)} if is_sqlite else {}
    return [Lane(*row) for row in session.execute(statements[pool, is_sqlite], values)]


def shares(lanes: Sequence[Lane], allowance: Allowance) -> list[Share]:
    """Divide an allowance among lanes, in their order, so that none waits until another is empty.

    The shares of lanes that are alike in urgency come to twice the total, since some hold less than theirs: whoever
    takes stops at the total. What a provider or a canary is allowed is shared out once, and never exceeded.
    """
    alike = Counter(lane.is_urgent for lane in lanes)
    by_provider = dict(allowance.by_provider)
    canaries = {lane.edition_id: lane.canary_left for lane in lanes if lane.canary_left is not None}
    lanes_left = Counter(lane.edition_id for lane in lanes)
    found = []
    for lane in lanes:
        most = min(allowance.total, -(-2 * allowance.total // alike[lane.is_urgent]))
        most = min(most, by_provider.get(lane.provider, most))
        if lane.edition_id in canaries:
            most = min(most, -(-canaries[lane.edition_id] // lanes_left[lane.edition_id]))
            canaries[lane.edition_id] -= most
            lanes_left[lane.edition_id] -= 1
        if lane.provider in by_provider:
            by_provider[lane.provider] -= most
        if most > 0:
            found.append(Share(lane, most))
    return found
