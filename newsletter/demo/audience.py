"""The demo's audience: three lists and 300 invented readers with choices of their own, the same ones every time."""

import csv
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from typing import TypeVar

from newsletter.demo.calendar import BEGINNING, FORTNIGHT, ZONE
from newsletter.domain.articles import Kind
from newsletter.domain.lists import Cadence, SectionsBy
from newsletter.services.filters import NamedFilter
from newsletter.services.lists import ListDraft

READER_COUNT = 300
BASIS = "signed up on paper at the open day of the valley library, August 2025; forms kept in folder 12"

LISTS = (
    ListDraft(
        slug="weekly",
        titles={"en": "The week in the valley", "ru": "Неделя в долине", "ky": "Өрөөндүн бир жумасы"},
        descriptions={
            "en": "Every Monday morning: what is new on the topics you chose, and what is on next.",
            "ru": "Каждый понедельник утром: новое по выбранным темам и ближайшие события.",
            "ky": "Дүйшөмбү сайын эртең менен: тандаган темаларыңыздагы жаңылыктар жана алдыдагы иш-чаралар.",
        },
        from_name="Karlygach Press Centre",
        from_address="weekly@press.karlygach.example",
        reply_to="desk@press.karlygach.example",
        cadences=(Cadence.WEEKLY,),
        zone=ZONE.key,
        send_at=time(8),
        weekday=0,
        sections=SectionsBy.TOPIC,
        since=BEGINNING,
    ),
    ListDraft(
        slug="daily",
        titles={"en": "Morning post", "ru": "Утренняя почта", "ky": "Таңкы почта"},
        descriptions={
            "en": "At eight in the morning, on days with news, sorted by kind.",
            "ru": "В восемь утра в те дни, когда есть новости; по видам публикаций.",
            "ky": "Жаңылык болгон күндөрү эртең мененки саат сегизде, түрлөрү боюнча.",
        },
        from_name="Karlygach Press Centre",
        from_address="daily@press.karlygach.example",
        reply_to="desk@press.karlygach.example",
        cadences=(Cadence.DAILY,),
        zone=ZONE.key,
        send_at=time(8),
        sections=SectionsBy.KIND,
        since=FORTNIGHT,
    ),
    ListDraft(
        slug="press",
        titles={"en": "Press releases at once", "ru": "Пресс-релизы сразу", "ky": "Басма сөз билдирүүлөрү дароо"},
        descriptions={
            "en": "Each press release in the minute it appears.",
            "ru": "Каждый пресс-релиз в ту же минуту, когда он вышел.",
            "ky": "Ар бир басма сөз билдирүүсү чыккан мүнөтүндө.",
        },
        from_name="Karlygach Press Centre",
        from_address="press@press.karlygach.example",
        reply_to="desk@press.karlygach.example",
        cadences=(Cadence.IMMEDIATE,),
        zone=ZONE.key,
        filter=NamedFilter(kinds=(Kind.PRESS_RELEASE,)),
        sections=SectionsBy.KIND,
        since=FORTNIGHT,
    ),
)

TOPICS = (
    ("quality-education", 9), ("good-health", 8), ("clean-water", 7), ("climate-action", 7), ("decent-work", 6),
    ("sustainable-cities", 6), ("gender-equality", 5), ("zero-hunger", 5), ("clean-energy", 4), ("life-on-land", 4),
    ("responsible-consumption", 4), ("reduced-inequalities", 4), ("no-poverty", 3), ("industry-innovation", 3),
    ("partnerships", 2), ("peace-justice", 2), ("life-below-water", 1),
)  # fmt: skip
"""Slugs of topics with how many of a hundred choices name them, about."""

NAMES = (
    "adilet", "aibek", "aida", "aigul", "aisuluu", "akylai", "almaz", "altynai", "anna", "asel", "askar", "azamat",
    "begimai", "bermet", "cholpon", "daniyar", "dinara", "elena", "emil", "erlan", "gulnara", "ilya", "jamilya",
    "jyldyz", "kanykei", "kubat", "maksat", "maria", "meerim", "mirlan", "nadia", "nargiza", "nurbek", "nurlan",
    "oleg", "omurbek", "rustam", "saltanat", "samat", "sergei", "tamara", "temir", "tilek", "ulan", "vera",
    "viktor", "zamira", "zarina",
)  # fmt: skip
DOMAINS = ("mail.example", "post.example", "inbox.example", "school7.example", "valley-radio.example")
LANGUAGES = (("ru", 40), ("ky", 35), ("en", 25))
LISTS_CHOSEN = (
    (("weekly",), 58),
    (("daily",), 10),
    (("press",), 10),
    (("weekly", "press"), 14),
    (("weekly", "daily"), 8),
)


Picked = TypeVar("Picked")


@dataclass(frozen=True, slots=True)
class Reader:
    """An invented subscriber; *choices*: for each of their lists, which articles they want."""

    address: str
    language: str
    choices: dict[str, NamedFilter]


def invent_readers(count: int = READER_COUNT, *, seed: int = 2025) -> list[Reader]:
    """Return *count* readers; equal arguments give equal readers."""
    chance = random.Random(seed)  # noqa: S311  it invents readers and guards nothing
    return [_invent_reader(number, chance) for number in range(1, count + 1)]


def write_csv(readers: Sequence[Reader], list_slug: str) -> bytes:
    """Return the readers of one list as the file that a newsroom would import."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["address", "language", "topics", "kinds", "languages"])
    for reader in readers:
        wanted = reader.choices.get(list_slug)
        if wanted is not None:
            facets = (" ".join(values) for values in (wanted.topics, wanted.kinds, wanted.languages))
            writer.writerow([reader.address, reader.language, *facets])
    return text.getvalue().encode()


def _invent_reader(number: int, chance: random.Random) -> Reader:
    language = _pick(LANGUAGES, chance)
    address = f"{chance.choice(NAMES)}.{number:03}@{chance.choice(DOMAINS)}"
    return Reader(
        address, language, {slug: _invent_choice(slug, language, chance) for slug in _pick(LISTS_CHOSEN, chance)}
    )


def _invent_choice(list_slug: str, language: str, chance: random.Random) -> NamedFilter:
    """Three readers in ten of a digest take everything; the others one to six topics, some of them kinds as well."""
    if list_slug == "press":
        return NamedFilter(topics=_some_topics(chance, most=4) if _happens(50, chance) else ())
    if _happens(30, chance):
        return NamedFilter()
    kinds = chance.sample([str(kind) for kind in Kind], 4) if _happens(15, chance) else []
    languages = [language] if _happens(15, chance) else []
    return NamedFilter(_some_topics(chance, most=6), tuple(sorted(kinds)), (), tuple(languages))


def _some_topics(chance: random.Random, *, most: int) -> tuple[str, ...]:
    return tuple(sorted({_pick(TOPICS, chance) for _ in range(chance.randint(1, most))}))


def _happens(percent: int, chance: random.Random) -> bool:
    return chance.randrange(100) < percent


def _pick(weighted: Sequence[tuple[Picked, int]], chance: random.Random) -> Picked:
    values, weights = zip(*weighted, strict=True)
    picked: Picked = chance.choices(values, weights)[0]
    return picked
