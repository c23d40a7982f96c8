"""Lists, readers, editions and deliveries for tests of the ledger: the least that its tables ask for."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import func, select, update

from newsletter.domain.deliveries import DeliveryState, Pool, Purpose, Told
from newsletter.domain.editions import Edition, EditionState, Item
from newsletter.domain.filters import EVERYTHING
from newsletter.domain.limits import Allowance
from newsletter.domain.lists import Cadence, InDoubtPolicy, MailingList, Schedule, SectionsBy
from newsletter.domain.replies import Verdict
from newsletter.domain.subscriptions import Choice, Consent, ConsentAct
from newsletter.storage import editions, lists, subscribers, subscriptions, variants
from newsletter.storage.articles import ArticleRow, lock_source
from newsletter.storage.deliveries import AttemptRow, DeliveryRow
from newsletter.storage.engine import Database, Session, database_now
from newsletter.storage.ledger import claim, take_turn
from newsletter.storage.recovery import doubt_lapsed
from newsletter.storage.subscribers import NewSubscriber
from newsletter.storage.subscriptions import NewSubscription, SubscriptionRow
from newsletter.storage.variants import NewVariant

NOON = datetime(2026, 3, 16, 12, 0, tzinfo=UTC)
BULK = Pool.BULK


def make_list(session: Session, slug: str = "weekly", policy: InDoubtPolicy = InDoubtPolicy.HOLD) -> MailingList:
    """Store a weekly list of everything."""
    new = MailingList(
        id=0,
        slug=slug,
        titles={"en": "The week"},
        descriptions={},
        intros={},
        from_name="Newsroom",
        from_address="news@example.org",
        reply_to=None,
        schedule=Schedule("UTC", time(8), 0, 1),
        cadences=(Cadence.WEEKLY,),
        languages=("en", "ru"),
        filter_id=lists.intern_filter(session, EVERYTHING),
        sections=SectionsBy.TOPIC,
        review_minutes=None,
        in_doubt_policy=policy,
        since=NOON - timedelta(days=90),
    )
    return lists.add_list(session, new, now=NOON)


def make_edition(
    session: Session,
    mailing_list: MailingList,
    state: EditionState = EditionState.SENDING,
    *,
    slot_key: str = "2026-W12",
    slot_at: datetime = NOON,
    cadence: Cadence = Cadence.WEEKLY,
) -> Edition:
    """Store an edition that has come to *state*."""
    edition_id = editions.open_edition(
        session,
        list_id=mailing_list.id,
        cadence=cadence,
        slot_key=slot_key,
        slot_at=slot_at,
        cut_at=slot_at,
        deadline_at=slot_at + timedelta(days=3),
        nonce="0123456789abcdef",
        now=slot_at,
    )
    assert edition_id is not None
    set_edition(session, edition_id, state)
    return load_edition(session, edition_id)


def set_edition(session: Session, edition_id: int, state: EditionState, **values: Any) -> None:
    """Put an edition into *state*, whatever it was in."""
    row = editions.EditionRow
    approved = {"approved_at": NOON, "send_until": database_now(session) + timedelta(days=3)}
    session.execute(update(row).where(row.id == edition_id).values(state=state, **(approved | values)))


def load_edition(session: Session, edition_id: int) -> Edition:
    """Return an edition as it stands."""
    found = editions.load_edition(session, edition_id)
    assert found is not None
    return found


def make_readers(
    session: Session,
    mailing_list: MailingList,
    *names: str,
    cadence: Cadence = Cadence.WEEKLY,
    language: str = "en",
    filter_id: int | None = None,
) -> list[SubscriptionRow]:
    """Store a confirmed subscription for each of *names*, in their order; who is known keeps being who they are."""
    new = [NewSubscriber(uuid.uuid4().hex, f"{each}@example.org", f"{each}@example.org", each, "en") for each in names]
    people = subscribers.intern_subscribers(session, new, now=NOON)
    choice = Choice(cadence, language, filter_id or mailing_list.filter_id)
    wanted = [
        NewSubscription(uuid.uuid4().hex, people[each.key].id, mailing_list.id, choice, confirmed_at=NOON)
        for each in new
    ]
    consent = Consent(NOON, ConsentAct.IMPORTED, "a test")
    for each in wanted:
        assert subscriptions.add_subscriptions(session, [each], consent, now=NOON)
    rows = select(SubscriptionRow).where(SubscriptionRow.uid.in_([each.uid for each in wanted]))
    return list(session.scalars(rows.order_by(SubscriptionRow.id)))


def make_articles(session: Session, *titles: str, at: datetime = NOON) -> list[int]:
    """Store bare published articles; return their ids."""
    source = lock_source(session, "press", "Press", now=NOON)
    rows = [
        ArticleRow(
            uid=uuid.uuid4().hex,
            kind="story",
            state="published",
            source_id=source.id,
            default_language="en",
            published_at=at,
            visible_at=at,
            received_at=at,
            updated_at=at,
            modified_at=at,
        )
        for _ in titles
    ]
    session.add_all(rows)
    session.flush()
    return [row.id for row in rows]


def make_variant(session: Session, edition_id: int, *items: tuple[int, int], language: str = "en") -> int:
    """Store a variant that shows *items*, given as (article id, revision); return its id."""
    digest = "-".join(f"{article_id}.{revision}" for article_id, revision in items) or "none"
    shown = tuple(Item(article_id, language, revision) for article_id, revision in items)
    new = NewVariant(language, digest, "Subject", ("head", "foot"), {}, 100, shown)
    return variants.save_variants(session, edition_id, [new])[language, digest]


def queue(session: Session, edition: Edition | None, subscription: SubscriptionRow, **changes: Any) -> int:
    """Store a queued delivery that is due now; return its id."""
    person = session.get_one(subscribers.SubscriberRow, subscription.subscriber_id)
    now = database_now(session)
    values: dict[str, Any] = {
        "purpose": Purpose.EDITION if edition else Purpose.CONFIRMATION,
        "edition_id": edition.id if edition else None,
        "list_id": subscription.list_id,
        "subscriber_id": subscription.subscriber_id,
        "subscription_id": subscription.id,
        "filter_id": subscription.filter_id,
        "language": "en",
        "address": person.address,
        "address_hmac": person.address_hmac,
        "provider": person.provider,
        "mail_token": uuid.uuid4().hex,
        "mail_at": NOON,
        "pool": Pool.BULK if edition else Pool.TRANSACTIONAL,
        "state": DeliveryState.QUEUED,
        "state_at": now,
        "available_at": now,
        "deadline_at": now + timedelta(days=1),
    }
    row = DeliveryRow(**(values | changes))
    session.add(row)
    session.flush()
    return row.id


def queue_all(session: Session, edition: Edition, readers: Iterable[SubscriptionRow], **changes: Any) -> list[int]:
    """Store a queued delivery for each reader; return their ids in order."""
    return [queue(session, edition, reader, **changes) for reader in readers]


def change(database: Database, delivery_id: int, **values: Any) -> None:
    """Change a delivery behind everybody's back."""
    with database.transaction() as session:
        session.execute(update(DeliveryRow).where(DeliveryRow.id == delivery_id).values(**values))


def lapse(database: Database, *ids: int) -> None:
    """Let the leases of deliveries run out."""
    with database.transaction() as session:
        past = database_now(session) - timedelta(seconds=1)
        session.execute(update(DeliveryRow).where(DeliveryRow.id.in_(ids)).values(lease_until=past))


def give_up(database: Database, *ids: int) -> None:
    """Let the sweeper find that the sender of deliveries fell silent."""
    lapse(database, *ids)
    with database.transaction() as session:
        assert len(ids) == doubt_lapsed(session)


def look(database: Database, delivery_id: int) -> DeliveryRow:
    """Return a delivery as it stands."""
    with database.reading() as session:
        return session.get_one(DeliveryRow, delivery_id)


def states(database: Database, *ids: int) -> list[DeliveryState]:
    """Return the states of deliveries, in the order of *ids*."""
    return [DeliveryState(look(database, each).state) for each in ids]


def attempts_at(database: Database, delivery_id: int) -> list[AttemptRow]:
    """Return the attempts at a delivery, the first one first."""
    query = select(AttemptRow).where(AttemptRow.delivery_id == delivery_id).order_by(AttemptRow.n)
    with database.reading() as session:
        return list(session.scalars(query))


def count(database: Database, row: type[Any]) -> int:
    """Return how many rows a table has."""
    with database.reading() as session:
        return session.execute(select(func.count()).select_from(row)).scalar_one()


def claim_some(
    database: Database, token: str = "a", limit: int = 20, pool: Pool = BULK, **by_provider: int
) -> list[int]:
    """Claim deliveries under *token* in a transaction of its own; return their ids in the order given."""
    allowance = Allowance(limit, by_provider)
    with database.transaction() as session:
        return [
            each.id for each in claim(session, pool=pool, allowance=allowance, worker=f"worker-{token}", token=token)
        ]


def turn(
    database: Database,
    *ids: int,
    token: str = "a",
    told: Iterable[Told] = (),
) -> dict[int, int]:
    """Take a turn in a transaction of its own; return the attempt numbers of what may be sent."""
    with database.transaction() as session:
        return take_turn(
            session,
            told=list(told),
            next_ids=ids,
            token=token,
            worker=f"worker-{token}",
        )


def send_first(database: Database, *ids: int, token: str = "a") -> None:
    """Bring queued deliveries as far as `sending`."""
    claim_some(database, token)
    assert set(ids) <= turn(database, *ids, token=token).keys()


def told(delivery_id: int, state: DeliveryState, attempt: int = 1, token: str = "a", **changes: Any) -> Told:
    """Return what a sender tells of one attempt, written ahead under *token*."""
    outcome = {DeliveryState.ACCEPTED: Verdict.ACCEPTED, DeliveryState.FAILED: Verdict.RECIPIENT_FAILED}.get(
        state, Verdict.RELAY_DEFERRED
    )
    values: dict[str, Any] = {"outcome": outcome.value, "stage": "dot", "code": 250, "reply": "words of the relay"}
    return Told(delivery_id, attempt, token, state, **(values | changes))
