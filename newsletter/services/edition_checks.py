"""Checks of an edition before it is sent: errors stop the send, warnings are for a person to judge.

What is looked at is what would be sent: finished variants that show most, fewest and the largest, and every block that
any variant may show. Nothing here writes, and nothing but `broken_links` asks another server.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from statistics import median
from urllib.parse import urlsplit

from newsletter.domain.addresses import split_address
from newsletter.domain.editions import Edition, EditionPurpose
from newsletter.domain.lists import MailingList
from newsletter.domain.subjects import doubts
from newsletter.domain.variants import HTML_LIMIT_BYTES, READER_HOLES
from newsletter.errors import ConflictError, NewsletterError, NotFoundError
from newsletter.mail.dkim import is_within
from newsletter.rendering.client_support import dropped_features
from newsletter.rendering.lint import find_problems
from newsletter.services.context import App, Transaction
from newsletter.services.mailing import join, variant_parts
from newsletter.storage import articles as article_store
from newsletter.storage import edition_checks as storage
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store
from newsletter.storage import variants
from newsletter.storage.variants import Variant

EARLIER_LOOKED_AT = 5
UNUSUAL = 10
"""An audience that many times larger or smaller than usual is somebody's mistake more often than a success."""

FEWEST_TO_COMPARE = 3
"""Editions; from fewer nobody can say what is usual."""

FEW_READERS = 20
"""Below so many, a tenth is chance."""

NEARLY_ALL = 0.8
MOST_LINKS = 100
"""Links that are asked in one check; a digest has about two for each item."""

ERRORS = frozenset(
    {"size", "text", "unsubscribe", "postal address", "unfilled mark", "control character", "structure", "link"}
    | {"element"}
)
"""What lint finds that must not be sent; the rest of it is for a person to judge."""

_PLACEHOLDER = re.compile(
    r"\{\{.{0,80}?\}\}|\{%.{0,80}?%\}|\*\|.{1,40}?\|\*|%\([a-z_]+\)s|%%[a-z_]+%%|\[(?:FIRST ?NAME|NAME|INSERT[^\]]*)\]"
)
_DRAFT = re.compile(r"\b(?:(?i:lorem ipsum|рыбный текст)|TODO|FIXME|XXX|TBD)\b")
_HREF = re.compile(r"href=\"(https?://[^\"]+)\"|src=\"(https?://[^\"]+)\"")


class CheckLevel(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # stops the send
    WARNING = "warning"  # asks


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One thing that is wrong, or may be: *rule* in a word or two, *found* in words, *language* "" for all of it."""

    level: CheckLevel
    rule: str
    found: str
    language: str = ""


def check_edition(app: App, edition_id: int, *, asks_links: bool = False) -> list[CheckFinding]:
    """Return what is wrong with a composed edition, errors first; *asks_links*: ask their servers, too.

    Raises:
        NotFoundError: there is no such edition, or nothing has been composed for it.
    """
    with app.reading() as tx:
        edition = edition_store.load_edition(tx.session, edition_id)
        if edition is None:
            raise NotFoundError(f"there is no edition {edition_id}; see `newsletter editions list`")
        if not variants.variant_count(tx.session, edition_id):
            raise NotFoundError(f"edition {edition_id} is {edition.state}: nothing has been composed for it")
        found = check_in(tx, edition)
        links = _links(tx, edition) if asks_links else []
    if asks_links:
        found += _private_links(links) if app.settings.is_embedded else []
        found += broken_links(app, links)
    return sorted(found, key=lambda each: (each.level is not CheckLevel.ERROR, each.rule, each.language))


def require_sendable(tx: Transaction, edition: Edition) -> None:
    """Refuse an edition that must not be sent.

    Raises:
        ConflictError: a check found an error; the message says which.
    """
    if errors := [each for each in check_in(tx, edition) if each.level is CheckLevel.ERROR]:
        told = "; ".join(f"{each.rule}: {each.found}" for each in errors[:3])
        raise ConflictError(
            f"edition {edition.id} must not be sent: {told}. `newsletter editions check {edition.id}` shows all of it"
        )


def check_in(tx: Transaction, edition: Edition) -> list[CheckFinding]:
    """Return what is wrong with a composed edition, without asking another server."""
    mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
    found: list[CheckFinding] = []
    for language in variants.variant_languages(tx.session, edition.id):
        found += _look(tx, edition, language)
    for subject in storage.subjects(tx.session, edition.id)[:EARLIER_LOOKED_AT]:
        found += [_warn("subject", f"{subject!r}: {doubt}") for doubt in doubts(subject)]
    found += _items(tx, edition, mailing_list)
    found += _likeness(tx, edition)
    found += _audience(tx, edition)
    found += _sender(tx, mailing_list)
    return list(dict.fromkeys(found))


def _warn(rule: str, found: str, language: str = "") -> CheckFinding:
    return CheckFinding(CheckLevel.WARNING, rule, found, language)


def _look(tx: Transaction, edition: Edition, language: str) -> Iterator[CheckFinding]:
    """Check the finished mails of one language: those worth a look whole, and everything that others may show."""
    stored = variants.load_variants(tx.session, storage.telling_variants(tx.session, edition.id, language))
    blocks = variants.load_blocks(tx.session, edition.id, language)
    for variant in stored.values():
        yield from _whole(tx, edition, variant)
    everything = "\n".join(block.html for block in blocks.values())
    text = "\n".join(block.text for block in blocks.values())
    for feature in dropped_features(everything):
        said = f"{feature.name}: dropped by {feature.dropped_by} ({feature.source}, tested {feature.tested})"
        yield _warn("mail programs", said, language)
    if not tx.settings.is_embedded:  # which is tried on one machine, where its own pages are
        yield from _private_links(_links_in(everything))
    for match in _PLACEHOLDER.finditer(text):
        yield CheckFinding(CheckLevel.ERROR, "placeholder", f"{match[0]!r} was never filled", language)
    for match in _DRAFT.finditer(text):
        yield _warn("placeholder", f"{match[0]!r} looks like a draft", language)


def _whole(tx: Transaction, edition: Edition, variant: Variant) -> Iterator[CheckFinding]:
    unsubscribe_url = f"{tx.settings.base_url}/unsubscribe/check"
    blocks = variants.load_blocks(tx.session, edition.id, variant.language, variant.blocks)
    text, body = variant_parts(variant, blocks, edition.nonce)
    values = dict.fromkeys(READER_HOLES, "why") | {
        "unsubscribe_url": unsubscribe_url,
        "preferences_url": f"{tx.settings.base_url}/preferences/check",
    }
    html = join(body, values)
    problems = find_problems(
        html, join(text, values), postal_address=tx.settings.postal_address, unsubscribe_url=unsubscribe_url
    )
    for problem in problems:
        level = CheckLevel.ERROR if problem.rule in ERRORS else CheckLevel.WARNING
        yield CheckFinding(level, problem.rule, problem.detail, variant.language)
    size = len(html.encode())
    if "more" in variant.blocks and size <= HTML_LIMIT_BYTES:
        yield _warn("size", "not every item fits; the last ones are only counted", variant.language)


def _items(tx: Transaction, edition: Edition, mailing_list: MailingList) -> Iterator[CheckFinding]:
    """Check what the items lack: a title or summary in a language of the list."""
    articles = article_store.load_articles(tx.session, edition_store.items_held(tx.session, edition.id))
    for language in variants.variant_languages(tx.session, edition.id):
        missing = [each for each in articles if language not in each.translations]
        if missing and len(missing) < len(articles):
            named = missing[0].best_translation(mailing_list.default_language).title
            told = f"{len(missing)} of {len(articles)} items are shown in another language, such as {named!r}"
            yield _warn("translation", told, language)
        for article in articles:
            shown = article.translations.get(language)
            if shown and not shown.title.strip():
                yield CheckFinding(CheckLevel.ERROR, "translation", f"article {article.uid} has no title", language)
            elif shown and not shown.summary.strip():
                yield _warn("translation", f"{shown.title!r} has no summary", language)
            if shown and article.image_url and not shown.image_alt.strip():
                told = f"the picture of {shown.title!r} is not described; its title stands in"
                yield _warn("picture", told, language)


def _likeness(tx: Transaction, edition: Edition) -> Iterator[CheckFinding]:
    """Say where an edition repeats an earlier one."""
    earlier = storage.earlier_editions(tx.session, edition, limit=EARLIER_LOOKED_AT)
    if edition.purpose is EditionPurpose.DIGEST:
        held = storage.items_of(tx.session, [edition.id, *earlier])
        own = held[edition.id]
        for each in earlier:
            if len(own) > 1 and len(own & held[each]) >= NEARLY_ALL * len(own):
                yield _warn("duplicate", f"edition {each} had {len(own & held[each])} of its {len(own)} articles")
        return
    letters = storage.letters_of(tx.session, [edition.id, *earlier])
    for each in earlier:
        if set(letters.get(each, {}).values()) & set(letters.get(edition.id, {}).values()):
            yield _warn("duplicate", f"edition {each} said the same")


def _audience(tx: Transaction, edition: Edition) -> Iterator[CheckFinding]:
    if edition.purpose is EditionPurpose.CORRECTION:
        return
    earlier = storage.earlier_editions(tx.session, edition, limit=EARLIER_LOOKED_AT)
    counts = storage.mail_counts(tx.session, earlier)
    readers = storage.expected_readers(tx.session, edition)
    if len(counts) < FEWEST_TO_COMPARE or max(readers, *counts) < FEW_READERS:
        return
    usual = median(counts)
    if readers > UNUSUAL * usual or readers * UNUSUAL < usual:
        yield _warn("audience", f"{readers:,} readers, where {usual:,.0f} are usual")


def _sender(tx: Transaction, mailing_list: MailingList) -> Iterator[CheckFinding]:
    """Say where the sender's domain is none that our signature can stand for (DMARC's relaxed alignment)."""
    own = split_address(mailing_list.from_address)[1].lower()
    signing = (tx.settings.dkim_domain or split_address(tx.settings.sender)[1]).lower()
    if not (is_within(own, signing) or is_within(signing, own)):
        yield _warn(
            "sender",
            f"mail comes from {own} and the newsroom's own domain is {signing}: publish the DKIM and SPF records "
            "there too, or large providers refuse it",
        )


def _links(tx: Transaction, edition: Edition) -> list[str]:
    """Return where an edition's blocks lead, and the pictures they show, in order of language."""
    found: dict[str, None] = {}
    for language in variants.variant_languages(tx.session, edition.id):
        for block in variants.load_blocks(tx.session, edition.id, language).values():
            found |= dict.fromkeys(_links_in(block.html))
    return list(found)


def _links_in(html: str) -> list[str]:
    return [(match[1] or match[2]).replace("&amp;", "&") for match in _HREF.finditer(html)]


def _private_links(links: list[str]) -> list[CheckFinding]:
    return [
        CheckFinding(CheckLevel.ERROR, "link", f"{url[:120]} leads into a network of our own, where no reader is")
        for url in links
        if _is_private(urlsplit(url).hostname or "")
    ]


def _is_private(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".localhost", ".lan", ".test", ".invalid"))


def broken_links(app: App, links: list[str]) -> list[CheckFinding]:
    """Ask the servers that *links* name, each link once and not more than a hundred; return those that fail."""
    from newsletter.services.fetching import fetch  # noqa: PLC0415  0.2 s to import, which other commands do not need

    gone: Mapping[int, str] = {404: "is not there", 410: "is gone for good"}
    found = []
    for url in links[:MOST_LINKS]:
        try:
            status = fetch(app.settings, url, accept="*/*", reads_body=False).status
        except NewsletterError as error:
            found.append(_warn("link", f"{url[:120]}: {error}"))
            continue
        if status in gone:
            found.append(CheckFinding(CheckLevel.ERROR, "link", f"{url[:120]} {gone[status]} ({status})"))
        elif status >= 400:  # noqa: PLR2004  where HTTP's errors begin
            found.append(_warn("link", f"{url[:120]} answers {status}"))
    if len(links) > MOST_LINKS:
        found.append(_warn("link", f"only the first {MOST_LINKS} of {len(links)} links were asked"))
    return found
