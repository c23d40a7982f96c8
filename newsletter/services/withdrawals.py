"""Withdrawals: a withdrawn article leaves everything that has not been sent."""

from newsletter.domain.editions import Edition
from newsletter.services.context import Transaction
from newsletter.services.replacements import digest_maker, replace_in_variants
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store


def withdraw_from_editions(tx: Transaction, article_id: int) -> int:
    """Take an article out of every edition not ended yet; return how many unsent deliveries that changed.

    Variants that showed it are laid out anew from the blocks that are there, and queued and leased mail follows; a
    variant that held nothing else is cancelled. Counts from the moment the caller's transaction commits: it waits for
    whoever composes or fans out at this moment, and is waited for by the next.
    """
    list_store.lock_lists(tx.session)
    return sum(
        withdraw_from_edition(tx, edition, article_id)
        for edition in edition_store.editions_holding(tx.session, article_id)
    )


def withdraw_from_edition(tx: Transaction, edition: Edition, article_id: int) -> int:
    """Take an article out of one edition, which the caller has locked, and its list."""
    edition_store.mark_item_withdrawn(tx.session, edition.id, article_id, now=tx.now)
    return replace_in_variants(tx, digest_maker(tx, edition), article_id, lambda _: None)
