"""Editions in the console: listed, looked at, checked, let go, stopped."""

from dataclasses import dataclass

from starlette.responses import Response

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import ENDED, EditionPurpose, EditionState
from newsletter.domain.staff import Role
from newsletter.errors import InvalidError, NotFoundError
from newsletter.services import editions as service
from newsletter.services.edition_checks import CheckFinding, CheckLevel, check_edition
from newsletter.services.edition_desk import find_particulars, measure_spans
from newsletter.services.edition_edits import diff_edition
from newsletter.services.editions import Progress
from newsletter.services.progress import follow_edition
from newsletter.services.reports import find_progress, list_progress
from newsletter.web.console.charts import Columns, columns, provider_bars
from newsletter.web.console.desk import Desk, Place
from newsletter.web.console.words import delivery_state, edition_state, exclusion_reason, skip_reason

MOST_LISTED = 50


@dataclass(frozen=True, slots=True)
class EditionRow:
    """An edition as a list of editions shows it."""

    facts: Progress
    state: str
    when: str
    mails: int
    accepted: int
    skipped: str


def row_of(desk: Desk, found: Progress) -> EditionRow:
    """Return an edition for a list of editions."""
    return EditionRow(
        found,
        edition_state(desk.visit.language, found.state),
        desk.time(found.slot_at),
        sum(found.deliveries.values()),
        found.deliveries.get(DeliveryState.ACCEPTED, 0),
        skip_reason(desk.visit.language, found.skip_reason) if found.skip_reason else "",
    )


def _editions(desk: Desk) -> Response:
    asked = desk.asked("state")
    state = EditionState(asked) if asked in set(EditionState) else None
    found = list_progress(desk.app, slug=desk.asked("list") or None, state=state, limit=MOST_LISTED)
    states = [(each.value, edition_state(desk.visit.language, each)) for each in EditionState]
    return desk.page("editions", rows=[row_of(desk, each) for each in found], states=states, chosen=asked)


def _edition(desk: Desk) -> Response:
    """Show an edition: how far it is, what the checks say, and what may be done with it."""
    edition_id = desk.number("edition")
    found = find_progress(desk.app, edition_id)
    status = follow_edition(desk.app, edition_id)
    findings = _checked(desk, edition_id) if found.state is EditionState.REVIEW else []
    about = find_particulars(desk.app, edition_id)
    language = desk.visit.language
    is_over = found.state in (*ENDED, EditionState.REVIEW)
    return desk.page(
        "edition",
        live=not is_over,
        is_over=is_over,
        row=row_of(desk, found),
        about=about,
        is_digest=about.purpose is EditionPurpose.DIGEST,
        goes_out=desk.time(about.review_until),
        deadline=desk.time(about.deadline_at),
        skipped=skip_reason(language, found.skip_reason) if found.skip_reason else "",
        left=[(exclusion_reason(language, name), count) for name, count in sorted(found.exclusions.items())],
        follow=status,
        next_due=desk.time(status.next_due_at),
        bars=provider_bars(status.by_provider),
        spans=_spans(desk, edition_id) if status.ended else None,
        states=[(delivery_state(language, each), count) for each, count in sorted(status.deliveries.items())],
        doubts=status.deliveries.get(DeliveryState.IN_DOUBT, 0),
        failed=status.deliveries.get(DeliveryState.FAILED, 0),
        items=diff_edition(desk.app, edition_id).edited,
        findings=findings,
        errors=sum(each.level is CheckLevel.ERROR for each in findings),
        paused_by=found.paused_by,
        at=desk.asked("at"),
    )


def _spans(desk: Desk, edition_id: int) -> Columns:
    """Return an edition's mails over time, as they were accepted and as they failed."""
    return columns(
        [
            (desk.time(each.begins_at, seconds=True), each.accepted, each.failed)
            for each in measure_spans(desk.app, edition_id)
        ]
    )


def _checked(desk: Desk, edition_id: int, *, asks_links: bool = False) -> list[CheckFinding]:
    try:
        return check_edition(desk.app, edition_id, asks_links=asks_links)
    except NotFoundError:  # nothing has been composed for it
        return []


def _check(desk: Desk) -> Response:
    """Check with the links, too: their servers are asked, so it is a button and no page to stumble into."""
    edition_id = desk.number("edition")
    findings = check_edition(desk.app, edition_id, asks_links=True)
    found = find_progress(desk.app, edition_id)
    return desk.page("check", row=row_of(desk, found), findings=findings)


def _approve(desk: Desk) -> Response:
    """Let an edition go out, at once or at a time; warnings hold it unless the form says that they were read."""
    edition_id = desk.number("edition")
    findings = check_edition(desk.app, edition_id)
    if findings and not desk.value("read"):
        raise InvalidError(
            desk.visit.language.gettext("The checks found something new. Look at it, tick the box, and approve again.")
        )
    if at := desk.moment("at"):
        service.schedule_edition(desk.app, edition_id, at)
        return desk.to(f"/editions/{edition_id}", done="scheduled")
    service.approve_edition(desk.app, edition_id, actor=desk.account.email)
    return desk.to(f"/editions/{edition_id}", done="approved")


def _pause(desk: Desk) -> Response:
    edition_id = desk.number("edition")
    service.pause_edition(desk.app, edition_id, reason=desk.value("reason"))
    return desk.to(f"/editions/{edition_id}", done="paused")


def _resume(desk: Desk) -> Response:
    edition_id = desk.number("edition")
    service.resume_edition(desk.app, edition_id, canary=desk.value("canary"))
    return desk.to(f"/editions/{edition_id}", done="resumed")


def _cancel(desk: Desk) -> Response:
    edition_id = desk.number("edition")
    if not desk.value("sure"):
        raise InvalidError(desk.visit.language.gettext("Tick the box to say that it is never to be sent."))
    service.cancel_edition(desk.app, edition_id, reason=desk.value("reason"))
    return desk.to(f"/editions/{edition_id}", done="cancelled")


PLACES = (
    Place("GET", "/editions", Role.EDITOR, _editions, "editions"),
    Place("GET", "/editions/{edition}", Role.EDITOR, _edition, "edition"),
    Place("POST", "/editions/{edition}/check", Role.EDITOR, _check, "check"),
    Place("POST", "/editions/{edition}/approve", Role.EDITOR, _approve, "approve"),
    Place("POST", "/editions/{edition}/pause", Role.OPERATOR, _pause, "pause"),
    Place("POST", "/editions/{edition}/resume", Role.OPERATOR, _resume, "resume"),
    Place("POST", "/editions/{edition}/cancel", Role.OPERATOR, _cancel, "cancel"),
)
