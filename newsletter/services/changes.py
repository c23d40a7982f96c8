"""What follows from a change to an article: its feeds, and editions of lists that send at once."""

from newsletter.services import feeds
from newsletter.services.context import App
from newsletter.services.editions import open_immediate_editions


def article_changed(app: App, article_id: int) -> None:
    """Rebuild the feeds that hold or held the article, and open the editions that are due at once. Safe to repeat."""
    feeds.article_changed(app, article_id)
    open_immediate_editions(app)
