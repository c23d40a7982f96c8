"""Languages: messages from gettext catalogues, and dates, times and numbers as its readers write them.

A language is a file `<code>.po`, read as it is: in this package's `locales`, or in `<home>/locales`, whose messages
win. Adding a language is adding that file. Its `Language` header names the CLDR locale for dates and numbers, so that
`en.po` can follow `en_GB`. A message it lacks is shown in English, the language of the source.
"""

import gettext
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError, dates, lists, numbers
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po

from newsletter.errors import InvalidError
from newsletter.rendering.plain import capitalised

SHIPPED = Path(__file__).parent / "locales"


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """One language to speak in; made by `load_language`, the same object each time."""

    code: str
    locale: Locale
    messages: gettext.NullTranslations

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`, as HTML's dir attribute takes it."""
        return self.locale.text_direction

    @property
    def name(self) -> str:
        """The language's own name for itself, such as Кыргызча."""
        name = Locale(self.locale.language).display_name or self.code
        return capitalised(name)

    def gettext(self, message: str, /, **values: object) -> str:
        """Return *message* in this language, *values* put into its `%(name)s` places."""
        text = self.messages.gettext(message)
        return text % values if values else text

    def ngettext(self, singular: str, plural: str, count: int, /, **values: object) -> str:
        """Return the form for *count*, which is itself the value `%(count)s`."""
        return self.plural(singular, plural, count) % {"count": self.format_number(count), **values}

    def plural(self, singular: str, plural: str, count: int) -> str:
        """Return the bare form for *count*, its places unfilled."""
        return self.messages.ngettext(singular, plural, count)

    def format_number(self, number: float) -> str:
        """Return *number* with this language's separators."""
        return _decimal(number, self.locale)

    def format_list(self, words: Iterable[str]) -> str:
        """Return *words* joined as in a sentence: a, b and c."""
        return lists.format_list(list(words), locale=self.locale)

    def format_date(self, day: date, *, with_weekday: bool = False) -> str:
        """Return *day* in words: 9 March 2026; a datetime counts in its own zone."""
        return _common_spaces(dates.format_date(day, "full" if with_weekday else "long", locale=self.locale))

    def format_day(self, day: date, *, near: date) -> str:
        """Return *day* without its year, 9 March, unless that differs from *near*'s."""
        if day.year != near.year:
            return self.format_date(day)
        return _common_spaces(dates.format_skeleton("MMMMd", day, locale=self.locale))

    def format_dates(self, first: date, last: date) -> str:
        """Return the days from *first* to *last*, both included: 9–15 March 2026."""
        if first >= last:
            return self.format_date(last)
        changed = "y" if first.year != last.year else "M" if first.month != last.month else "d"
        pattern = self.locale.interval_formats.get("yMMMd", {}).get(changed)
        if pattern is None or len(pattern) != len(("first", "last")):
            return f"{self.format_date(first)} – {self.format_date(last)}"
        # CLDR abbreviates months in intervals; a headline has room for their names.
        start, end = (part.replace("MMM", "MMMM").replace("LLL", "MMMM") for part in pattern)
        written = dates.format_date(first, start, locale=self.locale) + dates.format_date(last, end, locale=self.locale)
        return _common_spaces(written)

    def format_month(self, day: date) -> str:
        """Return the month of *day* with its year, standing alone: March 2026."""
        return _common_spaces(dates.format_skeleton("yMMMM", day, locale=self.locale))

    def format_short_month(self, day: date) -> str:
        """Return the month of *day* in brief, as on a calendar leaf: Mar."""
        return capitalised(dates.format_date(day, "LLL", locale=self.locale).rstrip("."))

    def format_time(self, moment: datetime) -> str:
        """Return the time of day of *moment*, in its own zone."""
        return _common_spaces(dates.format_time(moment, "short", tzinfo=moment.tzinfo, locale=self.locale))

    def format_event(self, starts_at: datetime, ends_at: datetime | None, zone: str) -> str:
        """Return when an event takes place, in its venue's zone, which is named: every reader can reckon it.

        Midnight without an end means that only the day is known.
        """
        start = starts_at.astimezone(ZoneInfo(zone))
        end = ends_at.astimezone(ZoneInfo(zone)) if ends_at else None
        if _is_whole_days(start, end):
            return self._whole_days(start, end)
        place = f"({self._zone_name(start)})"
        opening = f"{self.format_date(start, with_weekday=True)}, {self.format_time(start)}"
        if end is None or end <= start:
            return f"{opening} {place}"
        if end.date() == start.date():
            return f"{opening}–{self.format_time(end)} {place}"
        return f"{opening} – {self.format_date(end, with_weekday=True)}, {self.format_time(end)} {place}"

    def _whole_days(self, start: datetime, end: datetime | None) -> str:
        last = (end - timedelta(days=1)).date() if end else start.date()
        if last <= start.date():
            return self.format_date(start, with_weekday=True)
        return self.format_dates(start.date(), last)

    def _zone_name(self, moment: datetime) -> str:
        """Return the zone's city and its offset then: Bishkek, UTC+6. CLDR's names for zones confuse half of them."""
        zone = moment.tzinfo
        offset = int((moment.utcoffset() or timedelta()).total_seconds()) // 60
        sign, (hours, minutes) = "+" if offset >= 0 else "−", divmod(abs(offset), 60)
        shift = f"UTC{sign}{hours}{f':{minutes:02}' if minutes else ''}" if offset else "UTC"
        if not isinstance(zone, ZoneInfo) or "/" not in zone.key or zone.key.startswith("Etc/"):
            return shift
        return f"{dates.get_timezone_location(zone, locale=self.locale, return_city=True)}, {shift}"


@lru_cache(maxsize=8)
def available_languages(home: Path | None = None) -> tuple[str, ...]:
    """Return the codes of the languages that have a catalogue, sorted; looked up once per process."""
    return tuple(sorted({path.stem for folder in _folders(home) for path in folder.glob("*.po")}))


@lru_cache(maxsize=1024)
def _decimal(number: float, locale: Locale) -> str:
    return numbers.format_decimal(number, locale=locale)


@lru_cache(maxsize=64)
def load_language(code: str, home: Path | None = None) -> Language:
    """Return the language *code*, its catalogues read once per process; *home* may hold more in `locales`.

    Raises:
        InvalidError: there is no catalogue for it, or one that cannot be read.
    """
    paths = [path for folder in _folders(home) if (path := folder / f"{code}.po").is_file()]
    if not paths:
        where = f"{home / 'locales' if home else SHIPPED}"
        raise InvalidError(f"no messages for the language {code!r}: add {code}.po to {where}, or choose another")
    messages: gettext.NullTranslations | None = None
    locale: Locale | None = None
    for path in reversed(paths):
        catalog = _read(path)
        ours, messages = messages, _compiled(catalog)
        if ours:
            messages.add_fallback(ours)
        locale = catalog.locale or locale
    try:
        return Language(code, locale or Locale.parse(code, sep="-"), messages or gettext.NullTranslations())
    except (UnknownLocaleError, ValueError) as error:
        raise InvalidError(
            f"{paths[0]}: CLDR knows no language {code!r}; name a known one in its Language header"
        ) from error


def _folders(home: Path | None) -> list[Path]:
    """Return the folders of catalogues, the strongest first."""
    return [*([home / "locales"] if home else []), SHIPPED]


@lru_cache(maxsize=64)
def _read(path: Path) -> Catalog:
    try:
        with path.open("rb") as file:
            return read_po(file, abort_invalid=True)
    except (PoFileError, UnknownLocaleError, ValueError, OSError) as error:
        raise InvalidError(f"{path} cannot be read as a gettext catalogue: {error}") from error


def _compiled(catalog: Catalog) -> gettext.GNUTranslations:
    """Return *catalog* as the standard library's own translations: untranslated and fuzzy messages are left out."""
    file = io.BytesIO()
    write_mo(file, catalog)
    file.seek(0)
    return gettext.GNUTranslations(file)


def _common_spaces(text: str) -> str:
    """Return *text* without CLDR's thin spaces, which many mail programs' fonts lack."""
    return text.replace("\u2009", " ").replace("\u202f", "\xa0")


def _is_whole_days(start: datetime, end: datetime | None) -> bool:
    midnight = timedelta()
    return all(_time_of_day(moment) == midnight for moment in (start, end) if moment)


def _time_of_day(moment: datetime) -> timedelta:
    return timedelta(hours=moment.hour, minutes=moment.minute)
