"""Drafts: what came in from outside, and what it makes of an article: a new one, a better one, or none."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from newsletter.domain.articles import ArticleRecord, ArticleState, Event, Kind, TopicMark, TopicOrigin, Translation
from newsletter.domain.prose import fold, mixed_scripts, normalise, remarks, repeats, summarise, text_of
from newsletter.domain.stories import Likeness, Telling, has_changed_much, marks
from newsletter.domain.topics import Suggestion

FARTHEST_AHEAD = timedelta(days=366)
"""A date further ahead is taken for an error in the source."""
LONGEST_KEY = 300

LACKS_TITLE = "a title"
LACKS_DATE = "a date"
LACKS_BODY = "something to read: a body, a summary or a link"
LACKS_DECISION = "a decision: it is the same story as an article that was withdrawn"


class UnusableError(ValueError):
    """An item cannot become an article; str() says which field is wrong, and how it must be."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One block of a body: sanitised HTML and its words."""

    html: str
    text: str


@dataclass(frozen=True, slots=True)
class DraftText:
    """What came in one language; empty where the source said nothing."""

    language: str
    title: str = ""
    paragraphs: tuple[Paragraph, ...] = ()
    summary: str = ""
    url: str | None = None
    image_alt: str = ""
    image_credit: str = ""

    @property
    def body_html(self) -> str:
        """The body's HTML."""
        return "\n".join(paragraph.html for paragraph in self.paragraphs)

    @property
    def body_text(self) -> str:
        """The body's words."""
        return " ".join(paragraph.text for paragraph in self.paragraphs if paragraph.text)


@dataclass(frozen=True, slots=True)
class Draft:
    """One item as a reader of files gives it: already normalised and sanitised, not yet judged.

    *texts* holds at least one language, the article's own first. *published* is a date where the source gave a day
    only, else an aware datetime; *updated* is when the source last called it changed. *external_id* and
    *translation_of* are ids of the source's own. *topics* are slugs or labels as the source wrote them.
    """

    kind: Kind
    texts: tuple[DraftText, ...]
    published: date | datetime | None = None
    updated: datetime | None = None
    embargo_until: datetime | None = None
    external_id: str | None = None
    source: str | None = None
    topics: tuple[str, ...] = ()
    image_url: str | None = None
    image_width: int | None = None
    image_height: int | None = None
    event: Event | None = None
    translation_of: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def own(self) -> DraftText:
        """The text in the article's own language."""
        return self.texts[0]

    @property
    def has_body(self) -> bool:
        """Whether there is a body in any language."""
        return any(text.paragraphs for text in self.texts)

    def published_at(self, zone: ZoneInfo) -> datetime | None:
        """Return the publication time in UTC."""
        return instant(self.published, zone)


def instant(published: date | datetime | None, zone: ZoneInfo) -> datetime | None:
    """Return a time in UTC; a day without a time is that day's midnight in *zone*."""
    if published is None or isinstance(published, datetime):
        return published
    return datetime.combine(published, time(), zone).astimezone(UTC)


def tidy(draft: Draft) -> Draft:
    """Drop paragraphs that repeat an earlier one, and note what an editor should look at. Words stay as they are."""
    texts, warnings = [], list(draft.warnings)
    for text in draft.texts:
        repeated = repeats([paragraph.text for paragraph in text.paragraphs])
        kept = tuple(each for position, each in enumerate(text.paragraphs) if position not in repeated)
        where = f" ({text.language})" if len(draft.texts) > 1 else ""
        if repeated:
            warnings.append(f"dropped {len(repeated)} repeated paragraph{'s'[: len(repeated) > 1]}{where}")
        told = [paragraph.text for paragraph in kept]
        if strays := mixed_scripts(" ".join([text.title, text.summary, *told])):
            warnings.append(f"letters of another alphabet{where}: {'; '.join(strays[:10])}")
        warnings += [f"{remark}{where}" for remark in remarks(told)]
        texts.append(replace(text, paragraphs=kept))
    return replace(draft, texts=tuple(texts), warnings=tuple(warnings))


def refusal(draft: Draft) -> str | None:
    """Return why *draft* cannot become an article at all; None: it can."""
    if any(text.title or text.paragraphs for text in draft.texts):
        return None
    return "it has neither a title nor a body; nothing could be shown"


def item_key(draft: Draft) -> str:
    """Return the name under which a source gives this item again: its id, else its address, else what it is.

    Without either, it is named by kind, language, date and title, so that a changed body is a change of the same
    item; a teaser and its article differ in having a body. Without a title, the body's beginning stands for it.
    """
    if draft.external_id:
        return id_key(draft.external_id)
    if draft.own.url:
        return url_key(draft.own.url)
    return content_key(draft)


def id_key(external_id: str) -> str:
    """Return the key of an item that has an id."""
    return _bounded("id:" + external_id)


def url_key(url: str) -> str:
    """Return the key of an item that has a page; http and https, with or without a last slash, are the same page."""
    return _bounded("url:" + url.partition("://")[2].rstrip("/"))


def content_key(draft: Draft) -> str:
    """Return a key from what identifies an item to a reader."""
    name = fold(draft.own.title) or " ".join(fold(draft.own.body_text).split()[:30])
    when = draft.published.isoformat() if draft.published else ""
    parts = [draft.kind, draft.own.language, when, name, "body" if draft.has_body else "teaser"]
    return "text:" + hashlib.sha256("\n".join(parts).encode()).hexdigest()


def alias_keys(draft: Draft) -> set[str]:
    """Return other names by which the same item may come again: its page, and what stays of both when sites move.

    Sites change http to https, their host, or how they make ids. These names only say where to look;
    `is_same_item` decides.
    """
    names = set()
    if draft.own.url:
        names.add(url_key(draft.own.url))
        parts = urlsplit(draft.own.url)
        path = f"{parts.path.rstrip('/')}{'?' if parts.query else ''}{parts.query}"
        if path:
            names.add(_bounded("path:" + path))
    if draft.external_id and draft.external_id.startswith(("http://", "https://")):
        names.add(_bounded("page:" + draft.external_id.partition("://")[2].rstrip("/")))
    return names - {item_key(draft)}


def is_same_item(record: ArticleRecord, draft: Draft, *, zone: ZoneInfo) -> bool:
    """Say whether *draft*, which comes under a new name, is the item that *record* was made of, come again.

    Its title is the same, or it was published at the same time of the same day: a day alone is shared by many.
    """
    title = fold(draft.own.title)
    if title and title == fold(record.title):
        return True
    return isinstance(draft.published, datetime) and draft.published_at(zone) == record.published_at


def distinct_keys(drafts: Sequence[Draft]) -> list[str]:
    """Return a key for each of the items of one document; only items that are equal share one.

    Items with one id or title are told apart by their pages, else by what they are, else by all that they say.
    """
    keys = _told_apart([item_key(draft) for draft in drafts], drafts, _what_it_is)
    return _told_apart(keys, drafts, digest)


def _told_apart(keys: Sequence[str], drafts: Sequence[Draft], by: Callable[[Draft], str]) -> list[str]:
    """Add what *by* says of an item to a key that stands for items of which it says different things."""
    said = [by(draft) for draft in drafts]
    meanings: dict[str, set[str]] = {}
    for key, what in zip(keys, said, strict=True):
        meanings.setdefault(key, set()).add(what)
    return [
        _bounded(f"{key}#{what[:16]}") if len(meanings[key]) > 1 else key for key, what in zip(keys, said, strict=True)
    ]


def digest(draft: Draft) -> str:
    """Return a SHA-256 of all that came, in hex: equal for the same item, whatever order its fields had."""
    values = asdict(replace(draft, warnings=()))
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def tellings(draft: Draft, zone: ZoneInfo) -> dict[str, Telling]:
    """Return what is compared of a draft, by language."""
    published_at = draft.published_at(zone)
    return {text.language: Telling(draft.kind, text.title, text.body_text, published_at) for text in draft.texts}


def tellings_of(record: ArticleRecord) -> dict[str, Telling]:
    """Return what is compared of an article, by language."""
    return {
        language: Telling(record.kind, text.title, text_of(text.body_html), record.published_at)
        for language, text in record.translations.items()
    }


def marks_of(told: Mapping[str, Telling]) -> frozenset[int]:
    """Return the marks of all languages of what an article tells."""
    return frozenset().union(*(marks(language, each.title, each.body) for language, each in told.items()))


def admit(
    draft: Draft, *, uid: str, source: str, zone: ZoneInfo, now: datetime, is_archive: bool = False
) -> ArticleRecord:
    """Make a new article of *draft*: published where nothing is lacking, else held as a draft."""
    record = ArticleRecord(
        id=0,
        uid=uid,
        kind=draft.kind,
        state=ArticleState.DRAFT,
        source=source,
        default_language=draft.own.language,
        translations={text.language: _translation(text) for text in draft.texts},
        received_at=now,
        updated_at=now,
        modified_at=now,
        published_at=draft.published_at(zone),
        embargo_until=draft.embargo_until,
        image_url=draft.image_url,
        image_width=draft.image_width,
        image_height=draft.image_height,
        event=draft.event,
        is_archive=is_archive,
    )
    return _settled(record, record, now=now)


def update(
    record: ArticleRecord, draft: Draft, *, zone: ZoneInfo, now: datetime, is_partial: bool = False
) -> ArticleRecord:
    """Return *record* as the same item, come again, has it now; equal to *record* where nothing changed.

    What the item no longer says stays as it was: an update never empties. The date of what is public never changes;
    a withdrawn article stays withdrawn. Without a body it is a teaser, unless *is_partial*: then it says what changes.
    """
    if record.own_translation.body_html and not draft.has_body and not is_partial:
        return merge(record, draft, Likeness.TEASER, zone=zone, now=now)
    changed = replace(
        record,
        kind=draft.kind,
        translations=record.translations
        | {text.language: _translation(text, record.translations.get(text.language)) for text in draft.texts},
        published_at=record.published_at if record.is_public(now) else draft.published_at(zone) or record.published_at,
        embargo_until=draft.embargo_until or record.embargo_until,
        event=draft.event or record.event,
    )
    if draft.image_url:
        changed = replace(
            changed, image_url=draft.image_url, image_width=draft.image_width, image_height=draft.image_height
        )
    return _settled(record, changed, now=now)


_CORRECTED = (
    "correction", "corrected", "update", "updated",
    "исправлено", "исправление", "обновлено", "обновление", "уточнение",
    "оңдолду", "оңдоо", "жаңыртылды", "такталды",
)  # fmt: skip
"""First words of a title or a body by which newsrooms say that readers should look again."""


def is_significant(record: ArticleRecord, draft: Draft, *, before: datetime | None, now: datetime) -> bool:
    """Say whether readers should hear again of the public article *record*, now that its source says *draft*.

    Where its first words call it corrected or updated and did not before; or where its source calls it updated later
    than at *before*, and much of it, or a figure in it, did change. A site that stamps every save says nothing by it,
    and without such a stamp an edit is an edit.
    """
    if not record.is_public(now):
        return False
    own = draft.own
    there = tellings_of(record).get(own.language)
    told = Telling(draft.kind, own.title or record.title, own.body_text, record.published_at)
    if there is None or not told.body:
        return False
    if _says_corrected(told) and not _says_corrected(there):
        return True
    is_stamped = draft.updated is not None and before is not None and draft.updated > before
    return is_stamped and bool(there.body) and has_changed_much(there, told)


def _says_corrected(told: Telling) -> bool:
    return any(fold(text).split()[:1] and fold(text).split()[0] in _CORRECTED for text in (told.title, told.body))


def revised(record: ArticleRecord, *, now: datetime) -> ArticleRecord:
    """Return *record* as a new revision, of which readers hear again."""
    return replace(record, revision=record.revision + 1, updated_at=now, modified_at=now)


def merge(record: ArticleRecord, draft: Draft, likeness: Likeness, *, zone: ZoneInfo, now: datetime) -> ArticleRecord:
    """Return *record* with what another telling of the same story adds; equal to *record* where it adds nothing.

    The first title stays. The body is the one that there is, else the longer. The date is that of the telling with
    the body, unless readers have seen another already.
    """
    translations = dict(record.translations)
    brings_body = False
    for text in draft.texts:
        old = translations.get(text.language)
        if old is None:
            translations[text.language] = _translation(text)
            continue
        is_fuller = len(text.body_text) > len(text_of(old.body_html)) * (1 if likeness is Likeness.EDITED else 1.05)
        brings_body = brings_body or (is_fuller and not old.body_html)
        better = _translation(text, old) if is_fuller else old
        translations[text.language] = replace(
            better,
            title=old.title or text.title,
            summary=better.summary or text.summary,
            url=old.url or text.url,
            image_alt=old.image_alt or text.image_alt,
            image_credit=old.image_credit or text.image_credit,
        )
    published_at = draft.published_at(zone)
    keeps_date = record.is_public(now) or (record.published_at is not None and not brings_body)
    changed = replace(
        record,
        translations=translations,
        published_at=record.published_at if keeps_date else published_at or record.published_at,
        embargo_until=record.embargo_until or draft.embargo_until,
        event=record.event or draft.event,
    )
    if not changed.image_url and draft.image_url:
        changed = replace(
            changed, image_url=draft.image_url, image_width=draft.image_width, image_height=draft.image_height
        )
    return _settled(record, changed, now=now)


def translate(record: ArticleRecord, draft: Draft, *, now: datetime) -> ArticleRecord:
    """Return *record* with *draft*'s texts as translations of it; its other facts stay the article's."""
    translations = record.translations | {
        text.language: _translation(text, record.translations.get(text.language)) for text in draft.texts
    }
    return _settled(record, replace(record, translations=translations), now=now)


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


def _translation(text: DraftText, old: Translation | None = None) -> Translation:
    """Make a translation of what came; where it says nothing, *old* stands."""
    old = old or Translation(text.language, "", "", "")
    title, body_html = text.title or old.title, text.body_html or old.body_html
    summary = text.summary or (old.summary if body_html == old.body_html else "")
    return Translation(
        language=text.language,
        title=title,
        summary=summary or summarise([paragraph.text for paragraph in text.paragraphs], title=title),
        body_html=body_html,
        url=text.url or old.url,
        image_alt=text.image_alt or old.image_alt,
        image_credit=text.image_credit or old.image_credit,
    )


def _settled(record: ArticleRecord, changed: ArticleRecord, *, now: datetime) -> ArticleRecord:
    """Judge *changed* again and stamp it, unless it is no different from *record*.

    Until readers hear of a major change, an article was last updated when it appeared, not when it was imported: an
    import of last year's articles must not look like today's news.
    """
    changed = judged(changed, now=now)
    if changed.state is ArticleState.PUBLISHED and changed.revision == 1 and changed.visible_at:
        changed = replace(changed, updated_at=changed.visible_at)
    return record if changed == record else replace(changed, modified_at=now)


def _what_it_is(draft: Draft) -> str:
    name = draft.own.url or content_key(draft)
    return hashlib.sha256(name.encode()).hexdigest()


def _bounded(key: str) -> str:
    if len(key) <= LONGEST_KEY:
        return key
    return "long:" + hashlib.sha256(key.encode()).hexdigest()
