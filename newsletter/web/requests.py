"""Links that were mailed for one thing a reader asked for: their data, their erasure, another address."""

import json
from dataclasses import asdict
from datetime import datetime

from starlette.responses import Response
from starlette.routing import Route

from newsletter.domain.requests import RequestKind
from newsletter.errors import ConflictError
from newsletter.mail.tokens import TokenPurpose
from newsletter.services.context import App
from newsletter.services.requests import find_request, fulfil, look_at_request, refuse
from newsletter.services.subscribers import SubscriberFacts
from newsletter.web.links import private, read_token
from newsletter.web.visits import Visit, endpoint


def routes(app: App) -> list[Route]:
    """Return the routes of mailed requests and of their refusal."""
    methods = ["GET", "POST"]
    return [
        Route("/requests/{token}", endpoint(app, private(_request)), methods=methods, name="request"),
        Route("/refusals/{token}", endpoint(app, private(_refuse)), methods=methods, name="refusal"),
    ]


def _request(visit: Visit) -> Response:
    """Ask for the one press that does it, or do it; a link that was used, or is a day old, says so."""
    uid = read_token(visit, TokenPurpose.REQUEST)
    visit = visit.speaking(find_request(visit.app, uid).language)
    try:
        if not visit.is_post:
            return visit.page("request", kind=look_at_request(visit.app, uid).kind)
        done = fulfil(visit.app, uid, evidence=visit.evidence)
    except ConflictError:
        return visit.page("request_late", status=410)
    if done.data is not None:
        return _download(done.data)
    return visit.page("request_done", is_erased=done.kind is RequestKind.ERASE)


def _refuse(visit: Visit) -> Response:
    uid = read_token(visit, TokenPurpose.REFUSAL)
    request = refuse(visit.app, uid) if visit.is_post else find_request(visit.app, uid)
    return visit.speaking(request.language).page("refusal", is_done=visit.is_post or request.done_at is not None)


def _download(facts: SubscriberFacts) -> Response:
    body = json.dumps(asdict(facts), ensure_ascii=False, indent=2, default=_plain)
    headers = {"content-disposition": 'attachment; filename="my-data.json"'}
    return Response(body + "\n", media_type="application/json", headers=headers)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
