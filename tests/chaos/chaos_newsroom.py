"""The edition that all chaos scenarios send: compiled by the real services once, then copied."""

import csv
import io
import random
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from newsletter.bootstrap import build_app
from newsletter.clock import fixed_clock
from newsletter.config import Settings
from newsletter.dispatch import RecordingDispatcher
from newsletter.domain.articles import Kind
from newsletter.domain.lists import Cadence
from newsletter.ingest.subscriber_csv import read_subscriber_file
from newsletter.services.article_imports import import_articles
from newsletter.services.context import App
from newsletter.services.editions import fan_out_edition
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.sends import start_send
from newsletter.services.subscriber_imports import import_subscribers
from newsletter.services.topics import load_topic_file
from newsletter.storage.schema import metadata

ROOT = Path(__file__).resolve().parents[2]
TOPICS = ROOT / "newsletter/data/sdg-topics.yaml"
ARTICLES = sorted((ROOT / "newsletter/demo/newsroom").glob("week-*.json"))
ZONE = ZoneInfo("Asia/Bishkek")
NOW = datetime(2025, 10, 6, 8, 5, tzinfo=ZONE)
LIST = "weekly"
LANGUAGES = ("en", "ru", "ky")
CHOICES = 400
"""Distinct choices that readers share; about as many variants come of them."""
READERS_WITHOUT_ITEMS = 1.4
"""So many more readers than deliveries are invented, since some choose what there is nothing of."""


def chaos_settings(home: Path, database_url: str = "", smtp_url: str = "", broker_url: str = "") -> Settings:
    """Return the settings of the installation, in which a minute is as long as a second elsewhere."""
    return Settings(
        home=home,
        database_url=database_url,
        smtp_url=smtp_url,
        broker_url=broker_url,
        secret_key="a-secret-key-that-only-chaos-knows-about",
        base_url="https://news.example.org",
        postal_address="12 Abdrakhmanov Street, Bishkek",
        zone=ZONE.key,
        wait_factor=1 / 60,
    )


def fan_out_newsroom(settings: Settings, deliveries: int, *, seed: int) -> None:
    """Make tables, articles and readers in an empty database, and fan an edition out to at least *deliveries*."""
    app = build_app(settings, clock=fixed_clock(NOW), dispatcher=RecordingDispatcher())
    try:
        metadata.create_all(app.database.engine)
        _bring_in(app)
        readers = read_subscriber_file(_readers(int(deliveries * READERS_WITHOUT_ITEMS), seed), name="readers.csv")
        report = import_subscribers(app, LIST, readers, name="readers.csv", basis="signed up at the front desk")
        assert [] == report.refusals
        fan_out_edition(app, start_send(app, LIST, Cadence.WEEKLY, actor="chaos"))
    finally:
        app.database.dispose()


def _bring_in(app: App) -> None:
    load_topic_file(app, TOPICS)
    draft = ListDraft(
        slug=LIST,
        titles={"en": "News", "ru": "Новости", "ky": "Жаңылыктар"},
        from_address="news@newsroom.example",
        cadences=(Cadence.WEEKLY,),
        since=NOW - timedelta(days=60),
    )
    add_list(app, draft)
    for path in ARTICLES:
        import_articles(app, path, source=path.stem)


def _readers(count: int, seed: int) -> bytes:
    """Return *count* readers as staff would import them, with choices that many share."""
    chance = random.Random(seed)
    slugs = [line.split(":", 1)[1].strip() for line in TOPICS.read_text().splitlines() if "slug:" in line]
    kinds = [kind.value for kind in Kind]
    choices = [
        (
            chance.choice(LANGUAGES),
            "|".join(chance.sample(slugs, chance.randint(0, 4))),
            "|".join(chance.sample(kinds, chance.randint(0, 2))),
        )
        for _ in range(CHOICES)
    ]
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["address", "language", "topics", "kinds"])
    for number in range(count):
        table.writerow([f"reader.{number}@readers.example", *chance.choice(choices)])
    return text.getvalue().encode()
