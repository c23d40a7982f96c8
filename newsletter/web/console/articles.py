"""Articles in the console: found, where each went, given other words, withdrawn, brought back."""

from starlette.responses import Response

from newsletter.domain.articles import ArticleState
from newsletter.domain.editions import ENDED, EditionState
from newsletter.domain.staff import Role
from newsletter.errors import InvalidError
from newsletter.rendering.words import kind_name
from newsletter.services.articles import (
    describe_articles,
    list_articles,
    publish_article,
    show_article,
    staff_edit,
    withdraw_article,
)
from newsletter.services.edition_edits import mend_edition
from newsletter.services.explaining import trace_article
from newsletter.web.console.desk import Desk, Place
from newsletter.web.console.words import article_state, edition_state

PAGE = 50


def _articles(desk: Desk) -> Response:
    asked, language = desk.asked("state"), desk.visit.language
    state = ArticleState(asked) if asked in set(ArticleState) else None
    with desk.app.reading() as tx:
        found = list_articles(tx, state=state, before=desk.asked("before") or None, limit=PAGE)
    return desk.page(
        "articles",
        rows=[
            (
                each,
                kind_name(language, each.kind),
                article_state(language, each.state),
                desk.time(each.visible_at),
            )
            for each in found.articles
        ],
        next_before=found.next_before,
        states=[(each.value, article_state(language, each)) for each in ArticleState],
        chosen=asked,
    )


def _article(desk: Desk) -> Response:
    """Show an article, where it went, and what may be done about it."""
    uid, language = str(desk.visit.request.path_params["article"]), desk.visit.language
    with desk.app.reading() as tx:
        [facts] = describe_articles(tx, [show_article(tx, uid)])
    editions = trace_article(desk.app, facts.uid).editions
    return desk.page(
        "article",
        facts=facts,
        kind=kind_name(language, facts.kind),
        state=article_state(language, facts.state),
        visible=desk.time(facts.visible_at),
        own=facts.translations.get(facts.language),
        editions=[
            (
                each,
                edition_state(language, EditionState(each.state)),
                sum(each.mails.values()),
                EditionState(each.state) not in ENDED and not each.withdrawn_at,
            )
            for each in editions
        ],
    )


def _publish(desk: Desk) -> Response:
    """Give an article the words of the form, where they are others, or bring back a withdrawn one."""
    uid = str(desk.visit.request.path_params["article"])
    with desk.app.reading() as tx:
        record = show_article(tx, uid)
    before = record.translations.get(record.default_language)
    title, summary = desk.value("title"), desk.value("summary")
    given = staff_edit(
        desk.app,
        title=title if "title" in desk.visit.form and (before is None or title != before.title) else None,
        summary=summary if "summary" in desk.visit.form and (before is None or summary != before.summary) else None,
    )
    if given is None and record.state is ArticleState.PUBLISHED:
        raise InvalidError(desk.visit.language.gettext("Nothing was changed."))
    publish_article(desk.app, record.uid, edit=given)
    return desk.to(f"/articles/{record.uid}", done="article-published")


def _withdraw(desk: Desk) -> Response:
    record = withdraw_article(desk.app, str(desk.visit.request.path_params["article"]), reason=desk.value("reason"))
    return desk.to(f"/articles/{record.uid}", done="article-withdrawn")


def _mend(desk: Desk) -> Response:
    """Put an article's present words into what an edition has not sent yet, such as those that an import corrected."""
    edition_id = desk.number("edition")
    mend_edition(desk.app, edition_id, desk.value("article"))
    return desk.to(f"/editions/{edition_id}", done="mended")


PLACES = (
    Place("GET", "/articles", Role.EDITOR, _articles, "articles"),
    Place("GET", "/articles/{article}", Role.EDITOR, _article, "article"),
    Place("POST", "/articles/{article}/publish", Role.EDITOR, _publish, "publish"),
    Place("POST", "/articles/{article}/withdraw", Role.EDITOR, _withdraw, "withdraw"),
    Place("POST", "/editions/{edition}/mend", Role.EDITOR, _mend, "mend"),
)
