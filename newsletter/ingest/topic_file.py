"""Topic files: a scheme of topics with labels and rules, in YAML or JSON."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from newsletter.domain.drafts import UnusableError
from newsletter.domain.prose import normalise
from newsletter.domain.topics import Topic, check_phrase
from newsletter.errors import InvalidError
from newsletter.ingest.decoding import decode
from newsletter.ingest.markdown import read_yaml

LARGEST_FILE = 1024 * 1024
MOST_TOPICS = 2000
LONGEST_LABEL = 200
LONGEST_PHRASE = 200
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})?")
_FIELDS = frozenset({"slug", "labels", "parent", "rules", "apply"})


@dataclass(frozen=True, slots=True)
class StatedTopic:
    """A topic as a file states it, with its parent's slug; its ids are not known yet."""

    topic: Topic
    parent: str | None


def read_topics(name: str, content: bytes) -> list[StatedTopic]:
    """Read `topics`, a list of {slug, labels, parent, rules, apply}, and the `scheme` that they are of.

    Raises:
        InvalidError: it is not that; the message names the topic and the field.
    """
    if len(content) > LARGEST_FILE:
        raise InvalidError(f"{name}: a file of topics has at most 1 MB")
    try:
        return _read(_parse(name, decode(content).text))
    except (InvalidError, ValueError) as error:
        raise InvalidError(f"{name}: {error}") from error


def _parse(name: str, text: str) -> Any:
    if PurePath(name).suffix.lower() != ".json":
        return read_yaml(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"no valid JSON: {error}") from error


def _read(value: Any) -> list[StatedTopic]:
    scheme, given = "", value
    if isinstance(value, Mapping):
        scheme, given = value.get("scheme") or "", value.get("topics")
        if unknown := [str(each) for each in value if each not in ("scheme", "topics")]:
            raise UnusableError(f"{unknown[0]!r} is no field; a file of topics has `scheme` and `topics`")
    if not isinstance(scheme, str) or not isinstance(given, list) or not given:
        raise UnusableError("it must hold `topics`, a list of topics with slug and labels")
    if len(given) > MOST_TOPICS:
        raise UnusableError(f"{len(given):,} topics; at most {MOST_TOPICS:,} are taken")
    stated: dict[str, StatedTopic] = {}
    for position, each in enumerate(given, start=1):
        topic = _topic(each, position, normalise(scheme))
        if topic.topic.slug in stated:
            raise UnusableError(f"topic {topic.topic.slug!r} stands twice")
        stated[topic.topic.slug] = topic
    return list(stated.values())


def _topic(given: Any, position: int, scheme: str) -> StatedTopic:
    if not isinstance(given, Mapping):
        raise UnusableError(f"topic {position}: must have a slug and labels")
    slug = given.get("slug")
    if not isinstance(slug, str) or not _SLUG.fullmatch(slug) or len(slug) > 80:  # noqa: PLR2004  the column's length
        raise UnusableError(f"topic {position}: slug: {slug!r} must be small letters, digits and single hyphens")
    if unknown := [str(each) for each in given if each not in _FIELDS]:
        raise UnusableError(f"topic {slug!r}: {unknown[0]!r} is no field; known are {', '.join(sorted(_FIELDS))}")
    parent = given.get("parent")
    if parent is not None and not isinstance(parent, str):
        raise UnusableError(f"topic {slug!r}: parent: must be a slug")
    apply = given.get("apply", False)
    if not isinstance(apply, bool):
        raise UnusableError(f"topic {slug!r}: apply: must be true or false")
    topic = Topic(
        id=0,
        slug=slug,
        scheme=scheme,
        parent_id=None,
        position=0,
        labels=_labels(given.get("labels"), slug),
        rules=_rules(given.get("rules") or {}, slug),
        applies_rules=apply,
    )
    return StatedTopic(topic, parent)


def _labels(given: Any, slug: str) -> dict[str, str]:
    if not isinstance(given, Mapping) or not given:
        raise UnusableError(f"topic {slug!r}: labels: must be by language, like {{en: Water, ru: Вода}}")
    labels = {}
    for language, label in given.items():
        _check_language(language, slug)
        if not isinstance(label, str) or not normalise(label) or len(label) > LONGEST_LABEL:
            raise UnusableError(
                f"topic {slug!r}: labels.{language}: must be a text of up to {LONGEST_LABEL} characters"
            )
        labels[language] = normalise(label)
    return labels


def _rules(given: Any, slug: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, Mapping):
        raise UnusableError(f"topic {slug!r}: rules: must be by language, like {{en: [clean water, sanitation]}}")
    rules = {}
    for language, phrases in given.items():
        _check_language(language, slug)
        if not isinstance(phrases, list) or not all(isinstance(each, str) for each in phrases):
            raise UnusableError(f"topic {slug!r}: rules.{language}: must be a list of words and phrases")
        if any(len(phrase) > LONGEST_PHRASE for phrase in phrases):
            raise UnusableError(f"topic {slug!r}: rules.{language}: a phrase has at most {LONGEST_PHRASE} characters")
        try:
            rules[language] = tuple(sorted({check_phrase(phrase) for phrase in phrases}))
        except ValueError as error:
            raise UnusableError(f"topic {slug!r}: rules.{language}: {error}") from error
    return {language: phrases for language, phrases in rules.items() if phrases}


def _check_language(language: Any, slug: str) -> None:
    if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
        raise UnusableError(f'topic {slug!r}: {language!r} is no language code; write it like en (in quotes: "no")')
