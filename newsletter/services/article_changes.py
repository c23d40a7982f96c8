"""Article changes: tells, in the transaction that changes articles, everyone who shows them."""

from collections.abc import Sequence

from newsletter.dispatch import Doorbell
from newsletter.services.context import Transaction
from newsletter.services.feeds import note_article_changes


def announce_changes(tx: Transaction, article_ids: Sequence[int]) -> None:
    """Note that articles which readers see, saw or will see were published, changed or withdrawn.

    Their feeds are noted now and rebuilt later, whatever becomes of the doorbells; `ARTICLE_CHANGED` is rung for each
    after commit. Safe to repeat.
    """
    note_article_changes(tx, article_ids)
    for article_id in article_ids:
        tx.ring(Doorbell.ARTICLE_CHANGED, article_id)
