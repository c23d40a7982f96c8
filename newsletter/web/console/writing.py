"""Writing to readers in the console: an announcement or a correction in Markdown, a text for each language."""

from collections.abc import Sequence

from starlette.responses import Response

from newsletter.domain.articles import Kind
from newsletter.domain.staff import Role
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services.announcement_editions import LetterDraft, compose_announcement, compose_correction
from newsletter.services.edition_edits import diff_edition
from newsletter.services.filters import NamedFilter
from newsletter.services.lists import list_lists, show_list
from newsletter.services.reading import read_topics
from newsletter.services.reports import find_progress
from newsletter.web.choices import kind_options, language_options, topic_options
from newsletter.web.console.desk import Desk, Place
from newsletter.web.console.editions import row_of

REFUSED = 422


def _compose_page(desk: Desk) -> Response:
    return _form(desk, desk.asked("list"))


def _form(desk: Desk, slug: str, *, problem: str = "") -> Response:
    lists = [each.mailing_list for each in list_lists(desk.app)]
    chosen = show_list(desk.app, slug).mailing_list if slug else (lists[0] if len(lists) == 1 else None)
    codes = chosen.languages if chosen else ()
    visit = desk.visit
    return desk.page(
        "compose",
        status=REFUSED if problem else 200,
        problem=problem,
        lists=[(each.slug, each.title(visit.language.code)) for each in lists],
        chosen=chosen.slug if chosen else "",
        letters=_written(desk, codes),
        topics=topic_options(read_topics(desk.app), visit.language),
        kinds=kind_options(Kind, visit.language),
        chosen_topics=visit.values("topic"),
        chosen_kinds=visit.values("kind"),
    )


def _compose(desk: Desk) -> Response:
    """Compose what was written; a refusal shows the form again with every word still in it."""
    slug, visit = desk.value("list"), desk.visit
    wanted = NamedFilter(topics=visit.values("topic"), kinds=visit.values("kind"))
    try:
        found = compose_announcement(desk.app, slug, _letters(desk, slug), wanted=wanted)
    except (InvalidError, ConflictError, NotFoundError) as error:
        return _form(desk, slug, problem=str(error))
    return desk.to(f"/editions/{found.edition_id}", done="composed")


def _correct_page(desk: Desk) -> Response:
    return _correction(desk, desk.asked("article"))


def _correction(desk: Desk, article: str, *, problem: str = "") -> Response:
    edition_id = desk.number("edition")
    row = row_of(desk, find_progress(desk.app, edition_id))
    codes = show_list(desk.app, row.facts.list_slug).mailing_list.languages
    return desk.page(
        "correct",
        status=REFUSED if problem else 200,
        problem=problem,
        row=row,
        items=diff_edition(desk.app, edition_id).edited,
        chosen=article,
        letters=_written(desk, codes),
    )


def _correct(desk: Desk) -> Response:
    """Compose a correction to those who were sent an article; a refusal shows the form again with every word in it."""
    edition_id, article = desk.number("edition"), desk.value("article")
    slug = find_progress(desk.app, edition_id).list_slug
    try:
        found = compose_correction(desk.app, edition_id, article, _letters(desk, slug))
    except (InvalidError, ConflictError, NotFoundError) as error:
        return _correction(desk, article, problem=str(error))
    return desk.to(f"/editions/{found.edition_id}", done="composed")


def _written(desk: Desk, codes: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """Return for each language its code and name, and what the form says in it so far."""
    visit = desk.visit
    return [
        (code, name, visit.value(f"subject-{code}"), visit.value(f"text-{code}"))
        for code, name, _ in language_options(codes, visit)
    ]


def _letters(desk: Desk, slug: str) -> dict[str, LetterDraft]:
    """Return what was written in each of a list's languages; those left empty have no letter."""
    return {
        code: LetterDraft(desk.value(f"subject-{code}"), desk.visit.value(f"text-{code}"))
        for code in show_list(desk.app, slug).mailing_list.languages
        if desk.value(f"subject-{code}") or desk.value(f"text-{code}")
    }


PLACES = (
    Place("GET", "/compose", Role.EDITOR, _compose_page, "compose"),
    Place("POST", "/compose", Role.EDITOR, _compose, "compose-post"),
    Place("GET", "/editions/{edition}/correct", Role.EDITOR, _correct_page, "correct"),
    Place("POST", "/editions/{edition}/correct", Role.EDITOR, _correct, "correct-post"),
)
