"""Confirming and changing a subscription by a mailed link; following a link shows a page, only its button acts."""

from starlette.responses import Response
from starlette.routing import Route

from newsletter.domain.subscriptions import Confirmation
from newsletter.errors import ConflictError, InvalidError
from newsletter.mail.tokens import TokenPurpose
from newsletter.services.context import App
from newsletter.services.filters import NamedFilter
from newsletter.services.offers import Preferences, find_preferences
from newsletter.services.subscriptions import change_choice, confirm, disown, look_at_confirmation
from newsletter.web.choices import cadence_options, kind_options, language_options, read_cadence, topic_options
from newsletter.web.links import link_to, private, read_token
from newsletter.web.visits import Visit, endpoint

SAVED = 200
TOO_LATE = (Confirmation.EXPIRED, Confirmation.ENDED)


def routes(app: App) -> list[Route]:
    """Return the routes of confirmation and preferences."""
    methods = ["GET", "POST"]
    return [
        Route("/confirm/{token}", endpoint(app, private(_confirm)), methods=methods, name="confirm"),
        Route("/preferences/{token}", endpoint(app, private(_preferences)), methods=methods, name="preferences"),
    ]


def _confirm(visit: Visit) -> Response:
    uid = read_token(visit, TokenPurpose.CONFIRM)
    if visit.value("action") == "not-me":
        disown(visit.app, uid)
        return visit.page("disowned")
    if visit.is_post:
        chosen = visit.values("list") if visit.value("has-lists") else None
        confirm(visit.app, uid, slugs=chosen, evidence=visit.evidence)
    asked = look_at_confirmation(visit.app, uid)
    visit = visit.speaking(asked.standing.latest.language)
    if asked.decision in TOO_LATE:
        return visit.page("confirm_late", status=410)
    if asked.waiting and not visit.is_post:
        lists = [each.mailing_list for each in asked.waiting]
        return visit.page("confirm", lists=lists, is_denied="not-me" in visit.request.query_params)
    live = asked.standing.live
    return visit.page(
        "confirmed",
        list=asked.standing.mailing_list,
        is_confirmed=asked.decision is Confirmation.ALREADY,
        preferences_url=link_to(visit, TokenPurpose.PREFERENCES, live.uid) if live else "",
    )


def _preferences(visit: Visit) -> Response:
    uid = read_token(visit, TokenPurpose.PREFERENCES)
    current = find_preferences(visit.app, uid)
    if current.standing.live is None:
        return _gone(visit, current)
    if not visit.is_post:
        return _show(visit, current)
    wanted = NamedFilter(
        topics=visit.values("topic"), kinds=visit.values("kind"), languages=visit.values("article-language")
    )
    cadence = read_cadence(visit.value("cadence"))
    if cadence is None:
        return _show(visit, current, status=422)
    language = visit.value("language")
    try:
        change_choice(visit.app, uid, cadence=cadence, language=language, wanted=wanted, evidence=visit.evidence)
    except InvalidError:
        return _show(visit, current, status=422)
    except ConflictError:  # left by another window in the meantime
        return _gone(visit, current)
    return _show(visit, find_preferences(visit.app, uid), is_saved=True)


def _gone(visit: Visit, current: Preferences) -> Response:
    latest = current.standing.latest
    return visit.speaking(latest.language).page("left_before", status=410, list=current.standing.mailing_list)


def _show(visit: Visit, current: Preferences, *, status: int = SAVED, is_saved: bool = False) -> Response:
    latest = current.standing.latest
    visit = visit.speaking(latest.language)
    mailing_list = current.standing.mailing_list
    kinds = kind_options(current.offer.kinds, visit.language)
    return visit.page(
        "preferences",
        status=status,
        is_saved=is_saved,
        is_refused=status != SAVED,
        list=mailing_list,
        latest=latest,
        chosen=current.chosen,
        cadences=cadence_options(mailing_list.cadences, visit.language),
        languages=language_options(mailing_list.languages, visit),
        topics=topic_options(current.offer.topics, visit.language),
        kinds=kinds if len(kinds) > 1 else [],
        article_languages=language_options(current.offer.languages, visit),
        unsubscribe_url=link_to(visit, TokenPurpose.UNSUBSCRIBE, latest.uid),
    )
