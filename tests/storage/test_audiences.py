"""Audiences: whose past with a list differs from that of the others, found in SQL as a naive look at all mail would."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

import pytest
from ledger_rows import (
    NOON,
    make_articles,
    make_edition,
    make_list,
    make_readers,
    make_variant,
    queue,
    set_edition,
)
from sqlalchemy import select

from newsletter.domain.deliveries import NOT_RECEIVED, DeliveryState
from newsletter.domain.editions import Edition, EditionState
from newsletter.domain.filters import choose
from newsletter.domain.lists import Cadence, MailingList
from newsletter.domain.subscriptions import EndReason
from newsletter.storage import audiences
from newsletter.storage.audiences import AudienceExceptionRow, AudienceRow, History
from newsletter.storage.engine import Database, Session
from newsletter.storage.lists import intern_filter
from newsletter.storage.subscriptions import SubscriptionRow, end_subscription
from newsletter.storage.variants import replace_variants

S = DeliveryState
DAY = timedelta(days=1)
LONG_AGO = NOON - 28 * DAY


@dataclass
class Past:
    """A list with what was sent of it; remembers all of it outside SQL, too."""

    session: Session
    mailing_list: MailingList
    articles: list[int]
    sent: list[tuple[Edition, SubscriptionRow, DeliveryState, bool, dict[int, int]]] = field(default_factory=list)
    subscriptions: list[SubscriptionRow] = field(default_factory=list)
    numbers: count = field(default_factory=count)

    def edition(
        self, state: EditionState = EditionState.DONE, cadence: Cadence = Cadence.WEEKLY, at: datetime = NOON - 7 * DAY
    ) -> Edition:
        slot_key = f"slot {next(self.numbers)}"
        return make_edition(self.session, self.mailing_list, state, slot_key=slot_key, slot_at=at, cadence=cadence)

    def reader(self, name: str, cadence: Cadence = Cadence.WEEKLY, **choice) -> SubscriptionRow:
        [made] = make_readers(self.session, self.mailing_list, name, cadence=cadence, **choice)
        self.subscriptions.append(made)
        return made

    def leave(self, subscription: SubscriptionRow, reason: EndReason = EndReason.CHANGED) -> None:
        end_subscription(self.session, subscription.id, reason, now=NOON)
        self.session.refresh(subscription)

    def deliver(
        self, edition: Edition, reader: SubscriptionRow, state: DeliveryState, items: dict[int, int], resends: int = 0
    ) -> None:
        """Record that a mail of *edition* with *items* came to *state*; settles the edition's counts."""
        variant = make_variant(self.session, edition.id, *items.items())
        leased = "t" if state in (S.LEASED, S.SENDING) else None
        queue(
            self.session,
            edition,
            reader,
            state=state,
            variant_id=variant,
            resends=resends,
            lease_token=leased,
            accepted_at=NOON if state is S.ACCEPTED else None,
        )
        self.sent.append((edition, reader, state, resends > 0, items))
        states = [each[2] for each in self.sent if each[0].id == edition.id]
        if edition.state in (EditionState.DONE, EditionState.CANCELLED):
            counts = {str(each): states.count(each) for each in set(states)}
            set_edition(self.session, edition.id, edition.state, counts=counts)

    def differing(self, cadence: Cadence = Cadence.WEEKLY, since: datetime = LONG_AGO) -> dict[int, History]:
        found = audiences.differing_histories(
            self.session, self.mailing_list.id, cadence, candidates=self.articles, since=since
        )
        assert [each.subscription_id for each in found] == sorted(each.subscription_id for each in found)
        return {each.subscription_id: each for each in found}


def make_past(session: Session, slug: str = "weekly") -> Past:
    return Past(session, make_list(session, slug), make_articles(session, "one", "two", "three"))


@pytest.fixture
def past(database: Database):
    with database.transaction() as session:
        yield make_past(session)


def test_readers_who_got_what_the_others_got_do_not_differ(past):
    edition = past.edition()
    for name in ("ann", "bek"):
        past.deliver(edition, past.reader(name), S.ACCEPTED, {past.articles[0]: 1})
    past.reader("new")

    assert {} == past.differing()


@pytest.mark.parametrize("state", [S.ACCEPTED, S.IN_DOUBT, S.SENDING, S.QUEUED])
def test_what_came_at_another_cadence_is_received(past, state):
    daily = past.reader("ann", Cadence.DAILY)
    edition = past.edition(EditionState.SENDING, Cadence.DAILY)
    past.deliver(edition, daily, state, {past.articles[0]: 1, past.articles[1]: 2})
    past.leave(daily)
    weekly = past.reader("ann")
    [history] = past.differing().values()

    assert {past.articles[0]: 1, past.articles[1]: 2} == history.received
    assert {} == history.owed
    assert (weekly.id, weekly.filter_id, "en") == (history.subscription_id, history.filter_id, history.language)


@pytest.mark.parametrize("state", NOT_RECEIVED)
def test_what_certainly_did_not_come_is_not_received(past, state):
    daily = past.reader("ann", Cadence.DAILY)
    past.deliver(past.edition(EditionState.SENDING, Cadence.DAILY), daily, state, {past.articles[0]: 1})
    past.leave(daily)
    past.reader("ann")

    assert {} == past.differing()


def test_who_left_and_came_back_has_what_they_had(past):
    before = past.reader("ann")
    past.deliver(past.edition(), before, S.ACCEPTED, {past.articles[0]: 1})
    past.leave(before, EndReason.UNSUBSCRIBED)
    past.reader("ann")

    assert [{past.articles[0]: 1}] == [each.received for each in past.differing().values()]


def test_an_edition_cancelled_under_way_was_received_by_some(past):
    edition = past.edition(EditionState.CANCELLED)
    ann, bek = past.reader("ann"), past.reader("bek")
    past.deliver(edition, ann, S.ACCEPTED, {past.articles[0]: 1})
    past.deliver(edition, bek, S.CANCELLED, {past.articles[0]: 1})

    assert {ann.id: {past.articles[0]: 1}} == {key: each.received for key, each in past.differing().items()}


def test_an_edition_that_expired_before_it_reached_a_reader_is_owed(past):
    edition = past.edition()
    ann, bek = past.reader("ann"), past.reader("bek")
    past.deliver(edition, ann, S.EXPIRED, {past.articles[0]: 1})
    past.deliver(edition, bek, S.ACCEPTED, {past.articles[0]: 1})

    assert {ann.id: {past.articles[0]: 1}} == {key: each.owed for key, each in past.differing().items()}


def test_what_is_owed_is_owed_to_the_reader_however_they_subscribe_now(past):
    before = past.reader("ann")
    past.deliver(past.edition(), before, S.EXPIRED, {past.articles[0]: 1})
    past.leave(before)
    after = past.reader("ann", language="ru")

    assert {past.articles[0]: 1} == past.differing()[after.id].owed


@pytest.mark.parametrize(("revision", "owed"), [(1, {}), (2, {}), (0, {0: 1})])
def test_what_came_later_is_owed_no_more(past, revision, owed):
    ann = past.reader("ann")
    past.deliver(past.edition(), ann, S.EXPIRED, {past.articles[0]: 1})
    if revision:
        past.deliver(past.edition(at=NOON - DAY), ann, S.ACCEPTED, {past.articles[0]: revision})
    [history] = past.differing().values()

    assert {past.articles[place]: each for place, each in owed.items()} == history.owed


def test_a_resend_that_expired_may_have_come_the_first_time(past):
    """It was in doubt before it was queued again; owing it could mean the same article twice."""
    past.deliver(past.edition(), past.reader("ann"), S.EXPIRED, {past.articles[0]: 1}, resends=1)

    assert {} == past.differing()


def test_old_editions_are_owed_no_more(past):
    past.deliver(past.edition(at=LONG_AGO), past.reader("ann"), S.EXPIRED, {past.articles[0]: 1})

    assert {} == past.differing()


def test_another_list_is_another_past(past):
    ann = past.reader("ann")
    other = Past(past.session, make_list(past.session, "other"), past.articles)
    same = other.reader("ann")
    other.deliver(other.edition(), same, S.ACCEPTED, {past.articles[0]: 1})
    other.deliver(other.edition(EditionState.CANCELLED), same, S.ACCEPTED, {past.articles[0]: 1})
    other.deliver(other.edition(), same, S.EXPIRED, {past.articles[1]: 1})
    past.leave(ann)
    past.reader("ann")

    assert {} == past.differing()


def naive(past: Past, live: SubscriptionRow, candidates: list[int]) -> tuple[dict[int, int], dict[int, int]]:
    """Look at every mail the reader of *live* ever got of the list; return what they had and what they are owed."""
    received: dict[int, int] = defaultdict(int)
    had: dict[int, int] = defaultdict(int)
    owed: dict[int, int] = defaultdict(int)
    for edition, subscription, state, was_resent, items in past.sent:
        if subscription.subscriber_id != live.subscriber_id:
            continue
        may_have_come = state not in NOT_RECEIVED or was_resent
        is_of_this_cadence = edition.cadence == live.cadence
        is_recent = edition.slot_at > LONG_AGO
        for article_id, revision in items.items():
            if may_have_come:
                had[article_id] = max(had[article_id], revision)
                was_cancelled = edition.state is EditionState.CANCELLED and is_of_this_cadence and is_recent
                if article_id in candidates and (subscription.id != live.id or was_cancelled):
                    received[article_id] = max(received[article_id], revision)
            if state is S.EXPIRED and not was_resent and is_of_this_cadence:
                owed[article_id] = max(owed[article_id], revision if is_recent else 0)
    return dict(received), {key: each for key, each in owed.items() if each and had[key] < each}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_sql_finds_what_looking_at_every_mail_finds(database, seed):
    """Readers who change cadence, leave and come back; editions done, cancelled, old; mail in any end."""
    chance = random.Random(seed)
    with database.transaction() as session:
        past = make_past(session)
        cadences = [Cadence.DAILY, Cadence.WEEKLY]
        live = {name: past.reader(name, chance.choice(cadences)) for name in ("ann", "bek", "eva", "ilya", "oleg")}
        for round_number in range(8):
            at = chance.choice([LONG_AGO, NOON - (9 - round_number) * DAY])
            state = chance.choice([EditionState.DONE, EditionState.DONE, EditionState.CANCELLED])
            edition = past.edition(state, chance.choice(cadences), at)
            for name, reader in list(live.items()):
                if reader.cadence == edition.cadence:
                    chosen = chance.sample(past.articles, chance.randint(1, 3))
                    items = {article_id: chance.randint(1, 2) for article_id in chosen}
                    end = chance.choice([S.ACCEPTED, S.IN_DOUBT, S.EXPIRED, S.EXPIRED, S.FAILED, S.CANCELLED])
                    past.deliver(edition, reader, end, items, resends=chance.choice([0, 0, 1]))
                if chance.random() < 0.2:
                    past.leave(reader)
                    live[name] = past.reader(name, chance.choice(cadences))
        candidates = past.articles[:2]
        past.articles = candidates
        for cadence in cadences:
            found = past.differing(cadence)
            for reader in live.values():
                if reader.cadence != cadence:
                    assert reader.id not in found
                    continue
                history = found.get(reader.id)
                received = {key: each for key, each in history.received.items() if key in candidates} if history else {}
                assert naive(past, reader, candidates) == (received, dict(history.owed) if history else {})


def test_groups_count_the_confirmed_readers_of_one_choice(past):
    stories = intern_filter(past.session, choose(kinds=["story"]))
    for name in ("ann", "bek"):
        past.reader(name)
    past.reader("eva", language="ru")
    past.reader("ilya", filter_id=stories)
    past.reader("daily", Cadence.DAILY)
    past.leave(past.reader("left"))
    past.session.get_one(SubscriptionRow, past.reader("waiting").id).state = "unconfirmed"
    past.session.flush()
    found = audiences.audience_groups(past.session, past.mailing_list.id, Cadence.WEEKLY)

    everything = past.mailing_list.filter_id
    assert [(everything, "en", 2), (everything, "ru", 1), (stories, "en", 1)] == [
        (each.filter_id, each.language, each.reader_count) for each in found
    ]


def test_readers_not_fanned_out_yet_follow_a_changed_variant(past):
    edition = past.edition(EditionState.APPROVED)
    reader = past.reader("ann")
    old, new = (make_variant(past.session, edition.id, (past.articles[0], revision)) for revision in (1, 2))
    everything = past.mailing_list.filter_id
    audiences.save_audience(past.session, edition.id, [(everything, "en", old, "why"), (everything, "ru", new, "why")])
    audiences.save_exceptions(past.session, edition.id, [(reader.id, old)])

    replace_variants(past.session, {old: new}, now=NOON)
    audiences.replace_variants_in_audience(past.session, [old])
    assert [new, new] == list(past.session.scalars(select(AudienceRow.variant_id)))
    assert [new] == list(past.session.scalars(select(AudienceExceptionRow.variant_id)))
    replace_variants(past.session, {new: None}, now=NOON)
    audiences.replace_variants_in_audience(past.session, [new])
    assert [None, None] == list(past.session.scalars(select(AudienceRow.variant_id)))


def test_why_a_reader_gets_an_edition_is_found_by_their_choice(past):
    edition, everything = past.edition(EditionState.APPROVED), past.mailing_list.filter_id
    audiences.save_audience(
        past.session, edition.id, [(everything, "en", None, "you asked"), (everything, "ru", None, "вы просили")]
    )
    key, other = (edition.id, everything, "ru"), (edition.id, everything, "ky")

    assert {key: "вы просили"} == audiences.load_whys(past.session, [key, key, other])
