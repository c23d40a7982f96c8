"""Full text: the article on the page that a feed only leads to, without what stands around it."""

import re
from dataclasses import replace

from newsletter.domain.drafts import Draft, UnusableError
from newsletter.ingest.decoding import decode
from newsletter.ingest.feed import with_alt_text
from newsletter.ingest.fields import LONGEST_BODY
from newsletter.ingest.markup import LONGEST_MARKUP, paragraphs_of_html, parse_page, text_of_markup
from newsletter.ingest.page import declared_charset, image_of, meta_of

LARGEST_PAGE = 1_500_000
"""Bytes; a page of more is mostly scripts, and its text is not worth the time."""
SHORTEST_TEXT = 200
"""Characters; what is shorter is a cookie notice, or a page that needs scripts."""
EXCERPT = 600
"""Characters; a body of more that ends in dots ends in dots by choice."""
_CUT_OFF = re.compile(
    r"(?:…|\.\.\.|\[(?:…|\.\.\.)\]|read more|continue reading|читать далее|подробнее|толугу менен)\W*$", re.IGNORECASE
)


def is_excerpt(draft: Draft) -> bool:
    """Say whether a feed gave the beginning of an article only, whose page has the rest."""
    text = draft.own.body_text
    return bool(draft.own.url) and (not text or (len(text) < EXCERPT and bool(_CUT_OFF.search(text))))


def with_full_text(draft: Draft, page: bytes, *, charset: str | None = None) -> Draft:
    """Return *draft* with the body that its page has, and with the page's image where it had none.

    A body that the feed gave is the summary then, where there is none.

    Raises:
        UnusableError: no article was found on the page.
        InvalidError: the page is no text.
    """
    if len(page) > LARGEST_PAGE:
        raise UnusableError(f"its page has {len(page):,} bytes; at most {LARGEST_PAGE:,} are read")
    own = draft.own
    text = decode(page, charset or declared_charset(page)).text
    root = parse_page(text)  # refuses what is nested too deeply, before anything looks closer
    import trafilatura  # noqa: PLC0415  0.2 s to import, which commands that poll nothing do not need

    found = trafilatura.extract(
        text,
        url=own.url,
        output_format="html",
        include_images=True,
        include_links=True,
        include_formatting=True,
        include_tables=True,
        include_comments=False,
        with_metadata=False,
    )
    paragraphs = paragraphs_of_html(found[:LONGEST_MARKUP], own.url) if found else ()
    said = sum(len(each.text) for each in paragraphs)
    if said < SHORTEST_TEXT or said < len(own.body_text) or sum(len(each.html) for each in paragraphs) > LONGEST_BODY:
        raise UnusableError("no article was found on its page")
    summary = own.summary or text_of_markup(own.body_html)
    full = replace(draft, texts=(replace(own, paragraphs=paragraphs, summary=summary), *draft.texts[1:]))
    image = image_of(meta_of(root), own.url)
    if image and not draft.image_url:
        full = replace(full, image_url=image.url, image_width=image.width, image_height=image.height)
    if image and image.url == full.image_url and not full.own.image_alt:
        full = replace(full, texts=(replace(full.own, image_alt=image.alt), *full.texts[1:]))
    return with_alt_text(full)
