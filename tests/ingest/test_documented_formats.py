"""The examples in docs/articles.md are what the code reads."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from newsletter.domain.articles import Kind
from newsletter.ingest import fields, markup
from newsletter.ingest.document import LARGEST_FILE, MOST_ITEMS
from newsletter.ingest.fields import Defaults
from newsletter.ingest.readers import read_document
from newsletter.ingest.topic_file import read_topics

GUIDE = (Path(__file__).parents[2] / "docs" / "articles.md").read_text()
DEFAULTS = Defaults(ZoneInfo("Asia/Bishkek"), "en")


def example(language: str) -> bytes:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    return found.encode()


@pytest.mark.parametrize(("name", "language"), [("a.json", "json"), ("a.md", "markdown")])
def test_an_example_is_read_without_a_remark(name, language):
    (item,) = read_document(name, example(language), DEFAULTS).items

    assert item.draft is not None, item.refusal
    assert () == item.draft.warnings
    assert item.draft.own.title
    assert item.draft.image_url


def test_the_example_of_topics_is_read():
    assert ["clean-water", "rivers"] == [each.topic.slug for each in read_topics("t.yaml", example("yaml"))]


def test_every_field_and_kind_is_described():
    missing = [
        name
        for name in (*fields.ITEM_FIELDS, *fields.IMAGE_FIELDS, *fields.EVENT_FIELDS, *Kind)
        if f"`{name}`" not in GUIDE and f'"{name}"' not in GUIDE
    ]

    assert [] == missing


def test_the_limits_are_those_of_the_code():
    said = (
        f"Limits: {LARGEST_FILE // 1024**2} MB and {MOST_ITEMS:,} items a file, {markup.LONGEST_MARKUP:,} characters "
        f"and 250 levels of markup a body, {fields.MOST_TOPICS} topics an item."
    )

    assert said in " ".join(GUIDE.split())
    assert f"up to {fields.LONGEST_TITLE} and {fields.LONGEST_SUMMARY:,} characters" in GUIDE
