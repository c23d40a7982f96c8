"""Confirming and changing a subscription by a mailed link; following a link shows a page, only its button acts."""

from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum

from starlette.responses import Response
from starlette.routing import Route

from newsletter.domain.subscriptions import Confirmation, is_paused
from newsletter.errors import ConflictError, InvalidError
from newsletter.mail.tokens import TokenPurpose
from newsletter.rendering.words import kinds_name
from newsletter.services import private_feeds
from newsletter.services.choices import change_choice, choose_lists
from newsletter.services.confirmations import confirm, disown, look_at_confirmation
from newsletter.services.context import App
from newsletter.services.filters import NamedFilter
from newsletter.services.history import SentArticle, SentEdition, read_history
from newsletter.services.offers import Preferences, find_preferences
from newsletter.services.pauses import longest_pause, pause_until, resume
from newsletter.services.requests import ask_for_address, ask_for_data, ask_for_erasure
from newsletter.web.choices import cadence_options, kind_options, language_options, read_cadence, topic_options
from newsletter.web.discovery import NAMES as FEED_NAMES
from newsletter.web.links import link_to, private, read_token
from newsletter.web.visits import Visit, endpoint

SAVED = 200
TOO_LATE = (Confirmation.EXPIRED, Confirmation.ENDED)


class Notice(StrEnum):
    """What the page of preferences says above everything else after a button was pressed."""

    SAVED = "saved"
    PAUSED = "paused"
    RESUMED = "resumed"
    MAILED = "mailed"
    ADDRESS_MAILED = "address_mailed"
    REFUSED = "refused"
    NO_DAY = "no_day"
    NO_ADDRESS = "no_address"
    TOO_MANY = "too_many"


def routes(app: App) -> list[Route]:
    """Return the routes of confirmation and preferences."""
    methods = ["GET", "POST"]
    preferences = endpoint(app, private(_preferences), hides_time=True)
    return [
        Route("/confirm/{token}", endpoint(app, private(_confirm)), methods=methods, name="confirm"),
        Route("/preferences/{token}", preferences, methods=methods, name="preferences"),
        Route("/preferences/{token}/sent", endpoint(app, private(_sent)), name="sent"),
    ]


def _confirm(visit: Visit) -> Response:
    uid = read_token(visit, TokenPurpose.CONFIRM)
    if visit.value("action") == "not-me":
        disown(visit.app, uid)
        return visit.page("disowned")
    asked = look_at_confirmation(visit.app, uid)
    visit = visit.speaking(asked.standing.latest.language)
    waited = asked.waiting
    if visit.is_post:
        chosen = visit.values("list") if visit.value("has-lists") else None
        confirm(visit.app, uid, slugs=chosen, evidence=visit.evidence)
        asked = look_at_confirmation(visit.app, uid)
    if asked.decision in TOO_LATE:
        return visit.page("confirm_late", status=410)
    if asked.waiting and not visit.is_post:
        lists = [each.mailing_list for each in asked.waiting]
        return visit.page("confirm", lists=lists, is_denied="not-me" in visit.request.query_params)
    live = asked.standing.live
    wait = {each.mailing_list.slug for each in asked.waiting}
    return visit.page(
        "confirmed",
        list=asked.standing.mailing_list,
        lists=[each.mailing_list for each in waited if each.mailing_list.slug not in wait],
        is_confirmed=asked.decision is Confirmation.ALREADY,
        preferences_url=link_to(visit, TokenPurpose.PREFERENCES, live.uid) if live else "",
    )


def _preferences(visit: Visit) -> Response:
    uid = read_token(visit, TokenPurpose.PREFERENCES)
    current = find_preferences(visit.app, uid)
    visit = visit.speaking(current.standing.latest.language)  # what was read goes on record in its language
    if current.standing.live is None:
        return _gone(visit, current)
    if not visit.is_post:
        return _show(visit, current)
    act = _ACTIONS.get(visit.value("action") or "choose")
    try:
        notice = act(visit, uid) if act else Notice.REFUSED
    except InvalidError:
        notice = Notice.REFUSED
    except ConflictError:  # left by another window in the meantime
        notice = Notice.REFUSED
    current = find_preferences(visit.app, uid)
    if current.standing.live is None:
        mailing_list = current.standing.mailing_list
        return visit.speaking(current.standing.latest.language).page(
            "left", list=mailing_list, action_url=_leave(visit, uid)
        )
    return _show(visit, current, notice)


def _choose(visit: Visit, uid: str) -> Notice:
    wanted = NamedFilter(
        topics=visit.values("topic"), kinds=visit.values("kind"), languages=visit.values("article-language")
    )
    cadence = read_cadence(visit.value("cadence"))
    if cadence is None:
        return Notice.REFUSED
    language = visit.value("language")
    change_choice(visit.app, uid, cadence=cadence, language=language, wanted=wanted, evidence=visit.evidence)
    return Notice.SAVED


def _pause(visit: Visit, uid: str) -> Notice:
    try:
        day = date.fromisoformat(visit.value("until"))
        pause_until(visit.app, uid, day, catches_up=bool(visit.value("catch-up")), evidence=visit.evidence)
    except (ValueError, InvalidError):
        return Notice.NO_DAY
    return Notice.PAUSED


def _resume(visit: Visit, uid: str) -> Notice:
    resume(visit.app, uid, evidence=visit.evidence)
    return Notice.RESUMED


def _lists(visit: Visit, uid: str) -> Notice:
    basis = visit.language.gettext("Your newsletters")
    choose_lists(visit.app, uid, visit.values("list"), basis=basis, evidence=visit.evidence)
    return Notice.SAVED


def _feed(visit: Visit, uid: str) -> Notice:
    private_feeds.renew(visit.app, uid)
    return Notice.SAVED


def _no_feed(visit: Visit, uid: str) -> Notice:
    private_feeds.revoke(visit.app, uid)
    return Notice.SAVED


def _mailed(ask: Callable[[Visit, str], object], notice: Notice) -> Callable[[Visit, str], Notice]:
    def act(visit: Visit, uid: str) -> Notice:
        try:
            ask(visit, uid)
        except ConflictError:
            return Notice.TOO_MANY
        except InvalidError:
            return Notice.NO_ADDRESS
        return notice

    return act


_ACTIONS: Mapping[str, Callable[[Visit, str], Notice]] = {
    "choose": _choose,
    "pause": _pause,
    "resume": _resume,
    "lists": _lists,
    "address": _mailed(
        lambda visit, uid: ask_for_address(visit.app, uid, visit.value("address")), Notice.ADDRESS_MAILED
    ),
    "download": _mailed(lambda visit, uid: ask_for_data(visit.app, uid), Notice.MAILED),
    "feed": _feed,
    "no-feed": _no_feed,
    "erase": _mailed(lambda visit, uid: ask_for_erasure(visit.app, uid), Notice.MAILED),
}
"""What each form of the page does."""

_STATUS = {Notice.REFUSED: 422, Notice.NO_DAY: 422, Notice.NO_ADDRESS: 422, Notice.TOO_MANY: 429}


def _sent(visit: Visit) -> Response:
    uid = read_token(visit, TokenPurpose.PREFERENCES)
    before = visit.request.query_params.get("before", "")
    found = read_history(visit.app, uid, before=int(before) if before.isdecimal() and len(before) < 19 else None)  # noqa: PLR2004  # digits of a 64-bit id
    visit = visit.speaking(found.standing.latest.language)
    here = f"/preferences/{visit.request.path_params['token']}"
    return visit.page(
        "sent",
        editions=[(each, _sent_facts(visit, each)) for each in found.editions],
        older_url=visit.link(f"{here}/sent?before={found.older}") if found.older else "",
        preferences_url=visit.link(here),
    )


def _sent_facts(visit: Visit, edition: SentEdition) -> dict[str, object]:
    zone = edition.mailing_list.schedule.zone_info
    path = f"/archive/{edition.mailing_list.slug}/{edition.slot_key}/{edition.language}/{edition.digest[:16]}"
    return {
        "day": visit.language.format_date(edition.sent_at.astimezone(zone)),
        "url": f"{visit.app.settings.base_url}{path}" if edition.mailing_list.is_public else "",
        "articles": [
            {
                "sent": each,
                "url": each.shown.url or visit.link(f"/articles/{each.article.uid}"),
                "why": _why(visit, each),
            }
            for each in edition.articles
        ],
    }


def _why(visit: Visit, sent: SentArticle) -> str:
    """Say which of the reader's choices brought an article."""
    topics = [topic.label(visit.language.code) for topic in sent.topics]
    kinds = [kinds_name(visit.language, sent.kind)] if sent.kind else []
    if not topics and not kinds:
        return visit.language.gettext("You chose everything of this newsletter.")
    return visit.language.gettext("You chose: %(choices)s", choices=", ".join(topics + kinds))


def _gone(visit: Visit, current: Preferences) -> Response:
    latest = current.standing.latest
    return visit.speaking(latest.language).page("left_before", status=410, list=current.standing.mailing_list)


def _leave(visit: Visit, uid: str) -> str:
    return link_to(visit, TokenPurpose.UNSUBSCRIBE, uid)


def _show(visit: Visit, current: Preferences, notice: Notice | None = None) -> Response:
    latest = current.standing.latest
    visit = visit.speaking(latest.language)
    mailing_list = current.standing.mailing_list
    kinds = kind_options(current.offer.kinds, visit.language)
    zone = mailing_list.schedule.zone_info
    first, last = longest_pause(visit.app.clock().astimezone(zone))
    pause = latest.pause if is_paused(latest) else None
    own_feed = private_feeds.address_of(visit.app, latest.uid) or {}
    return visit.page(
        "preferences",
        status=_STATUS.get(notice, SAVED) if notice else SAVED,
        notice=notice,
        list=mailing_list,
        latest=latest,
        chosen=current.chosen,
        cadences=cadence_options(mailing_list.cadences, visit.language),
        languages=language_options(mailing_list.languages, visit),
        topics=topic_options(current.offer.topics, visit.language),
        kinds=kinds if len(kinds) > 1 else [],
        article_languages=language_options(current.offer.languages, visit),
        pause=pause,
        paused_until=visit.language.format_date(pause.until.astimezone(zone)) if pause else "",
        first_day=first.isoformat(),
        last_day=last.isoformat(),
        lists=[(each.slug, each.title(visit.language.code), False) for each in current.lists],
        held=current.held,
        feeds=[(FEED_NAMES[form], url) for form, url in own_feed.items()],
        sent_url=visit.link(f"/preferences/{visit.request.path_params['token']}/sent"),
        unsubscribe_url=_leave(visit, latest.uid),
    )
