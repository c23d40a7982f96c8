"""Previews: an edition as a reader or a filter would see it, every variant beside the others, and a test mail of it."""

import html
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from newsletter.domain.compositions import Candidates, digest_of
from newsletter.domain.edition_edits import taken_together
from newsletter.domain.editions import Edition, EditionPurpose
from newsletter.domain.filters import CandidateIndex
from newsletter.domain.topics import ancestors
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.mail.addresses import parse_address
from newsletter.mail.headers import Reader
from newsletter.mail.message import prepare
from newsletter.mail.single import send_at_once
from newsletter.services.archive import View, view_variant
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.services.digests import DigestMaker
from newsletter.services.filters import NamedFilter, load_names
from newsletter.services.mailing import digest_headers, join, variant_parts
from newsletter.services.signing import signer_of
from newsletter.storage import articles as article_store
from newsletter.storage import edition_edits, edition_shares, variants
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store
from newsletter.storage import subscribers as subscriber_store
from newsletter.storage import topics as topic_store
from newsletter.storage.variants import Variant

MOST_SHOWN = 200
"""Variants on a contact sheet; those that most readers get come first."""

TEST_MARK = "[Test] "


@dataclass(frozen=True, slots=True)
class VariantView:
    """A variant on a contact sheet: who gets it, and how it looks."""

    view: View
    readers: int
    items: int
    html_bytes: int


def preview_as_reader(app: App, edition_id: int, address: str) -> View:
    """Return what one reader of an edition's list got of it, or would get.

    Raises:
        InvalidError: it is no address.
        NotFoundError: there is no such edition or reader, or they get nothing of it; says why.
    """
    key = parse_address(address).key
    with app.reading() as tx:
        edition = _load(tx, edition_id)
        person = subscriber_store.load_subscriber(tx.session, key)
        if person is None:
            raise NotFoundError(f"nobody subscribes by {address}; `newsletter subscribers list` shows who does")
        share = edition_shares.share_of(tx.session, edition, person.id)
        if share is None:
            raise NotFoundError(f"{address} is no reader of edition {edition_id}'s list at its cadence")
        if share.variant_id is None:
            raise NotFoundError(
                f"{address} gets nothing of edition {edition_id}; `newsletter explain {address} {edition_id}` says why"
            )
        return _view(tx, edition, share.variant_id)


def preview_as_filter(app: App, edition_id: int, wanted: NamedFilter, language: str | None) -> View:
    """Return what a reader with this choice would get of an edition, whether there is one or not.

    Raises:
        NotFoundError: there is no such edition or topic, or nothing in it is chosen.
        ConflictError: it is no digest, and the same to everybody.
    """
    with app.reading() as tx:
        edition = _load(tx, edition_id)
        if edition.purpose is not EditionPurpose.DIGEST:
            raise ConflictError(f"edition {edition_id} is an {edition.purpose}: the same for every choice")
        return _made_up(tx, edition, wanted, language)


def _made_up(tx: Transaction, edition: Edition, wanted: NamedFilter, language: str | None) -> View:
    mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
    topics = topic_store.load_topics(tx.session)
    held = edition_store.items_held(tx.session, edition.id)
    loaded = {each.id: each for each in article_store.load_articles(tx.session, held)}
    articles = {each: replace(loaded[each], revision=revision) for each, revision in held.items() if each in loaded}
    edits = taken_together(edition_edits.load_edits(tx.session, edition.id))
    maker = DigestMaker(tx.settings, mailing_list, edition, tuple(topics), articles, edits)
    choice = load_names(tx).find(wanted)
    mask = CandidateIndex(list(articles.values()), ancestors(topics)).mask(choice)
    shown_in = maker.shown_in(language or mailing_list.default_language)
    candidates = Candidates(tuple(articles.values()), mask, edition_edits.mends(tx.session, edition.id))
    items = candidates.items(mask, (shown_in, *mailing_list.languages), choice.languages)
    if not items:
        raise NotFoundError(f"edition {edition.id} has nothing for that choice; it has {len(articles)} articles")
    maker.render([(shown_in, items)])
    stored = variants.load_blocks(tx.session, edition.id, shown_in)
    maker.reuse(shown_in, items, {**maker.rendered[shown_in].blocks, **stored})
    made = maker.variant((shown_in, items))
    variant = Variant(0, edition.id, shown_in, digest_of(shown_in, items), made.subject, made.blocks, made.holes)
    text, body = variant_parts(variant, maker.rendered[shown_in].blocks, edition.nonce)
    nobody = _nobody(tx, maker.why(shown_in, choice))
    in_html = {name: html.escape(value) for name, value in nobody.items()}
    return View(made.subject, join(body, in_html), join(text, nobody), shown_in)


def _nobody(tx: Transaction, why: str) -> dict[str, str]:
    """Return a reader's parts that lead nowhere personal."""
    page = f"{tx.settings.base_url}/subscribe"
    return {"unsubscribe_url": page, "preferences_url": page, "why": why}


def preview_variants(app: App, edition_id: int, *, limit: int = MOST_SHOWN) -> tuple[list[VariantView], int]:
    """Return an edition's variants, those that most readers get first, and how many there are in all.

    Raises:
        NotFoundError: there is no such edition, or nothing has been composed for it.
    """
    with app.reading() as tx:
        edition = _load(tx, edition_id)
        shares = edition_shares.variant_shares(tx.session, edition)
        if not shares:
            raise NotFoundError(f"edition {edition_id} is {edition.state}: nothing has been composed for it")
        found = [
            VariantView(_view(tx, edition, each.variant_id), each.readers, each.items, each.html_bytes)
            for each in shares[:limit]
        ]
        return found, len(shares)


def contact_sheet(title: str, shown: Sequence[VariantView]) -> str:
    """Return a page that shows variants side by side, each as its readers see it and shut off from the others."""
    cells = "".join(
        f"<figure><figcaption><b>{html.escape(each.view.subject)}</b><br>{html.escape(each.view.language)} · "
        f"{each.items} items · {each.readers:,} readers · {each.html_bytes / 1000:.0f} KB</figcaption>"
        f'<iframe sandbox="allow-same-origin" title="{html.escape(each.view.subject)}" '
        f'srcdoc="{html.escape(each.view.html)}"></iframe>'
        "</figure>"
        for each in shown
    )
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>body{{margin:16px;font:15px/1.4 sans-serif;background:#e7eaee;"
        "color:#1b2025}main{display:grid;grid-template-columns:repeat(auto-fill,minmax(400px,1fr));gap:16px}"
        "figure{margin:0;background:#fff;border:1px solid #c3cad1}figcaption{padding:10px 12px}"
        "iframe{width:100%;height:900px;border:0;border-top:1px solid #c3cad1}</style>"
        f"<body><h1>{html.escape(title)}</h1><main>{cells}</main></body></html>"
    )


def send_test(app: App, edition_id: int, addresses: Sequence[str], *, language: str | None = None) -> list[str]:
    """Send an edition as it would be to *addresses* at once, with its real headers, and links that change nothing.

    It counts for nobody: no delivery, no reader, no number knows of it; only the record of who did what does. Return
    the addresses.

    Raises:
        InvalidError: one is no address.
        NotFoundError: there is no such edition, or nothing has been composed for it in that language.
        ConflictError: no relay is configured.
        TransientError: the relay did not take a mail.
    """
    if not app.relays:
        raise ConflictError("NEWSLETTER_SMTP_URL names no relay; without one nothing can be sent")
    if not addresses:
        raise InvalidError("say where to: --to ADDRESS")
    recipients = [parse_address(address).original for address in addresses]
    with app.reading() as tx:
        edition = _load(tx, edition_id)
        languages = variants.variant_languages(tx.session, edition_id)
        variant = variants.widest_variant(tx.session, edition_id, language or next(iter(languages), ""))
        if variant is None:
            told = f"it has {', '.join(languages)}" if languages else f"it is {edition.state}"
            raise NotFoundError(f"edition {edition_id} has nothing to show in {language or 'any language'}; {told}")
        mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
        blocks = variants.load_blocks(tx.session, edition_id, variant.language, variant.blocks)
        text, body = variant_parts(variant, blocks, edition.nonce)
        marked = replace(variant, subject=TEST_MARK + variant.subject)
        headers = digest_headers(tx.settings, edition, mailing_list, marked)
        sent_at = tx.now
    prepared = prepare(headers, text=text, html=body, nonce=edition.nonce, signer=signer_of(app.settings))
    nothing = f"{app.settings.base_url}/unsubscribe/test"
    why = "This is a test; its links change nothing."
    values = {"unsubscribe_url": nothing, "preferences_url": nothing, "why": why}
    for address in recipients:
        token = f"test-{secrets.token_hex(12)}"
        reader = Reader(address=address, token=token, sent_at=sent_at, unsubscribe_url=nothing)
        send_at_once(
            app.relays[0],
            mail_from=app.settings.return_path or mailing_list.from_address,
            rcpt_to=address,
            content=b"".join(prepared.fill(reader, values)),
            hello_name=app.settings.domain,
        )
    with app.transaction() as tx:
        record_act(tx, "tested", f"edition {edition_id}", mails=len(recipients))
    return recipients


def _load(tx: Transaction, edition_id: int) -> Edition:
    edition = edition_store.load_edition(tx.session, edition_id)
    if edition is None:
        raise NotFoundError(f"there is no edition {edition_id}; see `newsletter editions list`")
    return edition


def _view(tx: Transaction, edition: Edition, variant_id: int) -> View:
    return view_variant(tx, edition, variants.load_variants(tx.session, [variant_id])[variant_id])
