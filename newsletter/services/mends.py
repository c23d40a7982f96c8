"""Mends: the new words of a corrected article reach all mail that has not left; what has left stays as it was."""

from collections.abc import Iterable

from newsletter.domain.editions import Edition, EditionState, Item
from newsletter.domain.variants import Block
from newsletter.services.audit import record_act
from newsletter.services.composing import compose_again
from newsletter.services.context import Transaction
from newsletter.services.digests import DigestMaker
from newsletter.services.replacements import Blocks, digest_maker, replace_in_variants
from newsletter.storage import edition_edits, variants
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store


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
    maker = digest_maker(tx, edition)

    def mend(item: Item) -> Item:
        return Item(item.article_id, item.language, item.revision, number)

    def render(language: str, items: Iterable[Item], known: Blocks) -> Blocks:
        rendered: dict[str, Block] = {}
        for item in items:
            if item.article_id == article_id and not any(key.endswith(f":{item.key}") for key in known):
                rendered |= _rendered_anew(tx, maker, language, item)
        return rendered

    return replace_in_variants(tx, maker, article_id, mend, render=render)


def _rendered_anew(tx: Transaction, maker: DigestMaker, language: str, item: Item) -> dict[str, Block]:
    """Render and store the blocks of one item in the edition's language; the edition's other blocks stay."""
    maker.render([(language, (item,))])
    made = {key: block for key, block in maker.rendered[language].blocks.items() if key.endswith(f":{item.key}")}
    variants.save_blocks(tx.session, maker.edition.id, language, made.values())
    return made
