"""Edits of articles: what staff give, tag, publish and withdraw, and what an article lacks to be published."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from newsletter.domain.articles import ArticleRecord, ArticleState, TopicMark, TopicOrigin
from newsletter.domain.drafts import UnusableError, instant
from newsletter.domain.prose import normalise
from newsletter.domain.topics import Suggestion

FARTHEST_AHEAD = timedelta(days=366)
"""A date further ahead is taken for an error in the source."""
LACKS_TITLE = "a title"
LACKS_DATE = "a date"
LACKS_BODY = "something to read: a body, a summary or a link"
LACKS_DECISION = "a decision: it is the same story as an article that was withdrawn"


@dataclass(frozen=True, slots=True)
class StaffEdit:
    """What a person gives to an article in its own language; None leaves a field as it is."""

    title: str | None = None
    published: date | datetime | None = None
    summary: str | None = None
    url: str | None = None


def edit(record: ArticleRecord, given: StaffEdit, *, zone: ZoneInfo, now: datetime) -> ArticleRecord:
    """Return *record* with what a person gave; the date of what is public never changes.

    Raises:
        ValueError: a new date for an article that readers have seen.
    """
    if given.published is not None and record.is_public(now):
        raise UnusableError("readers have seen this article; its date cannot be changed any more")
    own = record.own_translation
    changed = replace(
        own,
        title=own.title if given.title is None else normalise(given.title),
        summary=own.summary if given.summary is None else normalise(given.summary),
        url=own.url if given.url is None else given.url,
    )
    new = replace(
        record,
        translations=record.translations | {own.language: changed},
        published_at=instant(given.published, zone) or record.published_at,
    )
    return record if new == record else replace(new, modified_at=now)


def judged(record: ArticleRecord, *, now: datetime) -> ArticleRecord:
    """Return *record* published where nothing is lacking any more, else a draft that says what it lacks.

    What is withdrawn stays so, and what was published once is not taken back.
    """
    if record.state is not ArticleState.DRAFT:
        return record
    lacks = lacks_of(record, now=now)
    if LACKS_DECISION in record.lacks:  # only a person takes it
        lacks += (LACKS_DECISION,)
    if lacks:
        return replace(record, lacks=lacks)
    return replace(record, lacks=(), state=ArticleState.PUBLISHED)


def lacks_of(record: ArticleRecord, *, now: datetime) -> tuple[str, ...]:
    """Return what keeps *record* from being published, in words that complete "it lacks ..."."""
    own = record.own_translation
    lacks = [] if own.title else [LACKS_TITLE]
    if not (own.body_html or own.summary or own.url):
        lacks.append(LACKS_BODY)
    if record.published_at is None or record.visible_at is None:
        lacks.append(LACKS_DATE)
    elif record.visible_at - now > FARTHEST_AHEAD:
        lacks.append(f"a date that can be believed: {record.visible_at:%Y-%m-%d} is more than a year ahead")
    return tuple(lacks)


def with_topics(
    record: ArticleRecord, stated: Sequence[int], suggestions: Sequence[Suggestion], *, now: datetime
) -> ArticleRecord:
    """Return *record* about the *stated* topics and those that rules found; what staff added or removed stays."""
    by_staff = {
        mark.topic_id: mark.origin for mark in record.topics if mark.origin in (TopicOrigin.STAFF, TopicOrigin.REMOVED)
    }
    wanted: dict[int, TopicOrigin] = dict.fromkeys(stated, TopicOrigin.STATED)
    for mark in record.topics:
        if mark.topic_id in by_staff:
            wanted.setdefault(mark.topic_id, mark.origin)
    for suggestion in suggestions:
        wanted.setdefault(suggestion.topic_id, TopicOrigin.RULE if suggestion.applies else TopicOrigin.SUGGESTED)
    topics = tuple(TopicMark(topic_id, by_staff.get(topic_id, origin)) for topic_id, origin in wanted.items())
    return record if topics == record.topics else replace(record, topics=topics, modified_at=now)


def retag(record: ArticleRecord, *, add: Sequence[int], remove: Sequence[int], now: datetime) -> ArticleRecord:
    """Return *record* with topics added and removed by staff; repeating it changes nothing."""
    kept = {mark.topic_id: mark.origin for mark in record.topics}
    for topic_id in add:
        if kept.get(topic_id) not in (TopicOrigin.STATED, TopicOrigin.RULE):
            kept[topic_id] = TopicOrigin.STAFF
    for topic_id in remove:
        kept[topic_id] = TopicOrigin.REMOVED
    topics = tuple(TopicMark(topic_id, origin) for topic_id, origin in kept.items())
    return record if topics == record.topics else replace(record, topics=topics, modified_at=now)


def withdraw(record: ArticleRecord, reason: str, *, now: datetime) -> ArticleRecord:
    """Return *record* withdrawn; one that is withdrawn already keeps its first time and reason."""
    if record.state is ArticleState.WITHDRAWN:
        return record
    return replace(record, state=ArticleState.WITHDRAWN, withdrawn_at=now, withdrawal_reason=reason, modified_at=now)


def revised(record: ArticleRecord, *, now: datetime) -> ArticleRecord:
    """Return *record* as a new revision, of which readers hear again."""
    return replace(record, revision=record.revision + 1, updated_at=now, modified_at=now)


def publish(record: ArticleRecord, *, major: bool, now: datetime) -> ArticleRecord:
    """Return *record* published; where it lacks something still, only *lacks* is changed, to say what.

    Without a date it is published now. A withdrawn article comes back. *major*: readers of an article already out
    should hear of it again, as a new revision; otherwise what is published already stays as it is.
    """
    record = replace(record, published_at=record.published_at or now)
    if lacks := lacks_of(record, now=now):
        return replace(record, lacks=lacks)
    if record.state is ArticleState.PUBLISHED:
        if not major:
            return record
        return revised(record, now=now)
    return replace(
        record,
        state=ArticleState.PUBLISHED,
        lacks=(),
        withdrawn_at=None,
        withdrawal_reason=None,
        revision=record.revision + major,
        updated_at=now,
        modified_at=now,
    )
