"""Imports: files of articles, item by item; a bad item never stops the rest, and repeating one changes nothing."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from newsletter.domain.arrivals import (
    admit,
    is_significant,
    marks_of,
    merge,
    tellings,
    tellings_of,
    translate,
    update,
)
from newsletter.domain.article_edits import LACKS_DECISION, revised, with_topics
from newsletter.domain.articles import ArticleRecord, ArticleState, Kind, TopicOrigin
from newsletter.domain.drafts import Draft, UnusableError, refusal
from newsletter.domain.item_keys import digest, id_key, is_same_item, url_key
from newsletter.domain.prose import shorten
from newsletter.domain.stories import Likeness, Telling, likeness
from newsletter.errors import InvalidError
from newsletter.ingest.fields import Defaults
from newsletter.ingest.readers import read_document
from newsletter.services.article_changes import announce_changes
from newsletter.services.audit import note_act
from newsletter.services.context import App, Transaction
from newsletter.services.sourced_items import SourcedItem, give_keys, source_slug
from newsletter.services.topics import TopicFinder
from newsletter.storage import articles as storage
from newsletter.storage.topics import load_topics

log = structlog.get_logger()

IMPORT_CHUNK = 100
"""Items in one transaction: nobody waits long for it, and a commit costs more than a few items."""
FILES_NAMED = 20
"""Of one import, in the record of who did what."""
ARTICLE_NAMESPACE = uuid.UUID("4f0ad3f1-6a37-5ad4-9a3e-9d0c3b1d8a52")
"""Of article uids, made of source and key: the same import gives the same addresses on every machine."""


class ImportResult(StrEnum):
    """What became of one item."""

    NEW = "new"
    UPDATED = "updated"
    SAME = "same"
    MERGED = "merged"  # it is the same story as an article that is there already
    HELD = "held"  # a draft, until it has what it lacks
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What became of the item at *position* of *file*, counted from 1.

    *lacks*: what keeps its article from being published. *warnings*: what a person should look at. *reason*: why it was
    refused, or with which article it was merged. *article_uid* is None exactly for what was refused. *is_significant*:
    readers of an article that is out hear of it again.
    """

    file: str
    position: int
    title: str
    result: ImportResult
    article_uid: str | None = None
    lacks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    reason: str | None = None
    is_significant: bool = False


def import_files(
    app: App,
    paths: Sequence[Path],
    *,
    source: str | None = None,
    language: str | None = None,
    kind: Kind | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[ImportOutcome]:
    """Import each of *paths*; see `import_document`. All are read before anything is stored.

    *on_progress* is told how many items are stored, of how many.

    Raises:
        InvalidError: one of them cannot be read; nothing was stored then.
    """
    documents = []
    for path in paths:
        try:
            documents.append((path.name, path.read_bytes()))
        except OSError as error:
            raise InvalidError(f"{path}: cannot be read: {error.strerror or error}") from error
    defaults = _defaults(app, source, language, kind)
    read = [_read(name, content, defaults) for name, content in documents]
    outcomes = import_items(app, [item for items in read for item in items], on_progress)
    _record(app, [name for name, _ in documents], outcomes)
    return outcomes


def _record(app: App, names: Sequence[str], outcomes: Sequence[ImportOutcome]) -> None:
    """Put on record who imported which files, and what became of their items."""
    counts = Counter(outcome.result.value for outcome in outcomes)
    files = list(names[:FILES_NAMED])
    note_act(app, "imported", "articles", files=files, file_count=len(names), counts=dict(counts))


def import_articles(
    app: App, path: Path, *, source: str | None = None, language: str | None = None, kind: Kind | None = None
) -> list[ImportOutcome]:
    """Import the file at *path*; see `import_document`."""
    return import_files(app, [path], source=source, language=language, kind=kind)


def import_document(
    app: App,
    name: str,
    content: bytes,
    *,
    source: str | None = None,
    language: str | None = None,
    kind: Kind | None = None,
) -> list[ImportOutcome]:
    """Import the items of a file, whose format is told by its *name*; return what became of each, in its order.

    *source* wins over what items say of it; *language* and *kind* hold for items that say nothing. What lacks
    nothing is published, and shows when its time has come; the rest is held. Repeating it changes nothing. Rings
    `ARTICLE_CHANGED` for each article that readers could see change.

    Raises:
        InvalidError: the file cannot be read; or neither it nor *source* says where it comes from.
    """
    return import_items(app, _read(name, content, _defaults(app, source, language, kind)))


def _defaults(app: App, source: str | None, language: str | None, kind: Kind | None) -> Defaults:
    settings = app.settings
    return Defaults(settings.zone_info, language or settings.default_language, kind or Kind.STORY, source)


def _read(name: str, content: bytes, defaults: Defaults) -> list[SourcedItem]:
    """Read a file and give each item its source and key, before anything is stored."""
    return give_keys(name, read_document(name, content, defaults))


def import_items(
    app: App, items: Sequence[SourcedItem], on_progress: Callable[[int, int], None] | None = None
) -> list[ImportOutcome]:
    """Store items, those with a body first, so that a teaser finds its article; then translations of others.

    Outcomes are in the order of *items*.
    """
    outcomes: dict[int, ImportOutcome] = {}
    order = sorted(range(len(items)), key=lambda place: _turn(items[place].item.draft))
    present = frozenset(each.key for each in items)
    for start in range(0, len(order), IMPORT_CHUNK):
        places = order[start : start + IMPORT_CHUNK]
        with app.transaction() as tx:
            importer = _Importer(tx, TopicFinder(load_topics(tx.session)), present)
            importer.lock_sources(items[place].source for place in places)
            for place in places:
                outcomes[place] = importer.take(items[place])
            announce_changes(tx, sorted(importer.changed))
        if on_progress:
            on_progress(len(outcomes), len(items))
    return [outcomes[place] for place in sorted(outcomes)]


def _turn(draft: Draft | None) -> int:
    if draft is None:
        return 0
    return 2 if draft.translation_of else 0 if draft.has_body else 1


@dataclass(slots=True)
class _Importer:
    """Takes items in one transaction; what all of them need is loaded once."""

    tx: Transaction
    topics: TopicFinder
    present: frozenset[str] = frozenset()
    """Keys of all the items that came together."""
    sources: dict[str, storage.Source] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)

    def lock_sources(self, names: Iterable[str]) -> None:
        """Lock the sources of the items to come, in the order of all imports: none waits for another in a circle."""
        for name in sorted({*names} - {""}, key=source_slug):
            self.sources[name] = storage.lock_source(self.tx.session, source_slug(name), name, now=self.tx.now)

    def take(self, sourced: SourcedItem) -> ImportOutcome:
        """Store one item by itself: what goes wrong with it undoes nothing else."""
        item, draft = sourced.item, sourced.item.draft
        if draft is None:
            return self._outcome(sourced, ImportResult.REFUSED, reason=item.refusal)
        if not sourced.is_partial and (why := refusal(draft)):
            return self._outcome(sourced, ImportResult.REFUSED, reason=why)
        source = self.sources[sourced.source]
        try:
            with self.tx.session.begin_nested():
                return self._store(sourced, source, draft)
        except UnusableError as error:
            return self._outcome(sourced, ImportResult.REFUSED, reason=str(error))
        except Exception as error:  # one bad item must not stop the rest, whatever is wrong with it
            log.exception("article_import_failed", file=sourced.file, position=item.position)
            reason = f"it could not be stored ({type(error).__name__}); the log says more"
            return self._outcome(sourced, ImportResult.REFUSED, reason=reason)

    def _store(self, sourced: SourcedItem, source: storage.Source, draft: Draft) -> ImportOutcome:
        came = sourced.digest or digest(draft)
        known = storage.known_item(self.tx.session, source.id, sourced.key)
        if known and known.digest == came:
            record = storage.load_record(self.tx.session, known.article_id)
            return self._outcome(sourced, ImportResult.SAME, record)
        step = self._step(source, sourced, draft, known)
        tagged, warnings = self._with_topics(step, draft)
        saved, result = self._save(step.old, tagged), step.result
        updated_at = draft.updated or (known.updated_at if known else None)
        storage.remember_item(self.tx.session, source.id, sourced.key, saved.id, came, updated_at=updated_at)
        storage.remember_aliases(self.tx.session, source.id, sourced.aliases, saved.id)
        if result is ImportResult.UPDATED and saved == step.old:
            result = ImportResult.SAME
        elif saved.state is ArticleState.DRAFT and result is not ImportResult.MERGED:
            result = ImportResult.HELD
        elif saved.state is ArticleState.WITHDRAWN:
            warnings += ("the article is withdrawn and stays so",)
        is_news = step.old is not None and saved.revision > step.old.revision
        return self._outcome(sourced, result, saved, warnings=warnings, reason=step.reason, is_significant=is_news)

    def _step(
        self, source: storage.Source, sourced: SourcedItem, draft: Draft, known: storage.KnownItem | None
    ) -> "_Step":
        """Decide what becomes of an item that is new, or differs from what came as *known*."""
        if draft.translation_of:
            return self._translation(source, draft)
        known = known or self._known_by_alias(source, sourced, draft)
        if known:
            return self._update(known, sourced, draft)
        told = tellings(draft, self._zone)
        candidates = storage.story_candidates(
            self.tx.session, source.id, marks_of(told), draft.published_at(self._zone)
        )
        matches = [(each, why) for each in candidates if (why := _same_story(told, each))]
        for old, why in matches:
            if old.state is not ArticleState.WITHDRAWN:
                new = merge(old, draft, why, zone=self._zone, now=self.tx.now)
                return _Step(old, new, ImportResult.MERGED, f"{_WHY_MERGED[why]} {_named(old)}")
        uid = str(uuid.uuid5(ARTICLE_NAMESPACE, f"{source.slug}\n{sourced.key}"))
        new = admit(
            draft,
            uid=uid,
            source=source.slug,
            zone=self._zone,
            now=self.tx.now,
            is_archive=sourced.is_archive,
        )
        if matches:
            new = replace(new, state=ArticleState.DRAFT, lacks=(*new.lacks, LACKS_DECISION))
        return _Step(None, new, ImportResult.NEW)

    def _update(self, known: storage.KnownItem, sourced: SourcedItem, draft: Draft) -> "_Step":
        """Take the same item, come again and different: an edit, or an update that readers should hear of."""
        old = storage.load_record(self.tx.session, known.article_id)
        new = update(old, draft, zone=self._zone, now=self.tx.now, is_partial=sourced.is_partial)
        if new == old or old.state is not ArticleState.PUBLISHED:
            return _Step(old, new, ImportResult.UPDATED)
        is_major = sourced.is_major
        if is_major is None:
            is_major = is_significant(old, draft, before=known.updated_at, now=self.tx.now)
        if not is_major:
            return _Step(old, new, ImportResult.UPDATED)
        return _Step(old, revised(new, now=self.tx.now), ImportResult.UPDATED, "a significant update: told again")

    def _known_by_alias(self, source: storage.Source, sourced: SourcedItem, draft: Draft) -> storage.KnownItem | None:
        """Return the item that this one was when it had another id or address; None: it is none that we know."""
        found = storage.known_items(self.tx.session, source.id, sourced.aliases)
        for alias in sorted(found):
            article_id = found[alias].article_id
            if self.present & storage.keys_of(self.tx.session, source.id, article_id):
                continue  # its old name is in this document too: two items that share a page
            if is_same_item(storage.load_record(self.tx.session, article_id), draft, zone=self._zone):
                return found[alias]
        return None

    def _translation(self, source: storage.Source, draft: Draft) -> "_Step":
        """Add *draft* to the article of which it is a translation."""
        named = draft.translation_of or ""
        keys = (id_key(named), url_key(named))
        known = next((hit for key in keys if (hit := storage.known_item(self.tx.session, source.id, key))), None)
        if known is None:
            raise UnusableError(
                f"translation_of: {shorten(named, 60)!r} is not known from {source.slug}; "
                "import that article first, then this one again"
            )
        old = storage.load_record(self.tx.session, known.article_id)
        language = draft.own.language
        if language == old.default_language:
            raise UnusableError(f"translation_of: {_named(old)} is in {language} itself")
        result = ImportResult.UPDATED if language in old.translations else ImportResult.MERGED
        reason = f"the {language} translation of {_named(old)}"
        return _Step(old, translate(old, draft, now=self.tx.now), result, reason)

    def _with_topics(self, step: "_Step", draft: Draft) -> tuple[ArticleRecord, tuple[str, ...]]:
        """Tag the article with what the item states and with what rules find; warn of topics that do not exist.

        A merged item adds to what was stated before; another replaces it, unless it states nothing.
        """
        old, new = step.old, step.new
        found, unknown = self.topics.find(draft.topics)
        before = [mark.topic_id for mark in new.topics if mark.origin is TopicOrigin.STATED]
        is_more = step.result is ImportResult.MERGED or not found
        stated = list(dict.fromkeys([*before, *found])) if is_more else found
        if old is None or stated != before or new.translations != old.translations:
            new = with_topics(new, stated, self.topics.suggest(new), now=self.tx.now)
        if not unknown:
            return new, ()
        names = ", ".join(repr(shorten(name, 40)) for name in unknown)
        remedy = "see `newsletter topics list`; load it with `newsletter topics load FILE`, or correct the item"
        return new, (f"unknown topic{'s'[: len(unknown) > 1]} {names}: {remedy}",)

    def _save(self, old: ArticleRecord | None, new: ArticleRecord) -> ArticleRecord:
        """Write *new* where it differs; ring where readers could see it, or could have seen *old*."""
        if new == old:
            return new
        article_id = storage.save_record(self.tx.session, new, marks_of(tellings_of(new)))
        if any(each and each.state is ArticleState.PUBLISHED for each in (old, new)):
            self.changed.add(article_id)
        return replace(new, id=article_id)

    @property
    def _zone(self) -> ZoneInfo:
        return self.tx.settings.zone_info

    def _outcome(
        self,
        sourced: SourcedItem,
        result: ImportResult,
        record: ArticleRecord | None = None,
        *,
        warnings: Sequence[str] = (),
        reason: str | None = None,
        is_significant: bool = False,
    ) -> ImportOutcome:
        item = sourced.item
        if record and result is not ImportResult.SAME and record.state is ArticleState.PUBLISHED:
            reason = reason or self._when_it_appears(record)
        return ImportOutcome(
            file=sourced.file,
            position=item.position,
            title=item.title,
            result=result,
            article_uid=record.uid if record else None,
            lacks=record.lacks if record else (),
            warnings=(*sourced.warnings, *(item.draft.warnings if item.draft else ()), *warnings),
            reason=reason,
            is_significant=is_significant,
        )

    def _when_it_appears(self, record: ArticleRecord) -> str | None:
        if record.visible_at is None or record.visible_at <= self.tx.now:
            return None
        return f"appears on {record.visible_at.astimezone(self._zone):%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class _Step:
    """What an item makes of an article: as it was (None: there was none), as it becomes, and how to report it."""

    old: ArticleRecord | None
    new: ArticleRecord
    result: ImportResult
    reason: str | None = None


_WHY_MERGED = {
    Likeness.TEASER: "a teaser and its article:",
    Likeness.SAME_BODY: "the same text as",
    Likeness.EDITED: "an edited text of",
}


def _named(record: ArticleRecord) -> str:
    return repr(shorten(record.title, 60)) if record.title else record.uid


def _same_story(told: Mapping[str, Telling], record: ArticleRecord) -> Likeness | None:
    """Say why one of the texts *told* is one of the article's, in the same language; None: none is."""
    there = tellings_of(record)
    found = (likeness(telling, there[language]) for language, telling in told.items() if language in there)
    return next((why for why in found if why), None)
