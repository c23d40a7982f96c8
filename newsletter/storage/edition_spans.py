"""When an edition's mails came to their ends, counted in spans of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import BigInteger, Integer, case, cast, extract, func, select

from newsletter.domain.deliveries import ENDED, DeliveryState
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.engine import Session


@dataclass(frozen=True, slots=True)
class Span:
    """How many mails were accepted from a moment on, for so many seconds, and how many came to another end."""

    begins_at: datetime
    seconds: int
    accepted: int
    failed: int


def count_spans(session: Session, edition_id: int, *, widths: Sequence[int], most: int) -> list[Span]:
    """Return an edition's ends in spans as wide as the first of *widths*, seconds, of which *most* are enough.

    In order; spans in which nothing ended are left out.
    """
    is_accepted = DeliveryRow.state == DeliveryState.ACCEPTED
    seconds = cast(
        extract("epoch", case((is_accepted, DeliveryRow.accepted_at), else_=DeliveryRow.state_at)), BigInteger
    )
    ended = (DeliveryRow.edition_id == edition_id, DeliveryRow.state.in_(ENDED))
    first, last = session.execute(select(func.min(seconds), func.max(seconds)).where(*ended)).one()
    if first is None:
        return []
    width = next((each for each in widths if last // each - first // each < most), widths[-1])
    span = (seconds // width).label("span")
    accepted = cast(func.sum(case((is_accepted, 1), else_=0)), Integer)
    query = select(span, accepted, func.count()).where(*ended).group_by(span).order_by(span)
    return [
        Span(datetime.fromtimestamp(number * width, UTC), width, good, count - good)
        for number, good, count in session.execute(query)
    ]
