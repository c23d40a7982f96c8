"""Links from pages to the feeds of the same subject, for people and for readers that look for them."""

from dataclasses import dataclass

from newsletter.domain.feeds import Facet, FeedFormat, FeedPlan, feed_address
from newsletter.domain.filters import EVERYTHING
from newsletter.web.visits import Visit

NAMES = {FeedFormat.ATOM: "Atom", FeedFormat.RSS: "RSS", FeedFormat.JSON: "JSON Feed"}


@dataclass(frozen=True, slots=True)
class FeedLink:
    """Where a subject is to be had as a feed."""

    name: str
    url: str
    media_type: str


def feed_links(visit: Visit, facet: Facet, subject: str = "") -> list[FeedLink]:
    """Return the feeds of a subject in the visitor's language, one for each format."""
    slug = FeedPlan(facet, subject, visit.language.code, EVERYTHING).slug
    base_url = visit.app.settings.base_url
    return [FeedLink(NAMES[form], feed_address(base_url, slug, form), form.media_type) for form in FeedFormat]
