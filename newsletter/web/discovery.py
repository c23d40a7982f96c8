"""Where a subject is to be had as a feed, for programs that look for feeds in pages and in their headers."""

from collections.abc import Iterable
from dataclasses import dataclass

from newsletter.config import Settings
from newsletter.domain.feeds import Facet, FeedFormat, FeedPlan, feed_address
from newsletter.domain.filters import EVERYTHING

NAMES = {FeedFormat.ATOM: "Atom", FeedFormat.RSS: "RSS", FeedFormat.JSON: "JSON Feed"}


@dataclass(frozen=True, slots=True)
class FeedLink:
    """Where a subject is to be had as a feed."""

    name: str
    url: str
    media_type: str


def links_to_feed(settings: Settings, language: str, facet: Facet = Facet.ALL, subject: str = "") -> list[FeedLink]:
    """Return the addresses of a subject's feed in a language, one for each format."""
    slug = FeedPlan(facet, subject, language, EVERYTHING).slug
    return [FeedLink(NAMES[form], feed_address(settings.base_url, slug, form), form.media_type) for form in FeedFormat]


def link_header(links: Iterable[FeedLink]) -> str:
    """Return the same as a Link header says it (RFC 8288)."""
    return ", ".join(f'<{link.url}>; rel="alternate"; type="{link.media_type}"' for link in links)
