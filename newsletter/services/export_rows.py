"""Rows of exports: an article, a topic, a list, a reader, an edition, as imports and commands read them elsewhere."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from newsletter.domain.articles import ArticleRecord, ArticleState, Translation
from newsletter.domain.lists import WEEKDAYS
from newsletter.domain.subscriptions import EndReason, SubscriptionState
from newsletter.domain.suppressions import SuppressionReason
from newsletter.domain.topics import Topic
from newsletter.services.context import Transaction
from newsletter.services.editions import edition_progress
from newsletter.services.filters import NamedFilter
from newsletter.services.lists import ListFacts
from newsletter.services.sourced_items import source_slug
from newsletter.storage import exports as storage

SUBSCRIBER_COLUMNS = (
    "address",
    "language",
    "cadence",
    "topics",
    "kinds",
    "languages",
    "standing",
    "since",
    "ended_at",
    "reason",
    "paused_until",
    "basis",
)

_SUPPRESSED = {SuppressionReason.HARD_BOUNCE: "bounced", SuppressionReason.COMPLAINT: "complained"}


def article_facts(record: ArticleRecord, slugs: Mapping[int, str], titles: Mapping[str, str]) -> dict[str, Any]:
    """Return an article as `newsletter articles import` reads it; of a withdrawn one, why as well."""
    title = titles.get(record.source, record.source)
    own = record.own_translation
    others = {code: _text(each) for code, each in record.translations.items() if code != record.default_language}
    image = {"url": record.image_url, "width": record.image_width, "height": record.image_height}
    event = record.event
    facts = {
        "id": record.uid,
        "source": title if source_slug(title) == record.source else record.source,
        "kind": record.kind.value,
        "language": record.default_language,
        "published": time_text(record.published_at),
        "updated": time_text(record.updated_at) if record.revision > 1 else None,
        "embargo_until": time_text(record.embargo_until),
        "topics": [slugs[each] for each in record.counting_topics],
        **_text(own),
        "image": {name: value for name, value in image.items() if value} if record.image_url else None,
        "event": {
            name: time_text(value) if isinstance(value, datetime) else value for name, value in asdict(event).items()
        }
        if event
        else None,
        "translations": others,
    }
    if record.state is ArticleState.WITHDRAWN:
        facts |= {"withdrawn_at": time_text(record.withdrawn_at), "withdrawal_reason": record.withdrawal_reason}
    return {name: value for name, value in facts.items() if value not in (None, "", [], {})}


def _text(text: Translation) -> dict[str, Any]:
    facts = {
        "title": text.title,
        "summary": text.summary,
        "html": text.body_html,
        "url": text.url,
        "image_alt": text.image_alt,
        "image_credit": text.image_credit,
    }
    return {name: value for name, value in facts.items() if value}


def topic_facts(topic: Topic, slugs: Mapping[int, str]) -> dict[str, Any]:
    """Return a topic as `newsletter topics load` reads it."""
    facts = {
        "slug": topic.slug,
        "labels": dict(topic.labels),
        "parent": slugs.get(topic.parent_id or 0),
        "rules": {language: list(phrases) for language, phrases in topic.rules.items()},
        "apply": topic.applies_rules,
    }
    return {name: value for name, value in facts.items() if value}


def list_facts(found: ListFacts) -> dict[str, Any]:
    """Return a list's settings, and the command that adds it elsewhere."""
    each = found.mailing_list
    return {
        "slug": each.slug,
        "titles": dict(each.titles),
        "descriptions": dict(each.descriptions),
        "intros": dict(each.intros),
        "from_name": each.from_name,
        "from_address": each.from_address,
        "reply_to": each.reply_to,
        "cadences": [cadence.value for cadence in each.cadences],
        "zone": each.schedule.zone,
        "send_at": f"{each.schedule.send_at:%H:%M}",
        "weekday": WEEKDAYS[each.schedule.weekday],
        "month_day": each.schedule.month_day,
        "languages": list(each.languages),
        "filter": {name: list(values) for name, values in asdict(found.filter).items()},
        "sections": each.sections.value,
        "review_minutes": each.review_minutes,
        "review_hold": each.review_hold,
        "canary": each.canary,
        "canary_limit": each.canary_limit,
        "in_doubt": each.in_doubt_policy.value,
        "since": time_text(each.since),
        "is_public": each.is_public,
        "readers": found.confirmed,
        "added_by": shlex.join(_adding(found)),
    }


def _adding(found: ListFacts) -> Iterator[str]:
    """Yield the words of the command that adds a list like this one."""
    yield from ("newsletter", "lists", "add", found.mailing_list.slug)
    for option, values in _options(found).items():
        for value in values:
            yield from (f"--{option}", value)
    if found.mailing_list.review_hold:
        yield "--review-hold"
    if not found.mailing_list.is_public:
        yield "--hidden"


def _options(found: ListFacts) -> dict[str, Sequence[str]]:
    """Return what `newsletter lists add` is told of a list, by option; what is not said is empty."""
    each, schedule = found.mailing_list, found.mailing_list.schedule
    return {
        "title": _by_language(each.titles),
        "description": _by_language(each.descriptions),
        "intro": _by_language(each.intros),
        "cadence": [cadence.value for cadence in each.cadences],
        "language": each.languages,
        "topic": found.filter.topics,
        "kind": found.filter.kinds,
        "source": found.filter.sources,
        "article-language": found.filter.languages,
        "from": [f"{each.from_name} <{each.from_address}>" if each.from_name else each.from_address],
        "zone": [schedule.zone],
        "at": [f"{schedule.send_at:%H:%M}"],
        "weekday": [WEEKDAYS[schedule.weekday]],
        "month-day": [str(schedule.month_day)],
        "sections": [each.sections.value],
        "in-doubt": [each.in_doubt_policy.value],
        "since": [each.since.isoformat()],
        "reply-to": [each.reply_to] if each.reply_to else [],
        "review": [f"{each.review_minutes}m"] if each.review_minutes else [],
        "canary": [each.canary] if each.canary else [],
        "canary-limit": [] if each.canary_limit is None else [f"{each.canary_limit:g}"],
    }


def _by_language(words: Mapping[str, str]) -> list[str]:
    return [f"{language}={text}" for language, text in words.items()]


def subscriber_row(each: storage.Standing, chosen: NamedFilter, basis: str) -> Sequence[object]:
    """Return a person's row of a list, in the order of `SUBSCRIBER_COLUMNS`."""
    standing = _standing(each)
    is_suppressed = each.suppression is not None
    return (
        each.address,
        each.language,
        each.cadence.value,
        " ".join(chosen.topics),
        " ".join(chosen.kinds),
        " ".join(chosen.languages),
        standing,
        time_text(each.confirmed_at or each.created_at),
        time_text(each.suppressed_at if is_suppressed else each.ended_at),
        (each.suppression or each.end_reason or "") and str(each.suppression or each.end_reason),
        time_text(each.paused_until),
        basis,
    )


def _standing(each: storage.Standing) -> str:
    """Return how a person stands, in the words that `newsletter subscribers import` knows."""
    if each.suppression:
        return _SUPPRESSED.get(each.suppression, "blocked")
    if each.state is SubscriptionState.CONFIRMED:
        return "active"
    if each.state is SubscriptionState.UNCONFIRMED or each.end_reason is EndReason.NEVER_CONFIRMED:
        return "waiting"
    return "left"


def edition_facts(tx: Transaction, edition: Any) -> dict[str, Any]:
    """Return an edition with its numbers and articles; nothing reads it back."""
    found = edition_progress(tx, edition)
    return {
        "id": edition.id,
        "list": found.list_slug,
        "purpose": edition.purpose.value,
        "cadence": found.cadence.value,
        "slot": found.slot_key,
        "slot_at": time_text(found.slot_at),
        "state": found.state.value,
        "skip_reason": found.skip_reason.value if found.skip_reason else None,
        "approved_at": time_text(edition.approved_at),
        "done_at": time_text(found.done_at),
        "readers": found.candidates,
        "mails": {state.value: count for state, count in found.deliveries.items()},
        "no_mail_for": dict(found.exclusions),
        "articles": [
            {"id": uid, "withdrawn_at": time_text(at)} if at else {"id": uid}
            for uid, at in storage.items_by_uid(tx.session, edition.id)
        ],
    }


def time_text(at: datetime | None) -> str:
    """Return a time as all files of an export write it; empty where there is none."""
    return at.isoformat() if at else ""
