"""Letters: what staff write themselves, from sanitised HTML to a mail's own looks, and the sentences around it."""

import re
from dataclasses import dataclass

from markupsafe import Markup

from newsletter.domain.announcements import Letter
from newsletter.rendering.languages import Language
from newsletter.rendering.plain import clean, wrapped

MAX_LETTER_SUBJECT = 120
_HEADING = re.compile(r"(</?h)([2-5])(?=[\s>])")
_LINK = re.compile(r"<a (?=href=)")
_IMAGE = re.compile(r"<img (?![^>]*\bwidth=)")
_MARKDOWN_LINK = re.compile(r"\[([^\]\n]+)\]\((https?://[^)\s]+)\)")
_ELEMENT = re.compile(r"<(?!https?://|mailto:)[/!]?[a-zA-Z-][^>]*>")
_VERBATIM = re.compile(r"\s*(?:[-*+]|\d+[.)]|#|>|\||    )")


@dataclass(frozen=True, slots=True)
class LetterView:
    """A letter as the templates show it: its own headings stand below its subject, its links are seen in the dark."""

    subject: str
    html: Markup
    text: str


def view_letter(letter: Letter) -> LetterView:
    """Return *letter*, whose HTML is sanitised, as the templates show it."""
    lowered = _HEADING.sub(lambda match: f"{match[1]}{int(match[2]) + 1}", letter.html)
    linked = _LINK.sub('<a class="accent" ', lowered)
    sized = _IMAGE.sub('<img width="568" ', linked)
    return LetterView(
        subject=clean(letter.subject, MAX_LETTER_SUBJECT),
        html=Markup(sized),  # noqa: S704 - sanitised when it came in, by `newsletter.ingest.markup`
        text=letter.text,
    )


def plain_letter(markdown: str) -> str:
    """Return Markdown as a mail's text: lines of at most 72 characters, the address of a link behind its words."""
    spelled = _MARKDOWN_LINK.sub(r"\1 <\2>", _ELEMENT.sub("", markdown.replace("\r\n", "\n")))
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", spelled.strip()):
        lines = [line.rstrip() for line in paragraph.split("\n") if line.strip()]
        is_verbatim = any(_VERBATIM.match(line) or line.startswith("http") for line in lines)
        told = (
            [wrapped(line.replace("**", "")) for line in lines]
            if is_verbatim
            else [wrapped(" ".join(lines).replace("**", ""))]
        )
        paragraphs.append("\n".join(told))
    return "\n\n".join(paragraphs)


def render_letter_intro(language: Language, newsroom: str, *, is_correction: bool) -> str:
    """Return the first sentence of an announcement: whose message it is."""
    if is_correction:
        return language.gettext("A correction from %(newsroom)s.", newsroom=newsroom)
    return language.gettext("A message from %(newsroom)s.", newsroom=newsroom)


def render_letter_why(language: Language, list_title: str, *, is_correction: bool) -> str:
    """Return why a reader gets an announcement."""
    if is_correction:
        return language.gettext(
            "You receive this e-mail because an earlier one of “%(list)s” held what is corrected here.",
            list=clean(list_title, MAX_LETTER_SUBJECT),
        )
    return language.gettext(
        "You receive this e-mail because you subscribed to “%(list)s”.", list=clean(list_title, MAX_LETTER_SUBJECT)
    )


def render_correction_subject(language: Language, title: str) -> str:
    """Return the subject of a correction that was given none."""
    return language.gettext("Correction: %(title)s", title=clean(title, MAX_LETTER_SUBJECT))
