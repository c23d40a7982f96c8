"""Reports: what staff read of editions; nothing here writes."""

from newsletter.domain.editions import EditionState
from newsletter.errors import NotFoundError
from newsletter.services.archive import View, view_variant
from newsletter.services.context import App
from newsletter.services.editions import Progress, edition_progress
from newsletter.services.lists import find_list
from newsletter.storage import edition_shares, variants
from newsletter.storage import editions as edition_store


def list_progress(app: App, *, slug: str | None, state: EditionState | None, limit: int) -> list[Progress]:
    """Return editions with their accounts, the newest slot first.

    Raises:
        NotFoundError: there is no such list.
    """
    with app.reading() as tx:
        list_id = find_list(tx, slug).id if slug else None
        found = edition_store.list_editions(tx.session, list_id=list_id, states=[state] if state else [], limit=limit)
        return [edition_progress(tx, edition) for edition in found]


def find_progress(app: App, edition_id: int) -> Progress:
    """Return one edition's accounts.

    Raises:
        NotFoundError: there is no such edition.
    """
    with app.reading() as tx:
        edition = edition_store.load_edition(tx.session, edition_id)
        if edition is None:
            raise NotFoundError(f"there is no edition {edition_id}; see `newsletter editions list`")
        return edition_progress(tx, edition)


def expected_readers(app: App, edition_id: int) -> int:
    """Return how many readers an edition that was composed has by now; fan-out counts them again, name by name."""
    with app.reading() as tx:
        edition = edition_store.load_edition(tx.session, edition_id)
        return sum(each.readers for each in edition_shares.variant_shares(tx.session, edition)) if edition else 0


def preview_edition(app: App, edition_id: int, language: str | None) -> View:
    """Return what most readers of *language* see of an edition; None: of the first language it has.

    Raises:
        NotFoundError: there is no such edition, or nothing has been composed for it in that language.
    """
    with app.reading() as tx:
        edition = edition_store.load_edition(tx.session, edition_id)
        if edition is None:
            raise NotFoundError(f"there is no edition {edition_id}; see `newsletter editions list`")
        languages = variants.variant_languages(tx.session, edition_id)
        chosen = language or next(iter(languages), "")
        variant = variants.widest_variant(tx.session, edition_id, chosen)
        if variant is None:
            told = f"it has {', '.join(languages)}" if languages else f"it is {edition.state}"
            raise NotFoundError(f"edition {edition_id} has nothing to show in {chosen or 'any language'}; {told}")
        return view_variant(tx, edition, variant)
