"""The edition that all chaos scenarios send: compiled by the real services once, then copied."""

import csv
import io
import random
from pathlib import Path

from benchmarks.edition import ARTICLE_FILES, LANGUAGES, ZONE, fan_out_to, topic_slugs
from newsletter.config import Settings
from newsletter.domain.articles import Kind
from newsletter.storage.engine import connect
from newsletter.storage.schema import metadata

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
    database = connect(settings.database)
    metadata.create_all(database.engine)
    database.dispose()
    fan_out_to(settings, _readers(int(deliveries * READERS_WITHOUT_ITEMS), seed), *ARTICLE_FILES)


def _readers(count: int, seed: int) -> bytes:
    """Return *count* readers as staff would import them, with choices that many share."""
    chance = random.Random(seed)
    languages, slugs = list(LANGUAGES), topic_slugs()
    kinds = [kind.value for kind in Kind]
    choices = [
        (
            chance.choice(languages),
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
