"""The editions that benches send: the demo's articles, compiled and fanned out by the real services."""

import csv
import io
import json
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from newsletter.bootstrap import build_app
from newsletter.clock import fixed_clock
from newsletter.config import Settings
from newsletter.dispatch import RecordingDispatcher
from newsletter.domain.lists import Cadence
from newsletter.ingest.subscriber_csv import read_subscriber_file
from newsletter.services.article_imports import import_articles
from newsletter.services.context import App
from newsletter.services.editions import fan_out_edition
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.sends import start_send
from newsletter.services.subscriber_imports import import_subscribers
from newsletter.services.topics import load_topic_file

ROOT = Path(__file__).resolve().parents[1]
TOPIC_FILE = ROOT / "newsletter/data/sdg-topics.yaml"
ARTICLE_FILES = sorted((ROOT / "newsletter/demo/newsroom").glob("week-*.json"))
ZONE = ZoneInfo("Asia/Bishkek")
NOW = datetime(2025, 10, 6, 8, 5, tzinfo=ZONE)
LIST = "weekly"
LANGUAGES = {"en": 60, "ru": 25, "ky": 15}
"""Of a hundred readers; where text is Cyrillic its parts are base64, else quoted-printable."""
CHOICES = 900
"""Distinct choices that readers share; some come to the same variant."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large mails are: an edition has so many *articles*, and each reader chose from *topics* up to so many topics.

    *is_lean*: the newsroom has a mail template of its own, without styles.
    """

    name: str
    articles: int
    topics: tuple[int, int]
    is_lean: bool = False


LARGE = Size("60 KB", articles=22, topics=(8, 17))
SMALL = Size("8 KB", articles=9, topics=(1, 4), is_lean=True)
LEAN = """\
<!doctype html>
<html lang="{{ language.code }}">
<head><meta charset="utf-8"><title>{% block title %}{% endblock %}</title></head>
<body><table>{% block rows %}{% endblock %}</table></body>
</html>
"""


def fan_out(settings: Settings, size: Size, readers: int, *, folder: Path, seed: int = 1) -> None:
    """Compile an edition for *readers* in a database whose tables are empty, and fan it out; nothing is sent."""
    if size.is_lean:
        _lay_over(settings.home / "templates/email/base.html", LEAN)
    path = folder / "articles.json"
    path.write_text(json.dumps({"source": "Press Centre", "articles": articles_of(size)}))
    fan_out_to(settings, _readers(size, readers, seed), path)


def _lay_over(path: Path, template: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(template)


def fan_out_to(settings: Settings, readers: bytes, *articles: Path) -> None:
    """Bring articles and *readers*, a CSV file, into empty tables, compile an edition for them, and fan it out."""
    app = build_app(settings, clock=fixed_clock(NOW), dispatcher=RecordingDispatcher())
    try:
        bring_in(app, *articles)
        people = read_subscriber_file(readers, name="readers.csv")
        report = import_subscribers(app, LIST, people, name="readers.csv", basis="signed up at the front desk")
        assert report.refusals == []
        fan_out_edition(app, start_send(app, LIST, Cadence.WEEKLY, actor="bench"))
    finally:
        app.database.dispose()


def bring_in(app: App, *articles: Path) -> None:
    """Put topics, a weekly list that has been there for long, and files of articles into empty tables."""
    load_topic_file(app, TOPIC_FILE)
    draft = ListDraft(
        slug=LIST,
        titles={"en": "News", "ru": "Новости", "ky": "Жаңылыктар"},
        from_address="news@newsroom.example",
        cadences=(Cadence.WEEKLY,),
        since=NOW - timedelta(days=60),
    )
    add_list(app, draft)
    for path in articles:
        import_articles(app, path, source=path.stem)


def topic_slugs() -> list[str]:
    """Return the topics that readers may choose, in the file's order."""
    return [line.split(":", 1)[1].strip() for line in TOPIC_FILE.read_text().splitlines() if "slug:" in line]


def articles_of(size: Size) -> list[dict[str, Any]]:
    """Return articles of the demo as if all were of the last week."""
    articles = [each for file in ARTICLE_FILES for each in json.loads(file.read_text())["articles"]]
    return [
        {**article, "published": (NOW - timedelta(hours=number + 5)).isoformat()}
        for number, article in enumerate(articles[: size.articles])
    ]


def _readers(size: Size, count: int, seed: int) -> bytes:
    """Return *count* readers as staff would import them; all want something of the edition."""
    chance = random.Random(seed)
    slugs = topic_slugs()
    least, most = size.topics
    choices = ["|".join(chance.sample(slugs, chance.randint(least, most))) for _ in range(CHOICES)]
    languages = random.Random(seed).choices(list(LANGUAGES), list(LANGUAGES.values()), k=count)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["address", "language", "topics"])
    for number, language in enumerate(languages):
        table.writerow([f"reader.{number}@readers.example", language, chance.choice(choices)])
    return text.getvalue().encode()
