import json
import re
from dataclasses import replace

import pytest

from newsletter.services.archive import list_archive
from newsletter.services.article_imports import import_document
from newsletter.services.articles import withdraw_article
from newsletter.services.composing import compile_edition
from newsletter.services.context import App
from newsletter.services.editions import open_due_editions
from newsletter.services.filters import EVERY_ARTICLE, NamedFilter
from newsletter.services.subscriber_imports import add_subscriber
from newsletter.storage.articles import visible_articles
from newsletter.web import archive

BASIS = "signed up on paper at the fair, May 2024"
SLOT = "/archive/weekly/2026-W12"


@pytest.fixture
def sent(newsroom: App) -> App:
    """The newsroom after the weekly edition of two articles was composed for readers of two choices."""
    articles = [
        {
            "id": slug,
            "kind": kind,
            "title": title,
            "markdown": f"{title}. " * 40,
            "published": "2026-03-15T09:00:00+06:00",
        }
        for slug, kind, title in (("a", "story", "A school opens"), ("b", "speech", "Words of welcome"))
    ]
    document = {"source": "Example Newsroom", "articles": [{**each, "language": "en"} for each in articles]}
    import_document(newsroom, "articles.json", json.dumps(document).encode())
    for address, wanted in (("aida@example.org", EVERY_ARTICLE), ("bakyt@example.org", NamedFilter(kinds=("story",)))):
        add_subscriber(newsroom, "weekly", address, basis=BASIS, cadence="weekly", wanted=wanted)
    for edition_id in open_due_editions(newsroom):
        compile_edition(newsroom, edition_id)
    return newsroom


@pytest.mark.slow
@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize("path", ["/archive/", "/archive/weekly"])
def test_the_archive_lists_editions_by_their_subjects(browser, path):
    page = browser.get(path).text

    assert "The week" in page
    assert f"https://news.example.org{SLOT}/en" in page
    assert "16 March 2026" in page


@pytest.mark.slow
@pytest.mark.usefixtures("sent")
def test_an_edition_is_shown_as_it_was_sent_without_anybodys_parts(browser):
    page = browser.get(f"{SLOT}/en")

    assert 200 == page.status_code
    assert "A school opens" in page.text
    assert "Words of welcome" in page.text
    assert "/unsubscribe/" not in page.text
    assert "/preferences/" not in page.text
    assert "aida" not in page.text
    assert not re.search(r"Zq\w+Z[0-9a-f]+qZ", page.text), "no hole is left open"
    assert "style-src 'unsafe-inline'" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.slow
def test_a_reader_sees_the_variant_that_they_were_sent(browser, sent):
    with sent.database.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT digest FROM variant").all()
    pages = [browser.get(f"{SLOT}/en/{digest[:16]}").text for (digest,) in rows]

    assert [True, True] == ["A school opens" in page for page in pages]
    assert 1 == sum("Words of welcome" in page for page in pages)


@pytest.mark.slow
@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize(
    "path",
    [
        f"{SLOT}/xx",
        f"{SLOT}/ru",
        f"{SLOT}/en/0000000000000000",
        f"{SLOT}/en/%25",
        "/archive/weekly/2026-W11/en",
        "/archive/no-such/2026-W12/en",
        "/archive/no-such",
        "/archive/staff",
    ],
)
def test_what_was_not_sent_is_not_there(browser, path):
    assert 404 == browser.get(path).status_code


@pytest.mark.slow
def test_a_long_archive_is_read_page_by_page(browser, sent, monkeypatch):
    with sent.reading() as tx:
        [edition] = list_archive(tx, "weekly", limit=9)
        assert [] == list_archive(tx, "weekly", limit=9, skipped=1)
    keys = ["2026-W12", "2026-W11", "2026-W10"]
    editions = [replace(edition, slot_key=key) for key in keys]
    monkeypatch.setattr(archive, "PAGE", 2)
    monkeypatch.setattr(
        archive, "list_archive", lambda _tx, _slug, *, limit, skipped: editions[skipped : skipped + limit]
    )
    newest, oldest = (browser.get(f"/archive/weekly{query}").text for query in ("", "?page=1"))

    assert keys[:2] == list(dict.fromkeys(re.findall(r"/archive/weekly/([^/]+)/en", newest)))
    assert keys[2:] == list(dict.fromkeys(re.findall(r"/archive/weekly/([^/]+)/en", oldest)))
    assert 'href="https://news.example.org/archive/weekly?page=1">Older editions' in newest
    assert "Older editions" not in oldest


@pytest.mark.parametrize("page", ["", "-1", "٣", "9" * 30, "999"])
def test_a_page_that_is_none_is_an_archive_all_the_same(browser, page):
    assert 200 == browser.get(f"/archive/weekly?page={page}").status_code


def test_a_list_that_sent_nothing_says_so(browser):
    assert "Nothing has been sent yet" in browser.get("/archive/events").text


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/archive/", "/archive/weekly"])
def test_an_edition_of_which_everything_was_withdrawn_is_left_out(browser, sent, path):
    with sent.reading() as tx:
        uids = [article.uid for article in visible_articles(tx.session, now=tx.now)]
    for uid in uids:
        withdraw_article(sent, uid, reason="the figures were wrong")
    page = browser.get(path)

    assert 200 == page.status_code
    assert SLOT not in page.text
    assert "Nothing has been sent yet" in page.text


def test_the_archive_without_its_slash_leads_to_it(browser):
    answer = browser.get("/archive?lang=ru")

    assert 308 == answer.status_code
    assert "https://news.example.org/archive/?lang=ru" == answer.headers["location"]
