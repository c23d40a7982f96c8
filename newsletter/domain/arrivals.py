"""Arrivals: what a draft makes of an article: a new one, a better one, another revision, or none."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from newsletter.domain.article_edits import judged
from newsletter.domain.articles import ArticleRecord, ArticleState, Translation
from newsletter.domain.drafts import Draft, DraftText
from newsletter.domain.prose import fold, summarise, text_of
from newsletter.domain.stories import Likeness, Telling, has_changed_much, marks


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
