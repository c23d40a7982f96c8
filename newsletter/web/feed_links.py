"""Links from pages to the feeds of the same subject, for people and for readers that look for them."""

from newsletter.domain.feeds import Facet
from newsletter.web.discovery import FeedLink, links_to_feed
from newsletter.web.visits import Visit


def feed_links(visit: Visit, facet: Facet, subject: str = "") -> list[FeedLink]:
    """Return the feeds of a subject in the visitor's language, one for each format."""
    return links_to_feed(visit.app.settings, visit.language.code, facet, subject)
