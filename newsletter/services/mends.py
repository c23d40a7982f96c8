"""Mends: the new words of a corrected article reach all mail that has not left; what has left stays as it was."""

from newsletter.domain.edition_edits import taken_together
from newsletter.domain.editions import Edition, EditionState, Item
from newsletter.domain.variants import Block
from newsletter.services.audit import record_act
from newsletter.services.composing import compose_again
from newsletter.services.context import Transaction
from newsletter.services.digests import DigestMaker
from newsletter.storage import articles as article_store
from newsletter.storage import audiences, edition_edits, fanout, variants
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store
from newsletter.storage import topics as topic_store


def mend_in_editions(tx: Transaction, article_id: int) -> int:
    """Put an article's present words into every edition not ended yet; return how many unsent mails that changed.

    Waits for whoever composes or fans out at this moment, and is waited for by the next, as a withdrawal does.
    """
    list_store.lock_lists(tx.session)
    return sum(
        mend_in_edition(tx, edition, article_id) for edition in edition_store.editions_holding(tx.session, article_id)
    )


def mend_in_edition(tx: Transaction, edition: Edition, article_id: int) -> int:
    """Put an article's present words into one edition, which has not ended; the caller has the lists locked."""
    if edition.state is EditionState.REVIEW:
        compose_again(tx, list_store.load_list_by_id(tx.session, edition.list_id), edition)
        changed = 0
    else:
        changed = _mend_variants(tx, edition, article_id)
    record_act(tx, "mended", f"edition {edition.id}", article=article_id, mails=changed)
    return changed


def _mend_variants(tx: Transaction, edition: Edition, article_id: int) -> int:
    """Render the article anew, under a name of its own, and lay out anew the variants that show it; mail follows."""
    number = edition_edits.note_mend(tx.session, edition.id, article_id)
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
        items = tuple(
            Item(item.article_id, item.language, item.revision, number) if item.article_id == article_id else item
            for item in variants.variant_items(tx.session, old.id)
        )
        if old.language not in blocks:
            blocks[old.language] = variants.load_blocks(tx.session, edition.id, old.language)
        known = blocks[old.language]
        mended = next(item for item in items if item.article_id == article_id)
        if not any(key.endswith(f":{mended.key}") for key in known):
            known |= _rendered_anew(tx, maker, old.language, mended)
        maker.reuse(old.language, items, known)
        new = maker.variant((old.language, items))
        new_id = variants.save_variants(tx.session, edition.id, [new])[new.language, new.digest]
        variants.replace_variant(tx.session, old.id, new_id, now=tx.now)
        audiences.replace_variant_in_audience(tx.session, old.id, new_id)
        changed += fanout.move_open_deliveries(tx.session, old.id, new_id)
    return changed


def _rendered_anew(tx: Transaction, maker: DigestMaker, language: str, item: Item) -> dict[str, Block]:
    """Render and store the blocks of one item in the edition's language; the edition's other blocks stay."""
    maker.render([(language, (item,))])
    made = {key: block for key, block in maker.rendered[language].blocks.items() if key.endswith(f":{item.key}")}
    variants.save_blocks(tx.session, maker.edition.id, language, made.values())
    return made
