"""The page that a review mail leads to: kept by nobody, listed by nobody, in the list's language, read only."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from newsletter.domain.editions import EditionState
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.services.article_imports import import_document
from newsletter.services.composing import compile_edition
from newsletter.services.context import App
from newsletter.services.editions import approve_edition, open_due_editions
from newsletter.services.filters import EVERY_ARTICLE
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.reports import list_progress
from newsletter.services.subscriber_imports import add_subscriber

BASIS = "signed up on paper at the fair, May 2024"


@pytest.fixture
def checked(newsroom: App) -> int:
    """The number of an edition that waits for review, of a list that is written in Kyrgyz."""
    since = newsroom.clock() - timedelta(days=30)
    add_list(
        newsroom, ListDraft(slug="apta", titles={"ky": "Апта"}, languages=("ky",), review_minutes=240, since=since)
    )
    item = {"id": "a", "title": "Мектеп", "markdown": "Мектеп ачылды. " * 40, "published": "2026-03-15T09:00:00+06:00"}
    document = {"source": "Example Newsroom", "articles": [item | {"language": "ky"}]}
    import_document(newsroom, "articles.json", json.dumps(document).encode())
    add_subscriber(newsroom, "apta", "aida@example.org", basis=BASIS, wanted=EVERY_ARTICLE)
    for edition_id in open_due_editions(newsroom):
        compile_edition(newsroom, edition_id)
    [waiting] = list_progress(newsroom, slug="apta", state=EditionState.REVIEW, limit=9)
    return waiting.edition_id


def link_to(app: App, edition_id: int, *, lives: timedelta = timedelta(days=1)) -> str:
    name = f"{edition_id}.{int((app.clock() + lives).timestamp())}"
    return f"/review/{TokenSigner(app.settings.secret).sign(TokenPurpose.REVIEW, name)}"


def test_it_says_what_waits_and_what_to_type_and_leads_to_what_readers_get(newsroom, browser, checked):
    page = browser.get(link_to(newsroom, checked))
    [variant] = re.findall(r'href="([^"]*/review/[^"/]+/[0-9]+)"', page.text)
    shown = browser.get(variant.removeprefix(newsroom.settings.base_url))

    assert (200, 200) == (page.status_code, shown.status_code)
    assert '<html lang="ky"' in page.text
    assert f"newsletter editions approve {checked}" in page.text
    assert "Окурмандар эмне алат" in page.text
    assert "Мектеп" in shown.text
    assert "/unsubscribe/" not in shown.text
    assert "<form" not in page.text.partition("<main")[2]
    for each in (page, shown):
        assert ("noindex", "no-store") == (each.headers["x-robots-tag"], each.headers["cache-control"])


def test_a_post_decides_nothing(newsroom, browser, checked):
    assert 405 == browser.post(link_to(newsroom, checked)).status_code


@pytest.mark.slow
def test_what_is_decided_is_said(newsroom, browser, checked):
    settings = newsroom.settings.model_copy(update={"postal_address": "1 Example Street"})
    approve_edition(replace(newsroom, settings=settings), checked, actor="a test")
    page = browser.get(link_to(newsroom, checked)).text

    assert "Чечим кабыл алынды" in page
    assert "editions approve" not in page


@pytest.mark.slow
def test_it_ends_with_its_time_and_no_other_token_opens_it(newsroom, browser, checked):
    late = link_to(newsroom, checked, lives=timedelta(0))
    other = TokenSigner(newsroom.settings.secret).sign(TokenPurpose.CONFIRM, f"{checked}.99999999999")

    assert [410, 410] == [browser.get(path).status_code for path in (late, f"{late}/1")]
    assert 404 == browser.get(f"/review/{other}").status_code
    assert 404 == browser.get(f"{link_to(newsroom, checked)}/{'9' * 40}").status_code
