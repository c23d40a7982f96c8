"""Writing to the readers of a list in the console: an announcement in Markdown, a text for each language."""

from starlette.responses import Response

from newsletter.domain.articles import Kind
from newsletter.domain.staff import Role
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services.announcement_editions import LetterDraft, compose_announcement
from newsletter.services.filters import NamedFilter
from newsletter.services.lists import list_lists, show_list
from newsletter.services.reading import read_topics
from newsletter.web.choices import kind_options, language_options, topic_options
from newsletter.web.console.desk import Desk, Place

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
        letters=[
            (code, name, visit.value(f"subject-{code}"), visit.value(f"text-{code}"))
            for code, name, _ in language_options(codes, visit)
        ],
        topics=topic_options(read_topics(desk.app), visit.language),
        kinds=kind_options(Kind, visit.language),
        chosen_topics=visit.values("topic"),
        chosen_kinds=visit.values("kind"),
    )


def _compose(desk: Desk) -> Response:
    """Compose what was written; a refusal shows the form again with every word still in it."""
    slug, visit = desk.value("list"), desk.visit
    languages = show_list(desk.app, slug).mailing_list.languages
    letters = {
        code: LetterDraft(desk.value(f"subject-{code}"), visit.value(f"text-{code}"))
        for code in languages
        if desk.value(f"subject-{code}") or desk.value(f"text-{code}")
    }
    wanted = NamedFilter(topics=visit.values("topic"), kinds=visit.values("kind"))
    try:
        found = compose_announcement(desk.app, slug, letters, wanted=wanted)
    except (InvalidError, ConflictError, NotFoundError) as error:
        return _form(desk, slug, problem=str(error))
    return desk.to(f"/editions/{found.edition_id}", done="composed")


PLACES = (
    Place("GET", "/compose", Role.EDITOR, _compose_page, "compose"),
    Place("POST", "/compose", Role.EDITOR, _compose, "compose-post"),
)
