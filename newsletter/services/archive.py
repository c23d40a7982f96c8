"""The archive: sent editions to look at again, exactly as sent and without anybody's personal parts."""

import html
import re
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

from newsletter.domain.editions import Edition, EditionState
from newsletter.domain.lists import Cadence
from newsletter.domain.variants import READER_HOLES, hole_mark
from newsletter.errors import NotFoundError
from newsletter.rendering.languages import available_languages, load_language
from newsletter.services.context import App, Transaction
from newsletter.services.digests import view_key
from newsletter.services.lists import find_list
from newsletter.services.mailing import join, variant_parts
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store
from newsletter.storage import variants
from newsletter.storage.articles import load_articles
from newsletter.storage.publication import find_readable
from newsletter.storage.topics import load_topics
from newsletter.storage.variants import Variant

PUBLIC = (EditionState.APPROVED, EditionState.SENDING, EditionState.PAUSED, EditionState.DONE)
"""States in which an edition may be seen by anybody."""


@dataclass(frozen=True, slots=True)
class ArchivedEdition:
    """A sent edition as the archive lists it; *subjects* by language, at least one."""

    slot_key: str
    cadence: Cadence
    sent_at: datetime
    subjects: dict[str, str]


@dataclass(frozen=True, slots=True)
class View:
    """A variant to look at: its subject, its HTML and its text, links of a reader's own leading nowhere personal."""

    subject: str
    html: str
    text: str
    language: str


def list_archive(tx: Transaction, slug: str, *, limit: int = 200, skipped: int = 0) -> list[ArchivedEdition]:
    """Return a list's editions that anybody may see, the newest first; without those of which nothing is left to show.

    *skipped*: how many of the newest stand on the pages before.

    Raises:
        NotFoundError: there is no such list.
    """
    mailing_list = find_list(tx, slug)
    found = []
    editions = edition_store.list_editions(tx.session, list_id=mailing_list.id, states=PUBLIC, limit=skipped + limit)
    for edition in editions[skipped:]:
        subjects = {}
        for language in variants.variant_languages(tx.session, edition.id):
            variant = variants.widest_variant(tx.session, edition.id, language)
            if variant:
                subjects[language] = variant.subject
        if subjects:
            found.append(ArchivedEdition(edition.slot_key, edition.cadence, edition.slot_at, subjects))
    return found


def view_edition(
    tx: Transaction,
    slug: str,
    slot_key: str,
    language: str,
    digest_prefix: str | None = None,
    *,
    for_staff: bool = False,
) -> View:
    """Return an edition as it was sent in *language*; the variant with that digest, else the one that shows most.

    An edition of a hidden list is shown to who knows the whole address that its mails lead to.

    Raises:
        NotFoundError: there is none that the asker may see; staff may see it before it is approved.
    """
    mailing_list = find_list(tx, slug)
    edition = edition_store.find_edition(tx.session, mailing_list.id, slot_key)
    states = (*PUBLIC, EditionState.REVIEW) if for_staff else PUBLIC
    variant = None
    if edition and edition.state in states:
        variant = _variant(tx, edition, language, digest_prefix and digest_prefix.partition("-")[0])
    may_see = for_staff or mailing_list.is_public
    if edition and variant and not may_see:
        may_see = compare_digest(
            view_key(mailing_list, edition, variant.digest).encode(), (digest_prefix or "").encode()
        )
    if edition is None or variant is None or not may_see:
        raise NotFoundError(f"there is no edition {slot_key} of {slug} in {language}")
    return view_variant(tx, edition, variant)


def view_variant(tx: Transaction, edition: Edition, variant: Variant) -> View:
    """Return a variant without what is one reader's own: in the place of their controls one can subscribe."""
    blocks = variants.load_blocks(tx.session, edition.id, variant.language, variant.blocks)
    text, body = variant_parts(variant, blocks, edition.nonce)
    subscribe_url = f"{tx.settings.base_url}/subscribe"
    nobody = dict.fromkeys(READER_HOLES, "") | {"unsubscribe_url": subscribe_url, "preferences_url": subscribe_url}
    marked = nobody | {name: hole_mark(name, edition.nonce) for name in ("unsubscribe_url", "preferences_url")}
    return View(
        variant.subject, _offering(tx, join(body, marked), edition, variant), join(text, nobody), variant.language
    )


def _offering(tx: Transaction, body: str, edition: Edition, variant: Variant) -> str:
    """Return a mail's HTML whose links to a reader's choices lead to the sign-up instead, and say so once each line."""
    languages = available_languages(tx.settings.home)
    language = load_language(variant.language if variant.language in languages else "en", tx.settings.home)
    mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
    wanted = f"?list={mailing_list.slug}&amp;lang={variant.language}" if mailing_list.is_public else ""
    address = f"{tx.settings.base_url}/subscribe{wanted}"
    leave, choose = (re.escape(hole_mark(name, edition.nonce)) for name in ("unsubscribe_url", "preferences_url"))
    body = re.sub(rf"""(<a [^>]*{choose}[^>]*>[^<]*</a>)[^<]*·[^<]*<a [^>]*{leave}[^>]*>[^<]*</a>""", r"\1", body)
    body = re.sub(
        rf"(<a [^>]*(?:{choose}|{leave})[^>]*>)[^<]*(</a>)",
        rf"\g<1>{html.escape(language.gettext('Subscribe'))}\2",
        body,
    )
    body = re.sub(r"<p[^>]*></p>\n?", "", body)  # the line that said why its reader got it
    return re.sub(f"{choose}|{leave}", lambda _: address, body)


@dataclass(frozen=True, slots=True)
class PublicPage:
    """A page that search engines may list: its path, and when it changed last, where that is known."""

    path: str
    changed_at: datetime | None = None


MOST_PAGES = 2000
"""Editions of one list, and articles, that the site map names: the latest."""


def list_public_pages(app: App) -> list[PublicPage]:
    """Return all pages that anybody may find: forms, archives with their editions, topics, articles told only here."""
    with app.reading() as tx:
        pages = [PublicPage(path) for path in ("/", "/subscribe", "/archive/", "/topics/")]
        for mailing_list in list_store.load_lists(tx.session, is_public=True):
            pages.append(PublicPage(f"/archive/{mailing_list.slug}"))
            for edition in list_archive(tx, mailing_list.slug, limit=MOST_PAGES):
                path = f"/archive/{mailing_list.slug}/{edition.slot_key}"
                pages += [PublicPage(f"{path}/{language}", edition.sent_at) for language in edition.subjects]
        pages += [PublicPage(f"/topics/{topic.slug}") for topic in load_topics(tx.session)]
        ids = find_readable(tx.session, now=tx.now, limit=MOST_PAGES)
        for article in load_articles(tx.session, ids):
            if not all(each.url for each in article.translations.values()):
                pages.append(PublicPage(f"/articles/{article.uid}", article.updated_at))
        return pages


def _variant(tx: Transaction, edition: Edition, language: str, digest_prefix: str | None) -> Variant | None:
    if digest_prefix is None:
        return variants.widest_variant(tx.session, edition.id, language)
    variant = variants.find_variant(tx.session, edition.id, digest_prefix)
    return variant if variant and variant.language == language else None
