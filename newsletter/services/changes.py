"""What follows from a change to an article, beside its feeds: editions of lists that send at once."""

from newsletter.services.context import App
from newsletter.services.editions import open_immediate_editions


def article_changed(app: App, article_id: int) -> None:
    """Open the editions that are due at once. Safe to repeat.

    Its feeds were noted in the transaction that changed it, and have a doorbell of their own: many changes make one
    rebuild (`feeds.note_article_changes`).
    """
    del article_id
    open_immediate_editions(app)
