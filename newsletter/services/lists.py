"""Lists: made by staff, checked as a whole before anything is stored, shown with their readers in counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from functools import cache
from pathlib import Path
from zoneinfo import available_timezones

from newsletter.config import Settings
from newsletter.domain.canaries import parse_canary
from newsletter.domain.lists import (
    LAST_MONTH_DAY,
    Cadence,
    InDoubtPolicy,
    MailingList,
    Schedule,
    SectionsBy,
    check_slug,
    check_words,
)
from newsletter.domain.subscriptions import SubscriptionState
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.mail.addresses import parse_sender
from newsletter.rendering.languages import available_languages
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.services.filters import EVERY_ARTICLE, NamedFilter, load_names
from newsletter.storage import lists as storage
from newsletter.storage.subscriptions import SubscriptionCount, count_subscriptions

LONGEST_DESCRIPTION = 2000
MOST_PERCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDraft:
    """A list as staff ask for it; what is left empty comes from the settings.

    *titles*, *descriptions* and *intros* are by language. *filter* narrows the list to some articles. *since*: articles
    that were visible before it are archive, not news; None: now.
    """

    slug: str
    titles: Mapping[str, str]
    descriptions: Mapping[str, str] = field(default_factory=dict)
    intros: Mapping[str, str] = field(default_factory=dict)
    from_name: str = ""
    from_address: str = ""
    reply_to: str = ""
    cadences: Sequence[Cadence] = (Cadence.WEEKLY,)
    zone: str = ""
    send_at: time = time(8)
    weekday: int = 0
    month_day: int = 1
    languages: Sequence[str] = ()
    filter: NamedFilter = EVERY_ARTICLE
    sections: SectionsBy = SectionsBy.TOPIC
    review_minutes: int | None = None
    review_hold: bool = False
    in_doubt_policy: InDoubtPolicy = InDoubtPolicy.HOLD
    since: datetime | None = None
    is_public: bool = True
    canary: str = ""
    canary_limit: float | None = None


@dataclass(frozen=True, slots=True)
class ListFacts:
    """A list with its filter in words and its readers in counts."""

    mailing_list: MailingList
    filter: NamedFilter
    confirmed: int
    unconfirmed: int
    by_cadence: dict[Cadence, int]
    by_language: dict[str, int]


def add_list(app: App, draft: ListDraft) -> MailingList:
    """
    Store the list that *draft* asks for, or nothing of it.

    Raises:
        InvalidError: something in the draft cannot be; the message names it and the remedy.
        ConflictError: a list has that slug already.
    """
    settings = app.settings
    languages = tuple(dict.fromkeys(draft.languages)) or settings.languages
    _check_languages(languages, draft, settings.home)
    schedule = _check_schedule(draft, settings)
    titles = {language: title.strip() for language, title in draft.titles.items() if title.strip()}
    if languages[0] not in titles:
        raise InvalidError(f"list {draft.slug!r} needs a title in its first language, {languages[0]!r}")
    try:
        check_slug(draft.slug)
        check_words(titles, what="title")
        check_words(draft.descriptions, what="description", longest=LONGEST_DESCRIPTION)
        check_words(draft.intros, what="intro", longest=LONGEST_DESCRIPTION)
        check_words({languages[0]: draft.from_name}, what="sender's name")
    except ValueError as error:
        raise InvalidError(str(error)) from error
    from_address = parse_sender(draft.from_address or settings.sender)
    with app.transaction() as tx:
        if storage.load_list(tx.session, draft.slug):
            raise ConflictError(f"there is a list {draft.slug!r} already; choose another slug")
        choice = load_names(tx).find(draft.filter)
        new = MailingList(
            id=0,
            slug=draft.slug,
            titles=titles,
            descriptions=dict(draft.descriptions),
            intros=dict(draft.intros),
            from_name=draft.from_name.strip() or settings.name,
            from_address=from_address,
            reply_to=parse_sender(draft.reply_to) if draft.reply_to else None,
            schedule=schedule,
            cadences=tuple(cadence for cadence in Cadence if cadence in draft.cadences),
            languages=languages,
            filter_id=storage.intern_filter(tx.session, choice),
            sections=draft.sections,
            review_minutes=draft.review_minutes,
            review_hold=draft.review_hold,
            canary=_checked_canary(draft.canary, draft.canary_limit),
            canary_limit=draft.canary_limit,
            in_doubt_policy=draft.in_doubt_policy,
            since=draft.since or tx.now,
            is_public=draft.is_public,
        )
        record_act(tx, "added", f"list {new.slug}")
        return storage.add_list(tx.session, new, now=tx.now)


def set_canary(app: App, slug: str, *, canary: str, limit_percent: float | None) -> None:
    """Say how many mails of a list's editions go first, from the next one that is sent: `100`, `1%` or `none`.

    Raises:
        NotFoundError: there is no such list.
        InvalidError: it is no canary, or the limit no percentage.
    """
    told = _checked_canary(canary, limit_percent)
    with app.transaction() as tx:
        storage.set_canary(tx.session, find_list(tx, slug).id, canary=told, limit_percent=limit_percent)
        record_act(tx, "set the canary of", f"list {slug}", canary=told, limit_percent=limit_percent)


def _checked_canary(canary: str, limit_percent: float | None) -> str | None:
    if limit_percent is not None and not 0 <= limit_percent <= MOST_PERCENT:
        raise InvalidError(f"{limit_percent:g} is no percentage of mails that may fail; write one from 0 to 100")
    try:
        parsed = parse_canary(canary) if canary else None
    except ValueError as error:
        raise InvalidError(str(error)) from error
    return str(parsed) if parsed else None


def find_list(tx: Transaction, slug: str) -> MailingList:
    """
    Return the list with that slug.

    Raises:
        NotFoundError: there is none; the message names those there are.
    """
    found = storage.load_list(tx.session, slug)
    if found is None:
        known = ", ".join(each.slug for each in storage.load_lists(tx.session))
        raise NotFoundError(
            f"there is no list {slug!r}; there is {known or 'none yet, add one with `newsletter lists add`'}"
        )
    return found


def show_list(app: App, slug: str) -> ListFacts:
    """
    Return a list with its readers in counts.

    Raises:
        NotFoundError: there is no such list.
    """
    with app.reading() as tx:
        return _gather_facts(tx, [find_list(tx, slug)])[0]


def list_lists(app: App) -> list[ListFacts]:
    """Return all lists with their readers in counts, in order of slug."""
    with app.reading() as tx:
        return _gather_facts(tx, storage.load_lists(tx.session))


def _check_languages(languages: Sequence[str], draft: ListDraft, home: Path) -> None:
    known = available_languages(home)
    if unknown := [language for language in languages if language not in known]:
        raise InvalidError(
            f"no messages for the language {', '.join(map(repr, unknown))}: choose among {', '.join(known)}, "
            "or add a catalogue"
        )
    for words in (draft.titles, draft.descriptions, draft.intros):
        if foreign := [language for language in words if language not in languages]:
            raise InvalidError(
                f"words in {', '.join(map(repr, foreign))}, but the list's languages are {', '.join(languages)}; "
                "add the language or leave out the words"
            )


def _check_schedule(draft: ListDraft, settings: Settings) -> Schedule:
    zone = draft.zone or settings.zone
    if zone not in _zones():
        raise InvalidError(f"{zone!r} is no time zone; use a name such as Asia/Bishkek")
    if not draft.cadences:
        raise InvalidError(f"list {draft.slug!r} needs at least one cadence: {', '.join(Cadence)}")
    if draft.weekday not in range(7):
        raise InvalidError(f"weekday {draft.weekday} does not exist; Monday is 0, Sunday is 6")
    if not 1 <= draft.month_day <= LAST_MONTH_DAY:
        raise InvalidError(f"day of the month {draft.month_day} does not exist; 1 to 31, 31 means the last day")
    if draft.review_hold and draft.review_minutes is None:
        raise InvalidError("a list holds its editions only where it asks for a review; give --review too")
    if draft.review_minutes is not None and draft.review_minutes < 1:
        raise InvalidError(f"a review of {draft.review_minutes} minutes is none; leave it out, or give at least 1")
    return Schedule(zone=zone, send_at=draft.send_at, weekday=draft.weekday, month_day=draft.month_day)


@cache
def _zones() -> frozenset[str]:
    """Return the names of all time zones, read from their hundreds of files once."""
    return frozenset(available_timezones())


def _gather_facts(tx: Transaction, mailing_lists: Sequence[MailingList]) -> list[ListFacts]:
    names = load_names(tx)
    filters = storage.load_filters(tx.session, (each.filter_id for each in mailing_lists))
    counts = count_subscriptions(tx.session)
    return [
        _facts(each, names.name(filters[each.filter_id]), [c for c in counts if c.list_id == each.id])
        for each in mailing_lists
    ]


def _facts(mailing_list: MailingList, named: NamedFilter, counts: Iterable[SubscriptionCount]) -> ListFacts:
    by_state = dict.fromkeys(SubscriptionState, 0)
    by_cadence = dict.fromkeys(mailing_list.cadences, 0)
    by_language = dict.fromkeys(mailing_list.languages, 0)
    for each in counts:
        by_state[each.state] += each.count
        if each.state is SubscriptionState.CONFIRMED:
            by_cadence[each.cadence] = by_cadence.get(each.cadence, 0) + each.count
            by_language[each.language] = by_language.get(each.language, 0) + each.count
    return ListFacts(
        mailing_list,
        named,
        confirmed=by_state[SubscriptionState.CONFIRMED],
        unconfirmed=by_state[SubscriptionState.UNCONFIRMED],
        by_cadence=by_cadence,
        by_language=by_language,
    )
