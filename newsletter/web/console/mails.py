"""Mails in the console: what became of each, and of all of them by provider and over time."""

from collections import defaultdict
from typing import Any

from starlette.responses import Response

from newsletter.domain.deliveries import ENDED, DeliveryState
from newsletter.domain.providers import PROVIDERS
from newsletter.domain.replies import Verdict
from newsletter.domain.staff import Role
from newsletter.services.inquiries import list_mails, tell_story
from newsletter.services.outcomes import EditionOutcome, list_outcomes
from newsletter.web.console.charts import columns, provider_bars
from newsletter.web.console.desk import Desk, Place
from newsletter.web.console.words import delivery_state

PAGE = 50
ANSWERS = (*(verdict.value for verdict in Verdict), "unknown")


def _mails(desk: Desk) -> Response:
    """Show the last editions' mails by provider and over time; to operators single ones too, with their addresses."""
    language = desk.visit.language
    outcomes = list_outcomes(desk.app)
    return desk.page(
        "mails",
        bars=provider_bars(_summed(outcomes)),
        over_time=[(each, desk.time(each.at), *_ends(each)) for each in outcomes],
        chart=columns(
            [(language.format_day(each.at, near=desk.app.clock()), *_ends(each)) for each in outcomes],
        ),
        **(_single_mails(desk) if desk.is_operator else {}),
    )


def _single_mails(desk: Desk) -> dict[str, Any]:
    """Return mails by what became of them, as the page's form asks."""
    state, provider, answer = desk.asked("state"), desk.asked("provider"), desk.asked("answer")
    edition, after = desk.asked("edition"), desk.asked("after")
    found = list_mails(
        desk.app,
        edition_id=_whole(edition),
        states=[DeliveryState(state)] if state in set(DeliveryState) else [],
        answer=answer if answer in ANSWERS else None,
        provider=provider if provider in PROVIDERS else None,
        after=_whole(after) or 0,
        limit=PAGE + 1,
    )
    language = desk.visit.language
    return {
        "rows": [(each, delivery_state(language, each.state), desk.time(each.state_at)) for each in found[:PAGE]],
        "next_after": found[PAGE - 1].id if len(found) > PAGE else None,
        "states": [(each.value, delivery_state(language, each)) for each in DeliveryState],
        "providers": PROVIDERS,
        "answers": ANSWERS,
        "asked": {"state": state, "provider": provider, "answer": answer, "edition": edition},
    }


def _whole(text: str) -> int | None:
    """Return what a filter names by number; None: nothing that could be one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None  # noqa: PLR2004  fits an id


def _summed(outcomes: list[EditionOutcome]) -> dict[str, dict[DeliveryState, int]]:
    total: dict[str, dict[DeliveryState, int]] = defaultdict(lambda: defaultdict(int))
    for outcome in outcomes:
        for provider, states in outcome.by_provider.items():
            for state, count in states.items():
                total[provider][state] += count
    return total


def _ends(outcome: EditionOutcome) -> tuple[int, int]:
    """Return how many mails of an edition were accepted, and how many came to another end."""
    counts = [item for states in outcome.by_provider.values() for item in states.items()]
    accepted = sum(count for state, count in counts if state is DeliveryState.ACCEPTED)
    ended = sum(count for state, count in counts if state in ENDED)
    return accepted, ended - accepted


def _story(desk: Desk) -> Response:
    """Tell one mail's story, or all of a reader's, by a number or an address."""
    subject = desk.asked("of")
    stories = tell_story(desk.app, subject) if subject else []
    language = desk.visit.language
    return desk.page(
        "story",
        subject=subject,
        stories=[(each, delivery_state(language, each.mail.state), desk.time(each.mail.state_at)) for each in stories],
    )


PLACES = (
    Place("GET", "/mails", Role.EDITOR, _mails, "mails"),
    Place("GET", "/mails/story", Role.OPERATOR, _story, "story"),
)
