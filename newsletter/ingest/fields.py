"""Fields: one item's facts, as JSON and front matter name them, checked and made into a draft."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from newsletter.domain.articles import Event, Kind
from newsletter.domain.drafts import Draft, DraftText, Paragraph, UnusableError
from newsletter.domain.prose import normalise, shorten
from newsletter.ingest.dates import read_date, read_time
from newsletter.ingest.markup import LONGEST_MARKUP, paragraph_of_text, paragraphs_of_html, safe_url, take_lead_image

LONGEST_TITLE = 300
LONGEST_SUMMARY = 1000
LONGEST_NAME = 200
LONGEST_BODY = 600_000
LARGEST_IMAGE = 20_000
LARGEST_DIGITS = 5
MOST_TOPICS = 50
MOST_PARAGRAPHS = 2000

TEXT_FIELDS = frozenset({"title", "summary", "url", "paragraphs", "html", "markdown", "image_alt", "image_credit"})
ITEM_FIELDS = TEXT_FIELDS | frozenset(
    {
        "id",
        "kind",
        "date",
        "published",
        "updated",
        "embargo_until",
        "language",
        "source",
        "site",
        "topics",
        "image",
        "event",
        "translations",
        "translation_of",
    }
)
IMAGE_FIELDS = frozenset({"url", "alt", "credit", "width", "height"})
EVENT_FIELDS = frozenset({"starts_at", "ends_at", "zone", "venue", "address", "contact"})
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where an item does not say: the newsroom's zone, a language, a kind; *source* wins over the item's."""

    zone: ZoneInfo
    language: str
    kind: Kind = Kind.STORY
    source: str | None = None


@dataclass(slots=True)
class FieldReader:
    """Reads the fields of one item; what can be done without is left out with a warning, the rest is refused.

    *render_markdown* makes HTML of Markdown, which this module does not know.
    """

    defaults: Defaults
    render_markdown: Callable[[str], str]
    warnings: list[str] = field(default_factory=list)

    def read(self, item: Mapping[str, Any]) -> Draft:
        """Make a draft of *item*.

        Raises:
            UnusableError: it cannot be used; the message says what is wrong with which field.
        """
        self._report_unknown(item, ITEM_FIELDS)
        language = self._language(_given(item, "language", self.defaults.language), "language")
        image = self._mapping(item, "image", IMAGE_FIELDS, {"url": item.get("image")})
        own = self._text(language, item, image)
        lead, paragraphs = take_lead_image(own.paragraphs) if not image else (None, own.paragraphs)
        if lead:
            image = {"url": lead.url, "width": lead.width, "height": lead.height}
            own = DraftText(
                language=language,
                title=own.title,
                paragraphs=paragraphs,
                summary=own.summary,
                url=own.url,
                image_alt=own.image_alt or lead.alt,
                image_credit=own.image_credit or lead.caption,
            )
        translations = self._translations(item, language)
        return Draft(
            kind=self._kind(item),
            texts=(own, *translations),
            published=self._published(item),
            updated=self._updated(item),
            embargo_until=self._time(item.get("embargo_until"), "embargo_until"),
            external_id=self._name(item, "id"),
            source=self.defaults.source or self._name(item, "source") or self._name(item, "site"),
            topics=self._topics(item),
            image_url=self._url(image.get("url"), "image.url") if image else None,
            image_width=self._size(image.get("width")) if image else None,
            image_height=self._size(image.get("height")) if image else None,
            event=self._event(item),
            translation_of=self._name(item, "translation_of"),
            warnings=tuple(self.warnings),
        )

    def _text(self, language: str, fields: Mapping[str, Any], image: Mapping[str, Any] | None = None) -> DraftText:
        image = image or {}
        url = self._url(fields.get("url"), "url")
        return DraftText(
            language=language,
            title=self._line(fields, "title", LONGEST_TITLE),
            paragraphs=self._body(fields, url),
            summary=self._summary(fields),
            url=url,
            image_alt=self._line(fields, "image_alt", LONGEST_SUMMARY)
            or self._line(image, "alt", LONGEST_SUMMARY, "image.alt"),
            image_credit=self._line(fields, "image_credit", LONGEST_TITLE)
            or self._line(image, "credit", LONGEST_TITLE, "image.credit"),
        )

    def _translations(self, item: Mapping[str, Any], own: str) -> list[DraftText]:
        given = item.get("translations") or {}
        if not isinstance(given, Mapping):
            raise UnusableError('translations: must be an object by language, like {"ru": {"title": ...}}')
        texts = []
        for code, fields in given.items():
            language = self._language(code, "translations")
            if not isinstance(fields, Mapping):
                raise UnusableError(f"translations.{code}: must be an object with a title and a body")
            self._report_unknown(fields, TEXT_FIELDS, f"translations.{code}.")
            text = self._text(language, fields)
            if language == own:
                self.warnings.append(f"translations.{code}: left out, it is the item's own language")
            elif not text.title:
                self.warnings.append(f"translations.{code}: left out, it has no title")
            else:
                texts.append(text)
        return texts

    def _body(self, fields: Mapping[str, Any], base: str | None) -> tuple[Paragraph, ...]:
        """Read the body from the one of `paragraphs`, `html`, `markdown` that is there."""
        made = self._plain_paragraphs(fields)
        html, markdown = self._markup(fields, "html"), self._markup(fields, "markdown")
        if markdown:
            html = self.render_markdown(markdown)
        body = made or (paragraphs_of_html(html, base) if html else ())
        size = sum(len(each.html) for each in body)
        if size > LONGEST_BODY:
            raise UnusableError(f"its body has {size:,} characters; at most {LONGEST_BODY:,} are taken")
        return body

    def _plain_paragraphs(self, fields: Mapping[str, Any]) -> tuple[Paragraph, ...]:
        paragraphs = fields.get("paragraphs") or []
        if isinstance(paragraphs, str):
            paragraphs = [paragraphs]
        if not isinstance(paragraphs, list) or not all(isinstance(each, str) for each in paragraphs):
            raise UnusableError("paragraphs: must be a list of texts")
        if len(paragraphs) > MOST_PARAGRAPHS:
            raise UnusableError(f"paragraphs: {len(paragraphs):,} of them; at most {MOST_PARAGRAPHS:,} are taken")
        return tuple(each for each in map(paragraph_of_text, paragraphs) if each.text)

    def _markup(self, fields: Mapping[str, Any], name: str) -> str | None:
        value = fields.get(name)
        if value is not None and not isinstance(value, str):
            raise UnusableError(f"{name}: must be a text")
        if value and len(value) > LONGEST_MARKUP:
            raise UnusableError(f"{name}: has {len(value):,} characters; at most {LONGEST_MARKUP:,} are taken")
        return value

    def _summary(self, fields: Mapping[str, Any]) -> str:
        summary = self._line(fields, "summary", None)
        if len(summary) > LONGEST_SUMMARY:
            self.warnings.append(f"summary: cut from {len(summary):,} to {LONGEST_SUMMARY:,} characters")
        return shorten(summary, LONGEST_SUMMARY)

    def _line(self, fields: Mapping[str, Any], name: str, longest: int | None, shown: str = "") -> str:
        value = fields.get(name)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float | date):
            raise UnusableError(f"{shown or name}: must be a text")
        line = normalise(str(value))
        if longest and len(line) > longest:
            raise UnusableError(f"{shown or name}: has {len(line):,} characters; at most {longest} are taken")
        return line

    def _name(self, fields: Mapping[str, Any], name: str) -> str | None:
        return self._line(fields, name, LONGEST_NAME if name in ("source", "site") else None) or None

    def _kind(self, item: Mapping[str, Any]) -> Kind:
        value = item.get("kind")
        if value is None or value == "":
            return self.defaults.kind
        try:
            return Kind(re.sub(r"[\s-]+", "_", str(value).strip().lower()))
        except ValueError as error:
            known = ", ".join(Kind)
            raise UnusableError(f"kind: {shorten(str(value), 40)!r} is not known; use one of {known}") from error

    def _language(self, value: object, where: str) -> str:
        code = str(value).strip().lower().replace("_", "-")
        if not isinstance(value, str) or not _LANGUAGE.fullmatch(code):
            raise UnusableError(f"{where}: {shorten(str(value), 40)!r} is no language code; write it like en, ru, ky")
        return code

    def _published(self, item: Mapping[str, Any]) -> date | datetime | None:
        for name in ("published", "date"):
            if item.get(name) in (None, ""):
                continue
            try:
                return read_date(item[name], self.defaults.zone)
            except (ValueError, OverflowError) as error:
                self.warnings.append(f"{name}: {error}")
        return None

    def _updated(self, item: Mapping[str, Any]) -> datetime | None:
        try:
            return read_time(item["updated"], self.defaults.zone) if item.get("updated") not in (None, "") else None
        except (ValueError, OverflowError) as error:
            self.warnings.append(f"updated: {error}")
            return None

    def _time(self, value: object, where: str) -> datetime | None:
        """Read a time that must not be ignored: an embargo that cannot be read would publish too early."""
        if value is None or value == "":
            return None
        try:
            return read_time(value, self.defaults.zone)
        except (ValueError, OverflowError) as error:
            raise UnusableError(f"{where}: {error}") from error

    def _topics(self, item: Mapping[str, Any]) -> tuple[str, ...]:
        given = item.get("topics") or []
        if isinstance(given, str):
            given = given.split(",")
        if not isinstance(given, list) or not all(isinstance(each, str | int) for each in given):
            raise UnusableError("topics: must be a list of slugs")
        if len(given) > MOST_TOPICS:
            raise UnusableError(f"topics: {len(given)} of them; at most {MOST_TOPICS} are taken")
        return tuple(dict.fromkeys(name for each in given if (name := normalise(str(each)))))

    def _event(self, item: Mapping[str, Any]) -> Event | None:
        given = self._mapping(item, "event", EVENT_FIELDS)
        if given is None:
            return None
        zone_name = self._line(given, "zone", LONGEST_NAME, "event.zone") or self.defaults.zone.key
        try:
            zone = ZoneInfo(zone_name)
        except (KeyError, ValueError, OSError):
            self.warnings.append(
                f"event.zone: {zone_name!r} is no time zone, {self.defaults.zone.key} is used; "
                "write it like Asia/Bishkek"
            )
            zone = self.defaults.zone
        if not given.get("starts_at"):
            self.warnings.append("event: left out, it has no starts_at")
            return None
        try:
            starts_at = read_time(given["starts_at"], zone)
            ends_at = read_time(given["ends_at"], zone) if given.get("ends_at") else None
        except (ValueError, OverflowError) as error:
            self.warnings.append(f"event: left out, {error}")
            return None
        if ends_at is not None and ends_at < starts_at:
            self.warnings.append("event.ends_at: left out, it is before starts_at")
            ends_at = None
        return Event(
            starts_at=starts_at,
            ends_at=ends_at,
            zone=zone.key,
            venue=self._line(given, "venue", LONGEST_TITLE, "event.venue"),
            address=self._line(given, "address", LONGEST_TITLE, "event.address"),
            contact=self._line(given, "contact", LONGEST_TITLE, "event.contact"),
        )

    def _mapping(
        self, item: Mapping[str, Any], name: str, known: frozenset[str], of_text: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any] | None:
        """Return the object under *name*; a bare text stands for *of_text*, where that is given."""
        given = item.get(name)
        if not given:
            return None
        if isinstance(given, str) and of_text is not None:
            return of_text
        if not isinstance(given, Mapping):
            raise UnusableError(f"{name}: must be an object with {', '.join(sorted(known))}")
        self._report_unknown(given, known, f"{name}.")
        return given

    def _url(self, value: object, where: str) -> str | None:
        if value is None or value == "":
            return None
        address = safe_url(value)
        if address is None:
            self.warnings.append(
                f"{where}: left out, {shorten(normalise(str(value)), 60)!r} is no http or https address"
            )
        return address

    def _size(self, value: object) -> int | None:
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_IMAGE:
            return value
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= LARGEST_DIGITS:
            return int(value) or None
        return None

    def _report_unknown(self, fields: Mapping[str, Any], known: frozenset[str], where: str = "") -> None:
        unknown = [str(name) for name in fields if name not in known]
        for name in unknown[:5]:
            self.warnings.append(
                f"{where}{shorten(normalise(name), 40)}: no such field, ignored; known are {', '.join(sorted(known))}"
            )


def _given(fields: Mapping[str, Any], name: str, otherwise: object) -> object:
    """Return the value under *name*, where there is one; false is one."""
    value = fields.get(name)
    return otherwise if value is None or value == "" else value
