"""Withdrawals: a withdrawn article leaves everything that has not been sent."""

from newsletter.domain.edition_edits import taken_together
from newsletter.domain.editions import Edition
from newsletter.domain.variants import Block
from newsletter.services.context import Transaction
from newsletter.services.digests import DigestMaker
from newsletter.storage import articles as article_store
from newsletter.storage import audiences, edition_edits, fanout, variants
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store
from newsletter.storage import topics as topic_store


def withdraw_from_editions(tx: Transaction, article_id: int) -> int:
    """Take an article out of every edition not ended yet; return how many unsent deliveries that changed.

    Variants that showed it are laid out anew from the blocks that are there, and queued and leased mail follows; a
    variant that held nothing else is cancelled. Counts from the moment the caller's transaction commits: it waits for
    whoever composes or fans out at this moment, and is waited for by the next.
    """
    list_store.lock_lists(tx.session)
    changed = 0
    for edition in edition_store.editions_holding(tx.session, article_id):
        edition_store.mark_item_withdrawn(tx.session, edition.id, article_id, now=tx.now)
        changed += _withdraw(tx, edition, article_id)
    return changed


def _withdraw(tx: Transaction, edition: Edition, article_id: int) -> int:
    held = edition_store.edition_items(tx.session, edition.id)
    articles = {each.id: each for each in article_store.load_articles(tx.session, [each for each, _ in held])}
    maker = DigestMaker(
        tx.settings,
        list_store.load_list_by_id(tx.session, edition.list_id),
        edition,
        tuple(topic_store.load_topics(tx.session)),
        {each: articles[each] for each, _ in held if each in articles},
        taken_together(edition_edits.load_edits(tx.session, edition.id)),
    )
    changed = 0
    blocks: dict[str, dict[str, Block]] = {}
    for old in variants.variants_with(tx.session, edition.id, article_id):
        items = tuple(item for item in variants.variant_items(tx.session, old.id) if item.article_id != article_id)
        new_id = None
        if items:
            if old.language not in blocks:
                blocks[old.language] = variants.load_blocks(tx.session, edition.id, old.language)
            maker.reuse(old.language, items, blocks[old.language])
            new = maker.variant((old.language, items))
            new_id = variants.save_variants(tx.session, edition.id, [new])[new.language, new.digest]
        variants.replace_variant(tx.session, old.id, new_id, now=tx.now)
        audiences.replace_variant_in_audience(tx.session, old.id, new_id)
        changed += fanout.move_open_deliveries(tx.session, old.id, new_id)
    return changed
