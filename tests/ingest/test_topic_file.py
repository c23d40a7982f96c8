"""A file of topics is read whole or refused with the topic and field that is wrong."""

import json

import pytest

from newsletter.errors import InvalidError
from newsletter.ingest.topic_file import read_topics

YAML = """
scheme: https://example.org/topics
topics:
  - slug: water
    labels: {en: Water, ru: Вода}
    rules:
      en: [clean water, sanitation, clean water]
      ru: ["водоснабж*"]
    apply: true
  - slug: rivers
    labels: {en: Rivers}
    parent: water
"""


def test_yaml_gives_topics_with_labels_rules_and_parents():
    water, rivers = read_topics("topics.yaml", YAML.encode())

    assert {"en": "Water", "ru": "Вода"} == water.topic.labels
    assert {"en": ("clean water", "sanitation"), "ru": ("водоснабж*",)} == water.topic.rules
    assert water.topic.applies_rules
    assert "https://example.org/topics" == water.topic.scheme
    assert ("water", False, {}) == (rivers.parent, rivers.topic.applies_rules, rivers.topic.rules)


def test_json_says_the_same():
    (topic,) = read_topics("topics.json", json.dumps([{"slug": "water", "labels": {"en": "Water"}}]).encode())

    assert ("water", "", None) == (topic.topic.slug, topic.topic.scheme, topic.parent)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("topics: []", "a list of topics", id="none"),
        pytest.param("7", "a list of topics", id="a number"),
        pytest.param("topics: [7]", "topic 1: must have a slug and labels", id="no topic"),
        pytest.param("topics: [{slug: A B, labels: {en: x}}]", "topic 1: slug: 'A B' must be", id="slug"),
        pytest.param("topics: [{slug: a}]", "topic 'a': labels: must be by language", id="no labels"),
        pytest.param("topics: [{slug: a, labels: {en: 7}}]", "labels.en: must be a text", id="label"),
        pytest.param("topics: [{slug: a, labels: {english: x}}]", "'english' is no language code", id="language"),
        pytest.param("topics: [{slug: a, labels: {no: x}}]", "in quotes", id="Norwegian"),
        pytest.param("topics: [{slug: a, labels: {en: x}, rule: {}}]", "'rule' is no field", id="unknown field"),
        pytest.param("topics: [{slug: a, labels: {en: x}, apply: maybe}]", "apply: must be true or false", id="apply"),
        pytest.param("topics: [{slug: a, labels: {en: x}, rules: {en: x}}]", "must be a list of words", id="rules"),
        pytest.param("topics: [{slug: a, labels: {en: x}, rules: {en: ['a*']}}]", "star", id="short stem"),
        pytest.param("topics: [{slug: a, labels: {en: x}, parent: [b]}]", "parent: must be a slug", id="parent"),
        pytest.param("topics: [{slug: a, labels: {en: x}}, {slug: a, labels: {en: y}}]", "stands twice", id="twice"),
        pytest.param("title: x\ntopics: []", "'title' is no field", id="unknown top"),
        pytest.param("topics: [", "no valid YAML", id="cut off"),
    ],
)
def test_a_wrong_file_is_refused_by_topic_and_field(content, reason):
    with pytest.raises(InvalidError) as caught:
        read_topics("t.yaml", content.encode())

    assert str(caught.value).startswith("t.yaml: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize("content", ["[", "[" * 100_000])
def test_a_broken_json_file_is_refused(content):
    with pytest.raises(InvalidError, match=r"t\.json: no valid JSON"):
        read_topics("t.json", content.encode())
