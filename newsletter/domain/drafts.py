"""Drafts: what came in from outside, as a reader of files gives it: normalised, not yet judged."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from newsletter.domain.articles import Event, Kind
from newsletter.domain.prose import mixed_scripts, remarks, repeats


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
