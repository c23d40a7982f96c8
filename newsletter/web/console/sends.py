"""Starting a send in the console: what would be sent is shown first; what the checks find is read before it goes."""

from dataclasses import dataclass
from datetime import timedelta

from starlette.responses import Response

from newsletter.domain.editions import EditionState, SkipReason
from newsletter.domain.lists import Cadence
from newsletter.domain.staff import Role
from newsletter.errors import ConflictError
from newsletter.rendering.words import cadence_name
from newsletter.services import editions as service
from newsletter.services.edition_checks import check_edition
from newsletter.services.lists import list_lists, show_list
from newsletter.services.reports import find_progress, list_progress
from newsletter.services.sends import (
    SendPlan,
    choose_cadence,
    find_under_way,
    plan_articles,
    plan_send,
    send_pending_articles,
    start_send,
)
from newsletter.web.choices import language_options, read_cadence
from newsletter.web.console.desk import Desk, Place

MOST_TITLES = 12
MOST_WAITING = 50
DRAFT = "draft"


@dataclass(frozen=True, slots=True)
class Sendable:
    """A list and one of its cadences, by which something can be sent."""

    slug: str
    title: str
    cadence: Cadence
    cadence_title: str


def _send_page(desk: Desk) -> Response:
    slug = desk.asked("list")
    if not slug:
        return desk.page("send", sendables=_sendables(desk))
    title = show_list(desk.app, slug).mailing_list.title(desk.visit.language.code)
    cadence = read_cadence(desk.asked("cadence"))
    if cadence is Cadence.IMMEDIATE:
        articles = plan_articles(desk.app, slug)
        return desk.page("send_articles", slug=slug, title=title, plan=articles, most=MOST_TITLES)
    try:
        plan = plan_send(desk.app, slug, cadence)
    except ConflictError as error:  # this slot has been sent, or waits for review: there is nothing to start
        return desk.page(
            "send_taken",
            slug=slug,
            title=title,
            words=str(error),
            under_way=find_under_way(desk.app, slug, cadence),
            waiting=_find_waiting(desk, slug, cadence),
        )
    return desk.page(
        "send_plan",
        slug=slug,
        title=title,
        plan=plan,
        cadence_title=cadence_name(desk.visit.language, plan.cadence),
        slot_at=desk.time(plan.slot_at),
        languages=[
            (name, plan.languages[code]) for code, name, _ in language_options(sorted(plan.languages), desk.visit)
        ],
        pace=_pace(desk, plan.readers),
        why_nothing=_why_nothing(desk, plan),
        most=MOST_TITLES,
    )


def _find_waiting(desk: Desk, slug: str, cadence: Cadence | None) -> int | None:
    """Return the edition of a list that waits for review, the newest; None: none does."""
    found = list_progress(desk.app, slug=slug, state=EditionState.REVIEW, limit=MOST_WAITING)
    return next((each.edition_id for each in found if cadence in (None, each.cadence)), None)


def _sendables(desk: Desk) -> list[Sendable]:
    language = desk.visit.language
    return [
        Sendable(each.slug, each.title(language.code), cadence, cadence_name(language, cadence))
        for each in (facts.mailing_list for facts in list_lists(desk.app))
        for cadence in each.cadences
    ]


def _pace(desk: Desk, mails: int) -> str:
    """Say how long so many mails take at the rate that the relays' URLs allow."""
    language, relays = desk.visit.language, desk.app.relays
    if not relays:
        return language.gettext("They wait: no relay is configured.")
    if any(relay.rate is None for relay in relays):
        return language.gettext("The first at once, the others as fast as the relay takes them.")
    rate = sum(relay.rate or 0 for relay in relays)
    return language.gettext(
        "The first at once, the last after about %(time)s, at %(rate)s a second.",
        time=str(timedelta(seconds=round(mails / rate))),
        rate=language.format_number(rate),
    )


def _why_nothing(desk: Desk, plan: SendPlan) -> str:
    """Say why nothing would be sent; nothing where something would be."""
    language = desk.visit.language
    if plan.skip_reason is None:
        return ""
    if plan.skip_reason is SkipReason.NO_READERS:
        return language.gettext("Nobody reads it at this cadence.")
    if plan.items:
        return language.gettext("The new articles are nothing that any reader chose.")
    return language.gettext("No article is new for this newsletter.")


def _send(desk: Desk) -> Response:
    """Compose what was shown; let it go, now or at a time, unless a draft was asked for or the checks find anything."""
    slug = desk.value("list")
    cadence = choose_cadence(show_list(desk.app, slug).mailing_list, read_cadence(desk.value("cadence")))
    if cadence is Cadence.IMMEDIATE:
        send_pending_articles(desk.app, slug)
        return desk.to("/editions", list=slug, done="articles-sent")
    at, is_draft = desk.moment("at"), desk.value("how") == DRAFT
    edition_id = start_send(
        desk.app,
        slug,
        cadence,
        actor=desk.account.email,
        is_draft=True,
        tells_staff=is_draft,
        canary=desk.value("canary"),
    )
    if find_progress(desk.app, edition_id).state is not EditionState.REVIEW:
        return desk.to(f"/editions/{edition_id}")  # there was nothing to send after all; the page says why
    if is_draft:
        return desk.to(f"/editions/{edition_id}", done="composed")
    if check_edition(desk.app, edition_id):
        return desk.to(f"/editions/{edition_id}", done="to-read", at=desk.value("at"))
    if at:
        service.schedule_edition(desk.app, edition_id, at)
        return desk.to(f"/editions/{edition_id}", done="scheduled")
    service.approve_edition(desk.app, edition_id, actor=desk.account.email)
    return desk.to(f"/editions/{edition_id}", done="approved")


PLACES = (
    Place("GET", "/send", Role.EDITOR, _send_page, "send"),
    Place("POST", "/send", Role.EDITOR, _send, "send-post"),
)
