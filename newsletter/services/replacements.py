"""Replacements: an edition's variants that show an article are laid out anew, and mail that has not left follows."""

from collections.abc import Callable, Iterable, Mapping

from newsletter.domain.compositions import Content, digest_of
from newsletter.domain.edition_edits import taken_together
from newsletter.domain.editions import Edition, Item
from newsletter.domain.variants import Block
from newsletter.services.context import Transaction
from newsletter.services.digests import DigestMaker
from newsletter.storage import articles as article_store
from newsletter.storage import audiences, edition_edits, fanout, variants
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store
from newsletter.storage import topics as topic_store

Blocks = Mapping[str, Block]


def digest_maker(tx: Transaction, edition: Edition) -> DigestMaker:
    """Return what lays out the variants of an edition, of the articles that it holds."""
    held = edition_store.edition_items(tx.session, edition.id)
    articles = {each.id: each for each in article_store.load_articles(tx.session, [each for each, _ in held])}
    return DigestMaker(
        tx.settings,
        list_store.load_list_by_id(tx.session, edition.list_id),
        edition,
        tuple(topic_store.load_topics(tx.session)),
        {each: articles[each] for each, _ in held if each in articles},
        taken_together(edition_edits.load_edits(tx.session, edition.id)),
    )


def replace_in_variants(
    tx: Transaction,
    maker: DigestMaker,
    article_id: int,
    change: Callable[[Item], Item | None],
    *,
    render: Callable[[str, Iterable[Item], Blocks], Blocks] = lambda _language, _items, _blocks: {},
) -> int:
    """Put what *change* makes of an article's item in the place of it; return how many unsent mails that changed.

    A variant of which nothing is left is cancelled. *render*: returns blocks of a language that are still missing.
    """
    edition_id = maker.edition.id
    old = {each.id: each.language for each in variants.variants_with(tx.session, edition_id, article_id)}
    contents: dict[int, Content] = {
        each: (old[each], tuple(_changed(items, article_id, change)))
        for each, items in variants.items_of(tx.session, old).items()
    }
    for language, items in _by_language(contents.values()).items():
        blocks = variants.load_blocks(tx.session, edition_id, language)
        maker.reuse(language, items, {**blocks, **render(language, items, blocks)})
    new = [maker.variant(content) for content in dict.fromkeys(contents.values()) if content[1]]
    ids = variants.save_variants(tx.session, edition_id, new)
    replaced = {
        each: ids[language, digest_of(language, items)] if items else None
        for each, (language, items) in contents.items()
    }
    variants.replace_variants(tx.session, replaced, now=tx.now)
    audiences.replace_variants_in_audience(tx.session, replaced)
    return fanout.move_open_deliveries(tx.session, edition_id, replaced)


def _changed(items: Iterable[Item], article_id: int, change: Callable[[Item], Item | None]) -> Iterable[Item]:
    changed = (change(item) if item.article_id == article_id else item for item in items)
    return (item for item in changed if item is not None)


def _by_language(contents: Iterable[Content]) -> dict[str, dict[Item, None]]:
    shown: dict[str, dict[Item, None]] = {}
    for language, items in contents:
        shown.setdefault(language, {}).update(dict.fromkeys(items))
    return shown
