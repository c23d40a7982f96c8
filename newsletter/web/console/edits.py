"""Changing a draft in the console: lead, pins, drops, order, introduction, summaries; each a change on record."""

from dataclasses import dataclass

from starlette.responses import Response

from newsletter.domain.articles import Kind
from newsletter.domain.edition_edits import EditKind
from newsletter.domain.staff import Role
from newsletter.errors import InvalidError
from newsletter.rendering.words import kind_name
from newsletter.services.edition_desk import find_edited_words, offer_articles
from newsletter.services.edition_edits import Change, EditionDiff, ItemFacts, diff_edition, edit_edition
from newsletter.services.lists import show_list
from newsletter.services.reports import find_progress
from newsletter.web.choices import language_options
from newsletter.web.console.desk import Desk, Place
from newsletter.web.console.editions import row_of
from newsletter.web.console.words import edit_kind

OF_AN_ARTICLE = (
    EditKind.LEAD,
    EditKind.PIN,
    EditKind.UNPIN,
    EditKind.DROP,
    EditKind.POSTPONE,
    EditKind.RESTORE,
    EditKind.ADD,
)


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One change that was made, as the page tells of it."""

    when: str
    who: str
    what: str
    about: str
    words: str


@dataclass(frozen=True, slots=True)
class ItemLine:
    """An article of an edition, and how it differs from the automatic one, in words."""

    facts: ItemFacts
    kind: str
    differs: str


def _edit_page(desk: Desk) -> Response:
    edition_id = desk.number("edition")
    found = find_progress(desk.app, edition_id)
    diff = diff_edition(desk.app, edition_id)
    written = find_edited_words(desk.app, edition_id)
    language = desk.visit.language
    kept = {each.uid for each in diff.edited}
    languages = language_options(show_list(desk.app, found.list_slug).mailing_list.languages, desk.visit)
    return desk.page(
        "edit",
        row=row_of(desk, found),
        items=_items(desk, diff),
        gone=[each for each in diff.automatic if each.uid not in kept],
        changes=_lines(desk, diff),
        languages=languages,
        intros=[(code, name, written.intros.get(code, "")) for code, name, _ in languages],
        offered=[
            (each, kind_name(language, each.kind), desk.time(each.starts_at))
            for each in offer_articles(desk.app, edition_id)
        ],
        actions=[
            (EditKind.LEAD.value, language.gettext("Make it the lead")),
            (EditKind.PIN.value, language.gettext("Pin it to the top")),
            (EditKind.UNPIN.value, language.gettext("Undo the pin")),
            (EditKind.POSTPONE.value, language.gettext("Leave it to the next edition")),
            (EditKind.DROP.value, language.gettext("Drop it for good")),
        ],
    )


def _items(desk: Desk, diff: EditionDiff) -> list[ItemLine]:
    """Return an edition's articles beside the automatic one, as `newsletter editions diff` does."""
    language = desk.visit.language
    automatic = {each.uid: each for each in diff.automatic}
    lines = []
    for each in diff.edited:
        before, words = automatic.get(each.uid), []
        if before is None:
            words.append(language.gettext("brought in"))
        elif before.number != each.number:
            words.append(language.gettext("by itself it would be number %(number)s", number=before.number))
        if each.is_lead and not (before and before.is_lead):
            words.append(language.gettext("by itself another one would lead"))
        lines.append(ItemLine(each, kind_name(language, Kind(each.kind)), "; ".join(words)))
    return lines


def _lines(desk: Desk, diff: EditionDiff) -> list[ChangeLine]:
    language = desk.visit.language
    return [
        ChangeLine(
            desk.time(each.at),
            each.actor,
            edit_kind(language, each.kind),
            each.title or each.uid or "",
            each.words or "",
        )
        for each in diff.changes
    ]


def _edit(desk: Desk) -> Response:
    """Make what one of the page's forms asks for; `change` says which."""
    edition_id = desk.number("edition")
    edit_edition(desk.app, edition_id, _changes(desk, edition_id))
    return desk.to(f"/editions/{edition_id}/edit", done="edited")


def _changes(desk: Desk, edition_id: int) -> list[Change]:
    asked = desk.value("change")
    kind = EditKind(asked) if asked in set(EditKind) else None
    article = desk.value("article") or None
    if kind is EditKind.RESET:
        return [Change(EditKind.RESET)]
    if kind is EditKind.INTRO:
        return _intros(desk, edition_id)
    if kind is EditKind.SUMMARY:
        return [Change(EditKind.SUMMARY, article, desk.value("language") or None, desk.value("words"))]
    if kind is EditKind.ORDER:
        places = sorted(_places(desk), key=lambda each: each[0])
        return [Change(EditKind.ORDER, uid, words=str(place)) for place, (_, uid) in enumerate(places, start=1)]
    if kind in OF_AN_ARTICLE and article:
        reason = desk.value("reason") or None
        needs_reason = kind in (EditKind.DROP, EditKind.POSTPONE)
        return [Change(kind, article, words=reason if needs_reason else None)]
    raise InvalidError(desk.visit.language.gettext("Choose an article and what to change about it."))


def _intros(desk: Desk, edition_id: int) -> list[Change]:
    """Return the introductions that are others than before; each language has a field of its own."""
    written = find_edited_words(desk.app, edition_id).intros
    given = {name.removeprefix("words-"): desk.value(name) for name in desk.visit.form if name.startswith("words-")}
    changed = [
        Change(EditKind.INTRO, language=code, words=words)
        for code, words in given.items()
        if " ".join(words.split()) != written.get(code, "")
    ]
    if not changed:
        raise InvalidError(desk.visit.language.gettext("Nothing was changed."))
    return changed


def _places(desk: Desk) -> list[tuple[float, str]]:
    """Return the places that the form gives to articles; one left as it was stays before one moved there."""
    found = []
    for name in desk.visit.form:
        if name.startswith("place-"):
            uid, text = name.removeprefix("place-"), desk.value(name)
            if not text.isascii() or not text.isdigit():
                raise InvalidError(desk.visit.language.gettext("Places are numbers: 1 comes first."))
            found.append((float(text[:6]), uid))
    return found


PLACES = (
    Place("GET", "/editions/{edition}/edit", Role.EDITOR, _edit_page, "edit"),
    Place("POST", "/editions/{edition}/edit", Role.EDITOR, _edit, "edit-post"),
)
