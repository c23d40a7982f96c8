"""Subscriptions: what a reader chose of a list, and what may become of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from newsletter.domain.filters import Filter
from newsletter.domain.lists import Cadence, MailingList

CONFIRMATION_LIFETIME = timedelta(days=7)
"""How long a sign-up waits for its confirmation; after it, nothing of it is kept."""

CONFIRMATION_LIMITS = ((timedelta(days=1), 1), (timedelta(days=30), 3))
"""At most so many confirmation mails to one address in each span, over all lists.

Sign-up forms are used to flood people: in 2016 one victim got 81,000 confirmations.
"""

UNDO_WINDOW = timedelta(hours=1)
"""How long the page that a reader left by can bring them back; whoever was forwarded the mail has the same link."""


class SubscriptionState(StrEnum):
    """A subscription is asked for, confirmed, and ended with a reason; an ended one never revives."""

    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    ENDED = "ended"


class EndReason(StrEnum):
    """Why a subscription ended."""

    UNSUBSCRIBED = "unsubscribed"
    CHANGED = "changed"  # another one took its place: cadence, language or filter were chosen anew
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    NEVER_CONFIRMED = "never_confirmed"
    REMOVED = "removed"  # by staff
    ERASED = "erased"


LEAVING = frozenset(EndReason) - {EndReason.CHANGED, EndReason.NEVER_CONFIRMED}
"""Ends after which only the person's own sign-up starts a subscription again, never an import."""


class ConsentAct(StrEnum):
    """What a person, or staff on their behalf, did about a subscription."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    IMPORTED = "imported"
    CHANGED = "changed"
    ENDED = "ended"
    PAUSED = "paused"
    RESUMED = "resumed"
    MOVED = "moved"  # to another address of the same person
    UNDONE = "undone"  # took back the end a moment later


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A person's address, as they wrote it, and language; once erased the address is empty, its keyed hash stays."""

    id: int
    uid: str
    address: str
    address_hmac: str
    language: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What a reader asks of a list: how often, in which language, and which articles."""

    cadence: Cadence
    language: str
    filter_id: int


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which a reader wants no mail; *catches_up*: what they missed comes with the next edition after it.

    *resumed_at* is None until it is over, by its time or by its reader.
    """

    since: datetime
    until: datetime
    catches_up: bool
    resumed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscriber's choice of one list; *uid* is what tokens name. *pause*: the last one, over or not."""

    id: int
    uid: str
    subscriber_id: int
    list_id: int
    cadence: Cadence
    language: str
    filter_id: int
    state: SubscriptionState
    created_at: datetime
    confirmed_at: datetime | None
    ended_at: datetime | None
    end_reason: EndReason | None
    pause: "Pause | None" = None

    @property
    def choice(self) -> Choice:
        """What was chosen, to be compared with another choice."""
        return Choice(self.cadence, self.language, self.filter_id)


@dataclass(frozen=True, slots=True)
class Seen:
    """A page where somebody did something: its address without a token, its language, what is kept of the network."""

    page: str
    language: str
    network: str = ""

    def __str__(self) -> str:
        where = f"{self.page} in {self.language}"
        return f"{where}, network {self.network}" if self.network else where


Evidence = str | Seen
"""Where something happened: on a page, or in words: an import, a mail, staff."""


@dataclass(frozen=True, slots=True)
class Consent:
    """One line of the record of consent: *basis* is the wording shown or stated, *evidence* where it happened."""

    at: datetime
    act: ConsentAct
    basis: str
    evidence: Evidence = ""

    @property
    def wording(self) -> str:
        """The version of the words: the same for the same words in the same language, and for no others."""
        language = self.evidence.language if isinstance(self.evidence, Seen) else ""
        return hashlib.sha256(f"{language}\n{self.basis}".encode()).hexdigest()[:16]


class SignUp(StrEnum):
    """What a sign-up does to a reader's standing on a list; the page says the same in every case."""

    START = "start"
    RENEW = "renew"  # the latest choice takes the place of one that waits
    REMIND = "remind"  # nothing changes; a mail leads to the page that says so
    NOTHING = "nothing"


def may_mail_confirmation(mailed_at: Sequence[datetime], now: datetime) -> bool:
    """Say whether an address that got confirmation mails at those times may get another one *now*."""
    return all(sum(at > now - span for at in mailed_at) < limit for span, limit in CONFIRMATION_LIMITS)


def decide_sign_up(live: Subscription | None, choice: Choice, *, may_mail: bool) -> SignUp:
    """
    Say what a sign-up with *choice* does where *live* is the subscription that is not ended, if there is one.

    Without a mail nothing that waits is renewed, so that a flood of sign-ups writes nothing either. A confirmed
    subscription is never changed by a form that anybody may fill in with anybody's address.
    """
    if live is None:
        return SignUp.START
    if not may_mail:
        return SignUp.NOTHING
    if live.state is SubscriptionState.UNCONFIRMED and live.choice != choice:
        return SignUp.RENEW
    return SignUp.REMIND


LONGEST_PAUSE = timedelta(days=366)

PAUSED = "paused"
"""Why a paused reader got no delivery, or lost one that waited to be sent."""


def is_paused(subscription: Subscription) -> bool:
    """Say whether a reader wants no mail for now; the tick ends pauses whose time has come."""
    return subscription.pause is not None and subscription.pause.resumed_at is None


class Confirmation(StrEnum):
    """What a confirmation link does when its button is pressed."""

    CONFIRM = "confirm"
    ALREADY = "already"
    EXPIRED = "expired"
    ENDED = "ended"


def decide_confirmation(mailed: Subscription, live: Subscription | None, now: datetime) -> Confirmation:
    """
    Say what the link mailed for *mailed* does, where *live* is the reader's subscription to that list today.

    A link confirms what took its subscription's place by a later sign-up, but nothing begun after the reader left.
    """
    if live is not None and live.state is SubscriptionState.CONFIRMED:
        return Confirmation.ALREADY
    if live is None or (mailed.id != live.id and mailed.end_reason is not EndReason.CHANGED):
        lapsed = mailed.end_reason is EndReason.NEVER_CONFIRMED
        return Confirmation.EXPIRED if lapsed else Confirmation.ENDED
    return Confirmation.CONFIRM if now < live.created_at + CONFIRMATION_LIFETIME else Confirmation.EXPIRED


def may_undo(last: Subscription, now: datetime) -> bool:
    """Say whether the reader's latest subscription of a list, ended just now by themselves, may be taken up again."""
    return last.end_reason is EndReason.UNSUBSCRIBED and last.ended_at is not None and now < last.ended_at + UNDO_WINDOW


def fit_cadence(wanted: Cadence | None, mailing_list: MailingList) -> Cadence | None:
    """Return the cadence to use: the one wanted where the list has it, its first one for no wish, else None."""
    if wanted is None:
        return mailing_list.cadences[0]
    return wanted if wanted in mailing_list.cadences else None


def fit_language(wanted: str | None, mailing_list: MailingList) -> str:
    """Return the language of the list to write in: the one wanted where the list has it, else its default."""
    return wanted if wanted in mailing_list.languages else mailing_list.default_language


def fit_filter(wanted: Filter, carried: Filter, ancestors: Mapping[int, Sequence[int]]) -> Filter:
    """
    Return *wanted* without what a list that carries only *carried* never has, so that one form can serve many lists.

    A facet of which nothing is left chooses everything the list carries. *ancestors* as for `filters.matches`.
    """
    topics = [topic for topic in wanted.topics if _may_meet(topic, carried.topics, ancestors)]
    return replace(
        wanted,
        topics=tuple(topics),
        kinds=tuple(kind for kind in wanted.kinds if not carried.kinds or kind in carried.kinds),
        sources=tuple(source for source in wanted.sources if not carried.sources or source in carried.sources),
        languages=tuple(code for code in wanted.languages if not carried.languages or code in carried.languages),
    )


def left_out(wanted: Filter, fitted: Filter) -> list[str]:
    """Return the names of the facets of which `fit_filter` left nothing, so that the choice would match nothing."""
    return [
        facet
        for facet in ("topics", "kinds", "sources", "languages")
        if getattr(wanted, facet) and not getattr(fitted, facet)
    ]


def _may_meet(topic: int, carried: Sequence[int], ancestors: Mapping[int, Sequence[int]]) -> bool:
    """Say whether an article about *topic*, or about what lies under it, can be among those of the topics *carried*."""
    if not carried or topic in carried:
        return True
    above = set(ancestors.get(topic, ()))
    return any(each in above or topic in ancestors.get(each, ()) for each in carried)
