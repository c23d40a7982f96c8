"""The API for other programs: who may bring articles in, and what becomes of what they bring."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from newsletter.domain import drafts, item_keys
from newsletter.domain.api_clients import ApiClient, ApiRequest
from newsletter.domain.articles import ArticleRecord, ArticleState
from newsletter.domain.drafts import UnusableError
from newsletter.domain.prose import normalise
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.ingest.document import Document, Item
from newsletter.ingest.fields import Defaults, FieldReader
from newsletter.ingest.markdown import render
from newsletter.services.article_imports import ImportOutcome, ImportResult, import_items
from newsletter.services.articles import ArticleFacts, describe_articles, withdraw_article
from newsletter.services.audit import record_act
from newsletter.services.context import App
from newsletter.services.sourced_items import give_keys, source_slug
from newsletter.storage import api_clients as storage
from newsletter.storage import articles as article_store

TOKEN_BEGINNING = "nl_"  # noqa: S105  by which people and scanners of code recognise a token
REQUESTS_PER_MINUTE = 300
"""Of one client; a CMS that publishes its whole archive needs minutes, one in a loop harms nobody."""
LONGEST_CLIENT_NAME = 80
BROKEN_OFF_AFTER = timedelta(minutes=1)
KEYS_KEPT = timedelta(days=2)
PAGE = 50


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client just added; *token* is shown once and kept nowhere."""

    name: str
    source: str
    token: str


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of an article that a client sent."""

    outcome: ImportOutcome
    article: ArticleFacts


class FieldError(InvalidError):
    """One field of what a client sent cannot be used; *field* is its name, dots between levels, empty: all of it."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}" if field else detail)
        self.field = field
        self.detail = detail


def add_api_client(app: App, name: str, *, source: str | None = None) -> NewClient:
    """Let a program called *name* bring articles in, as coming from *source*; None: from a source of its own name.

    Raises:
        InvalidError: the name cannot be used.
        ConflictError: there is a client of that name.
    """
    name = normalise(name)
    if not 0 < len(name) <= LONGEST_CLIENT_NAME:
        raise InvalidError(f"a client's name has 1 to {LONGEST_CLIENT_NAME} characters")
    title = source or name
    token = TOKEN_BEGINNING + secrets.token_urlsafe(32)
    with app.transaction() as tx:
        there = article_store.lock_source(tx.session, source_slug(title), title, now=tx.now)
        if not storage.add_client(tx.session, name=name, source_id=there.id, token_digest=_digest(token)):
            raise ConflictError(f"there is a client {name!r} already; revoked ones keep their name, give another")
        record_act(tx, "added", f"API client {name}", source=there.slug)
    return NewClient(name, there.slug, token)


def list_api_clients(app: App) -> list[ApiClient]:
    """Return all clients, revoked ones too, in order of name."""
    with app.reading() as tx:
        return storage.load_clients(tx.session)


def revoke_api_client(app: App, name: str) -> None:
    """Let a client's token count no more, from now on. Its articles stay.

    Raises:
        NotFoundError: there is no client of that name that is not revoked.
    """
    with app.transaction() as tx:
        if not storage.revoke_client(tx.session, normalise(name)):
            raise NotFoundError(f"no client {name!r} is in use; `newsletter api-clients list` shows them")
        record_act(tx, "revoked", f"API client {name}")


def find_api_client(app: App, token: str) -> ApiClient | None:
    """Return whose token it is; None: nobody's, any more."""
    with app.reading() as tx:
        return storage.find_client(tx.session, _digest(token))


def admit_request(app: App, client: ApiClient) -> timedelta | None:
    """Count a request of *client*; None: it may be answered, else how long it has to wait."""
    with app.transaction() as tx:
        return storage.count_request(tx.session, client.id, most=REQUESTS_PER_MINUTE)


def begin_keyed_request(app: App, client: ApiClient, key: str, fingerprint: str) -> ApiRequest | None:
    """Note that the request with *key* is being answered; None: do answer it. Else the one that came before."""
    with app.transaction() as tx:
        return storage.begin_request(tx.session, client.id, key, fingerprint, broken_off_after=BROKEN_OFF_AFTER)


def end_keyed_request(app: App, client: ApiClient, key: str, *, status: int, answer: str, location: str) -> None:
    """Keep the answer to the request with *key* for two days."""
    with app.transaction() as tx:
        storage.end_request(tx.session, client.id, key, status=status, answer=answer, location=location)
        storage.forget_requests(tx.session, older_than=KEYS_KEPT)


def drop_keyed_request(app: App, client: ApiClient, key: str) -> None:
    """Forget the request with *key*, which changed nothing; it may be tried again."""
    with app.transaction() as tx:
        storage.drop_request(tx.session, client.id, key)


def submit_article(
    app: App, client: ApiClient, fields: Mapping[str, Any], *, uid: str | None = None, is_major: bool | None = None
) -> Submission:
    """Take an article as a client states it, named as in a JSON import; repeating it changes nothing.

    *uid*: the article that it is the new state of; None: known by its id, else its page, else what it says. *is_major*:
    whether readers should hear of a change again; None: the texts decide. Rings like any import.

    Raises:
        FieldError: a field cannot be used; nothing was stored.
        NotFoundError: the client has no article with that uid.
    """
    settings = app.settings
    app = replace(app, actor=f"API client {client.name}")
    defaults = Defaults(settings.zone_info, settings.default_language, source=client.source_title)
    key = None
    if uid is not None:
        there, key = _known(app, client, uid)
        defaults = replace(defaults, language=there.default_language, kind=there.kind)
    try:
        draft = drafts.tidy(FieldReader(defaults, render).read(fields))
    except UnusableError as error:
        raise _field_error(str(error)) from error
    if key is None and (why := drafts.refusal(draft)):
        raise FieldError("title", why)
    (sourced,) = give_keys("API", Document((Item(1, draft=draft, title=draft.own.title),)))
    sourced = replace(sourced, key=key or sourced.key, is_major=is_major, is_partial=key is not None)
    (outcome,) = import_items(app, [sourced])
    if outcome.result is ImportResult.REFUSED:
        raise _field_error(outcome.reason or "it could not be stored")
    return Submission(outcome, find_client_article(app, client, outcome.article_uid or ""))


def find_client_article(app: App, client: ApiClient, uid: str) -> ArticleFacts:
    """Return an article that came from the client's source.

    Raises:
        NotFoundError: there is none with that uid.
    """
    with app.reading() as tx:
        record = article_store.find_record(tx.session, uid)
        if record is None or record.source != client.source:
            raise NotFoundError(f"there is no article {uid!r} of this client")
        (facts,) = describe_articles(tx, [record])
        return facts


def list_client_articles(
    app: App, client: ApiClient, *, external_id: str | None = None, before: str | None = None
) -> tuple[list[ArticleFacts], str | None]:
    """Return articles of the client's source, the last received first, and the uid after which the next page begins.

    *external_id*: only the one that the client calls so.

    Raises:
        NotFoundError: there is no article *before*.
    """
    with app.reading() as tx:
        if external_id is not None:
            key = item_keys.id_key(normalise(external_id))
            known = article_store.known_item(tx.session, client.source_id, key)
            found = [] if known is None else [article_store.load_record(tx.session, known.article_id)]
            return describe_articles(tx, found), None
        last: ArticleRecord | None = None
        if before is not None and ((last := article_store.find_record(tx.session, before)) is None):
            raise NotFoundError(f"there is no article {before!r}")
        page = article_store.records_page(
            tx.session, source=client.source, before=last.id if last else None, limit=PAGE + 1
        )
        return describe_articles(tx, page[:PAGE]), page[PAGE - 1].uid if len(page) > PAGE else None


def withdraw_client_article(app: App, client: ApiClient, uid: str, *, reason: str) -> ArticleFacts:
    """Take an article of the client's out of feeds, pages and all that is not sent yet. Repeating it changes nothing.

    Raises:
        NotFoundError: there is none with that uid.
        InvalidError: there is no reason given.
    """
    app = replace(app, actor=f"API client {client.name}")
    if find_client_article(app, client, uid).state is not ArticleState.WITHDRAWN:
        withdraw_article(app, uid, reason=normalise(reason))
    return find_client_article(app, client, uid)


def _field_error(words: str) -> FieldError:
    """Return what a reader of items says of one as an error of the field that it names, if it names one."""
    field, _, detail = words.partition(": ")
    return FieldError(field, detail) if field.replace(".", "").isidentifier() and detail else FieldError("", words)


def _known(app: App, client: ApiClient, uid: str) -> tuple[ArticleRecord, str]:
    """Return an article of the client's, and a name by which it gave it."""
    with app.reading() as tx:
        record = article_store.find_record(tx.session, uid)
        if record is None or record.source != client.source:
            raise NotFoundError(f"there is no article {uid!r} of this client")
        keys = article_store.keys_of(tx.session, client.source_id, record.id)
    return record, min(keys, key=lambda key: (not key.startswith("id:"), key))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
