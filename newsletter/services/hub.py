"""Our own WebSub hub: takes what subscribers ask, of our own topics only, and believes it when the callback says so."""

import re
from collections.abc import Mapping

from newsletter.dispatch import Doorbell
from newsletter.domain.feeds import CUSTOM_STEM, FeedQuery, custom_slug, document_name
from newsletter.domain.websub import HubRequest, Mode, read_request
from newsletter.errors import InvalidError, NotFoundError, TransientError
from newsletter.feeds.sealing import seal
from newsletter.network import RefusedAddressError, check_url
from newsletter.services.context import App, Transaction
from newsletter.services.feed_documents import ServedDocument
from newsletter.services.feed_requests import make_custom
from newsletter.storage import websub as storage
from newsletter.storage.feed_documents import load_etag

MOST_WAITING = 2000
"""Requests whose callbacks have not been asked yet; beyond it somebody is flooding the hub."""
MOST_FOLLOWERS = 10_000
"""Callbacks of one document."""

_TOPIC = re.compile(r"([a-z0-9-]+)\.(atom|rss|json)")
_CUSTOM_TOPIC = re.compile(rf"{CUSTOM_STEM}\.(atom|rss|json)\?(.+)")


def ask_hub(app: App, form: Mapping[str, str]) -> HubRequest:
    """Note what a subscriber asks; its callback is asked to confirm as soon as the doorbell rung here is heard.

    Raises:
        InvalidError: it asks for what cannot be; the message says what.
        NotFoundError: the hub is not ours, or knows no such topic.
        TransientError: too many wait to be confirmed.
    """
    if app.settings.hub != "own":
        raise NotFoundError("there is no hub here")
    try:
        request = read_request(form)
        check_url(request.callback)
    except (ValueError, RefusedAddressError) as error:
        raise InvalidError(str(error)) from error
    document = _document_of(app, request.topic)
    with app.transaction() as tx:
        if request.mode is Mode.SUBSCRIBE:
            _refuse_floods(tx, document)
        sealed = seal(request.secret, app.settings.lasting_secret, of=request.key) if request.secret else None
        storage.add_request(tx.session, document, request, sealed, now=tx.now)
        tx.ring(Doorbell.PUSH_FEEDS)
    return request


def _refuse_floods(tx: Transaction, document: str) -> None:
    if storage.count_requests(tx.session) >= MOST_WAITING:
        raise TransientError("too many callbacks wait to be asked; ask again later")
    if storage.count_followers(tx.session, document) >= MOST_FOLLOWERS:
        raise TransientError("too many follow this feed; ask again later")


def _document_of(app: App, topic: str) -> str:
    """Return the name of the document whose `self` is *topic*, exactly.

    A combination is made when somebody wants to follow it, if it is not there.
    """
    unknown = NotFoundError("this hub knows no such topic; hub.topic is what a feed's self link says")
    prefix = f"{app.settings.base_url}/feeds/"
    if not topic.startswith(prefix):
        raise unknown
    name = topic.removeprefix(prefix)
    if custom := _CUSTOM_TOPIC.fullmatch(name):
        return _custom_document(app, custom[1], custom[2])
    if not _TOPIC.fullmatch(name):
        raise unknown
    with app.reading() as tx:
        if load_etag(tx.session, name) is None:
            raise unknown
    return name


def _custom_document(app: App, suffix: str, text: str) -> str:
    try:
        query = FeedQuery.parse(text, default_language=app.settings.default_language)
    except ValueError as error:
        raise InvalidError(str(error)) from error
    name = document_name(custom_slug(text), suffix)
    with app.reading() as tx:
        is_there = load_etag(tx.session, name) is not None
    if query.text != text or not (is_there or isinstance(make_custom(app, query, suffix), ServedDocument)):
        raise NotFoundError("this hub knows no such topic; hub.topic is what a feed's self link says")
    return name
