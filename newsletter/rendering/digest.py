"""Digests: what an edition may show in one language, and how each item of it looks in a mail."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError

from newsletter.domain.announcements import Letter
from newsletter.domain.articles import Event, Kind
from newsletter.domain.editions import item_key
from newsletter.domain.lists import Cadence, SectionsBy
from newsletter.rendering.languages import Language
from newsletter.rendering.plain import capitalised, clean
from newsletter.rendering.words import invitation, kind_name

WIDTH = 640
"""Pixels between the digest's edges: what mail programs show beside their folders."""

LEAD_HEIGHT = 440
"""Pixels that a lead picture may take from the headline under it."""

THUMBNAIL = 136
"""Pixels of a small picture's longer side."""

MAX_TITLE = 240
MAX_SUMMARY = 280
MAX_LEAD_SUMMARY = 560
MAX_LABEL = 120
MAX_INTRO = 1200


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that mail programs fetch by *url*; width and height are its own, in pixels, None if unknown."""

    url: str
    alt: str = ""
    credit: str = ""
    width: int | None = None
    height: int | None = None

    def scaled(self, width: int, height: int) -> tuple[int, int | None]:
        """Return width and height for showing it in a box of *width* x *height*, in its own proportions.

        The second is None where the proportions are not known.
        """
        if not (self.width and self.height):
            return width, None
        factor = min(1, width / self.width, height / self.height)
        return max(1, round(self.width * factor)), max(1, round(self.height * factor))


@dataclass(frozen=True, slots=True)
class DigestItem:
    """An article as a digest shows it; *language* is that of its title and summary, which are plain text.

    *section* is a key of the digest's sections; *topics* are labels in the digest's language, the main one first.
    *ics_url* leads to the event's calendar file.
    """

    article_id: int
    language: str
    kind: Kind
    title: str
    summary: str
    url: str
    published_at: datetime
    section: str = ""
    topics: tuple[str, ...] = ()
    image: Image | None = None
    event: Event | None = None
    ics_url: str = ""
    mend: int = 0

    @property
    def key(self) -> str:
        """What names the item in block keys: the article, the language it is shown in, and how often it was mended."""
        return item_key(self.article_id, self.language, self.mend)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of a digest, by topic or by kind."""

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Digest:
    """All that an edition may show in one language, before anybody's choice.

    *slot_on* is the edition's day; *period* the first and the last day that it covers, in *zone*, None where it covers
    none, as an immediate edition. *site_url* leads to the newsroom's own site or its page here, *archive_url* to past
    editions, *feed_url* to the same content as a feed, "" for none. *intro* are the list's standing words.
    *letter*: what staff wrote, in an announcement.
    """

    language: Language
    list_title: str
    list_description: str
    newsroom: str
    postal_address: str
    cadence: Cadence
    slot_on: date
    period: tuple[date, date] | None
    zone: str
    sections_by: SectionsBy
    sections: tuple[Section, ...]
    items: tuple[DigestItem, ...]
    site_url: str
    archive_url: str
    feed_url: str = ""
    intro: str = ""
    accent_colour: str = "#0b5394"
    logo_url: str = ""
    letter: Letter | None = None


@dataclass(frozen=True, slots=True)
class ItemView:
    """One item, put into words and measures for the templates; strings are plain text.

    *language* and *direction* are set only where they differ from the digest's.
    """

    key: str
    title: str
    summary: str
    lead_summary: str
    url: str
    kicker: str
    invitation: str
    language: str
    direction: str
    image: Image | None
    image_size: tuple[int, int | None]
    thumbnail_size: tuple[int, int | None]
    event: Event | None
    when: str
    where: str
    starts_at: datetime | None
    ics_url: str


def cleaned(digest: Digest) -> Digest:
    """Return *digest* with its own words on one line each, without control characters and at bearable lengths."""
    return replace(
        digest,
        list_title=clean(digest.list_title, MAX_LABEL),
        list_description=clean(digest.list_description, MAX_INTRO),
        newsroom=clean(digest.newsroom, MAX_LABEL),
        postal_address=clean(digest.postal_address, MAX_TITLE),
        intro=clean(digest.intro, MAX_INTRO),
        sections=tuple(replace(section, label=clean(section.label, MAX_LABEL)) for section in digest.sections),
    )


def view(item: DigestItem, digest: Digest) -> ItemView:
    """Return *item* as the digest's templates show it."""
    image = _shown_image(item.image, item.title)
    event = item.event
    is_foreign = item.language != digest.language.code
    return ItemView(
        key=item.key,
        title=clean(item.title, MAX_TITLE),
        summary=clean(item.summary, MAX_SUMMARY),
        lead_summary=clean(item.summary, MAX_LEAD_SUMMARY),
        url=web_address(item.url) or digest.site_url,
        kicker=_kicker(item, digest),
        invitation=invitation(digest.language, item.kind),
        language=item.language if is_foreign else "",
        direction=_direction(item.language) if is_foreign else "",
        image=image,
        image_size=image.scaled(WIDTH, LEAD_HEIGHT) if image else (0, None),
        thumbnail_size=image.scaled(THUMBNAIL, THUMBNAIL) if image else (0, None),
        event=event,
        when=capitalised(digest.language.format_event(event.starts_at, event.ends_at, event.zone)) if event else "",
        where=clean(", ".join(part for part in (event.venue, event.address) if part), MAX_TITLE) if event else "",
        starts_at=event.starts_at.astimezone(ZoneInfo(event.zone)) if event else None,
        ics_url=web_address(item.ics_url),
    )


def web_address(url: str) -> str:
    """Return *url* if it is one that a reader may safely follow, else "": no javascript:, no spaces or controls."""
    cleaned_url = url.strip()
    is_safe = cleaned_url.lower().startswith(("https://", "http://")) and cleaned_url.isprintable()
    return cleaned_url.replace(" ", "%20") if is_safe else ""


def _shown_image(image: Image | None, title: str) -> Image | None:
    """Return *image* if it can be fetched; it is a link, so without words of its own it says where to: *title*."""
    if image is None or not (url := web_address(image.url)):
        return None
    return replace(image, url=url, alt=clean(image.alt or title, MAX_TITLE), credit=clean(image.credit, MAX_LABEL))


def _kicker(item: DigestItem, digest: Digest) -> str:
    """Return the line over a title: what the section's heading does not say yet, and the day of publication.

    An event's own day stands under its title; a second one above would only confuse.
    """
    by_kind = digest.sections_by is SectionsBy.KIND and item.topics
    label = clean(item.topics[0], MAX_LABEL) if by_kind else kind_name(digest.language, item.kind)
    if item.event:
        return label
    day = digest.language.format_day(item.published_at.astimezone(ZoneInfo(digest.zone)), near=digest.slot_on)
    return f"{label} · {day}"


def _direction(code: str) -> str:
    try:
        return Locale.parse(code, sep="-").text_direction
    except (UnknownLocaleError, ValueError):
        return "ltr"
