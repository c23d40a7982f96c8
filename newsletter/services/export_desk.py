"""Exports of what the newsroom set up beside its lists: sources, accounts, API clients, limits; without any secret."""

import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from newsletter.services.api import list_api_clients
from newsletter.services.context import App
from newsletter.services.limits import list_limits
from newsletter.services.sources import SourceFacts, list_sources
from newsletter.services.staff import list_accounts


def export_sources(app: App) -> Iterator[dict[str, Any]]:
    """Yield where articles come from, each polled one with the command that polls it elsewhere."""
    for each in list_sources(app):
        facts: dict[str, Any] = {"slug": each.count.slug, "title": each.count.title}
        if each.poll:
            facts |= {
                "url": each.poll.url,
                "kind": each.poll.kind,
                "topics": list(each.poll.topics),
                "language": each.poll.language,
                "every_minutes": each.poll.every_minutes,
                "full_text": each.poll.takes_full_text,
                "state": each.poll.state.value,
                "state_reason": each.poll.state_reason,
                "added_at": _time(each.poll.added_at),
                "added_by": shlex.join(_adding(each)),
            }
        yield facts


def _adding(found: SourceFacts) -> Iterator[str]:
    """Yield the words of the command that polls a source like this one; what it has now is not news there."""
    assert found.poll is not None
    yield from ("newsletter", "sources", "add", found.poll.url, "--kind", found.poll.kind, "--name", found.count.title)
    for topic in found.poll.topics:
        yield from ("--topic", topic)
    if found.poll.language:
        yield from ("--language", found.poll.language)
    if found.poll.every_minutes:
        yield from ("--every", str(found.poll.every_minutes))
    if not found.poll.takes_full_text:
        yield "--no-full-text"


def export_accounts(app: App) -> Iterator[dict[str, Any]]:
    """Yield who may use the console; passwords are not among it, `newsletter staff add` makes new ones."""
    for each in list_accounts(app):
        yield {
            "email": each.email,
            "role": each.role.value,
            "created_at": _time(each.created_at),
            "disabled_at": _time(each.disabled_at),
        }


def export_api_clients(app: App) -> Iterator[dict[str, Any]]:
    """Yield which programs may bring articles in, without their tokens."""
    for each in list_api_clients(app):
        yield {
            "name": each.name,
            "source": each.source,
            "created_at": _time(each.created_at),
            "revoked_at": _time(each.revoked_at),
        }


def export_limits(app: App) -> Iterator[dict[str, Any]]:
    """Yield the limits that staff set."""
    for each in list_limits(app):
        yield {
            "name": each.name,
            "rate": each.rate,
            "concurrency": each.concurrency,
            "per_connection": each.per_connection,
        }


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
