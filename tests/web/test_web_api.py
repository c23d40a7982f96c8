"""The API for a CMS: what a program sends becomes an article at once, or it is told field by field why not."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from web_visitors import Browser

from newsletter.dispatch import Doorbell
from newsletter.services import api as service
from newsletter.services.api import add_api_client, list_api_clients, revoke_api_client
from newsletter.services.context import App
from newsletter.storage.api_clients import ApiClientRow, ApiRequestRow
from newsletter.storage.engine import database_now
from newsletter.web.security import LARGER_BODIES

BODY = "The city opens tram line 2 on Friday, and the first week is free for everybody who rides it. " * 2
ARTICLE = {
    "id": "2025-117",
    "kind": "press_release",
    "published": "2026-03-15T09:30:00+06:00",
    "title": "Tram line 2 opens",
    "html": f"<p>{BODY}</p><script>x()</script>",
    "topics": ["rivers"],
    "image": {"url": "https://city.example.org/tram.jpg", "alt": "A tram", "width": 1600},
    "translations": {"ru": {"title": "Открывается линия", "markdown": "Город **открывает** линию."}},
}


class Program:
    """A CMS with a token."""

    def __init__(self, browser: Browser, token: str) -> None:
        self._browser = browser
        self._headers = {"authorization": f"Bearer {token}"}

    def request(self, method: str, path: str, headers: dict[str, str] | None = None, **what: Any) -> httpx.Response:
        return self._browser.request(method, f"/api{path}", headers=self._headers | (headers or {}), **what)

    def post(self, path: str = "/articles", *, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        return self.request("POST", path, headers, json=fields)

    def put(self, uid: str, **fields: Any) -> httpx.Response:
        return self.request("PUT", f"/articles/{uid}", json=fields)

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)


@pytest.fixture
def cms(browser: Browser, newsroom: App) -> Program:
    return Program(browser, add_api_client(newsroom, "City CMS", source="City Press Office").token)


def problem(response: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = response.json()

    assert "application/problem+json" == response.headers["content-type"]
    assert {"type", "title", "status", "detail", "errors"} == set(found)
    assert response.status_code == found["status"]
    assert found["detail"]
    return found


def fields(response: httpx.Response) -> dict[str, str]:
    assert 422 == response.status_code
    return {each["pointer"]: each["detail"] for each in problem(response)["errors"]}


class TestArticles:
    def test_an_article_is_published_and_rung_for(self, cms, newsroom, dispatcher):
        response = cms.post(**ARTICLE)
        found = response.json()
        article = found["article"]

        assert (201, "new", []) == (response.status_code, found["result"], found["warnings"])
        assert f"https://news.example.org/api/articles/{article['uid']}" == response.headers["location"]
        assert ("published", "press_release", ["rivers"]) == (article["state"], article["kind"], article["topics"])
        assert {"en", "ru"} == set(article["translations"])
        assert {Doorbell.ARTICLE_CHANGED, Doorbell.REBUILD_FEEDS} <= {each.doorbell for each in dispatcher.rings}
        assert ["city-press-office"] == [each.source for each in list_api_clients(newsroom)]

    def test_what_was_published_is_on_its_page_without_its_tricks(self, cms, browser):
        page = browser.get(cms.post(**ARTICLE).json()["article"]["page"]).text

        assert "tram line 2" in page
        assert "x()" not in page

    def test_sent_again_under_its_id_it_is_updated(self, cms):
        uid = cms.post(**ARTICLE).json()["article"]["uid"]
        again = cms.post(**ARTICLE)
        changed = cms.post(**{**ARTICLE, "title": "Tram line 2 opens today"})

        assert (200, "same") == (again.status_code, again.json()["result"])
        assert (200, "updated") == (changed.status_code, changed.json()["result"])
        assert (uid, "Tram line 2 opens today") == (
            changed.json()["article"]["uid"],
            cms.get(f"/articles/{uid}").json()["title"],
        )

    def test_an_update_names_the_article_by_its_uid(self, cms):
        """Whatever its id; what it does not say stays as it was."""
        uid = cms.post(**{**ARTICLE, "id": None}).json()["article"]["uid"]
        response = cms.put(uid, title="Another title")
        topics = cms.put(uid, topics=["city"]).json()["article"]["topics"]

        assert ["city"] == topics
        assert "press_release" == response.json()["article"]["kind"]

        assert (200, "updated", False) == (
            response.status_code,
            response.json()["result"],
            response.json()["is_significant"],
        )
        assert ("Another title", 1) == (response.json()["article"]["title"], response.json()["article"]["revision"])
        assert "ru" in response.json()["article"]["translations"]

    @pytest.mark.parametrize(("given", "revision"), [(True, 2), (False, 1), (None, 1)])
    def test_a_program_says_whether_readers_hear_of_a_change(self, cms, given, revision):
        uid = cms.post(**ARTICLE).json()["article"]["uid"]
        found = cms.put(uid, **{**ARTICLE, "title": "Tram line 2 opens today", "is_significant": given}).json()

        assert revision == found["article"]["revision"]

    def test_what_lacks_something_is_held(self, cms):
        response = cms.post(title="A title alone")

        assert (201, "held", "draft") == (
            response.status_code,
            response.json()["result"],
            response.json()["article"]["state"],
        )
        assert response.json()["article"]["lacks"]

    def test_an_unknown_topic_is_told_of(self, cms):
        (warning,) = cms.post(**{**ARTICLE, "topics": ["no such"]}).json()["warnings"]

        assert "no such" in warning

    def test_articles_are_found_by_the_programs_own_id(self, cms):
        uid = cms.post(**ARTICLE).json()["article"]["uid"]

        assert [uid] == [each["uid"] for each in cms.get("/articles?id=2025-117").json()["articles"]]
        assert [] == cms.get("/articles?id=other").json()["articles"]

    @pytest.mark.slow
    def test_articles_are_listed_page_by_page(self, cms, monkeypatch):
        monkeypatch.setattr(service, "PAGE", 2)
        uids = [
            cms.post(id=str(number), title=f"Title {number}", paragraphs=[f"{number}"]).json()["article"]["uid"]
            for number in range(5)
        ]
        seen, before = [], ""
        while before is not None:
            page = cms.get(f"/articles{'?before=' if before else ''}{before}").json()
            seen += [each["uid"] for each in page["articles"]]
            before = page["next_before"]

        assert uids[::-1] == seen

    @pytest.mark.slow
    def test_a_withdrawal_takes_the_article_away(self, cms, browser):
        article = cms.post(**ARTICLE).json()["article"]
        response = cms.post(f"/articles/{article['uid']}/withdrawal", reason="the figures were wrong")
        again = cms.post(f"/articles/{article['uid']}/withdrawal", reason="another")

        assert ("withdrawn", "the figures were wrong") == (
            response.json()["state"],
            again.json()["withdrawal_reason"],
        )
        assert 410 == browser.get(f"/articles/{article['uid']}").status_code
        assert any("stays so" in each for each in cms.put(article["uid"], title="Back?").json()["warnings"])

    def test_the_same_story_is_merged(self, cms):
        uid = cms.post(**ARTICLE).json()["article"]["uid"]
        found = cms.post(**{**ARTICLE, "id": "other", "title": "Another name for it"}).json()

        assert ("merged", uid) == (found["result"], found["article"]["uid"])


class TestErrors:
    @pytest.mark.parametrize(
        ("changes", "pointers"),
        [
            pytest.param({"titel": "x"}, {"#/titel"}, id="unknown field"),
            pytest.param({"title": 5, "kind": "poem"}, {"#/title", "#/kind"}, id="several"),
            pytest.param({"published": "yesterday"}, {"#/published"}, id="date"),
            pytest.param({"embargo_until": "0000-01-01"}, {"#/embargo_until"}, id="embargo"),
            pytest.param({"url": "javascript:x()"}, {"#/url"}, id="address"),
            pytest.param({"language": "English"}, {"#/language"}, id="language"),
            pytest.param({"title": "x" * 301}, {"#/title"}, id="long title"),
            pytest.param({"topics": ["a"] * 51}, {"#/topics"}, id="topics"),
            pytest.param({"image": {"alt": "x"}}, {"#/image/url"}, id="image"),
            pytest.param(
                {"event": {"starts_at": "soon", "zone": "Mars/X"}}, {"#/event/starts_at", "#/event/zone"}, id="event"
            ),
            pytest.param({"translations": {"ru": {"title": []}}}, {"#/translations/ru/title"}, id="translation"),
            pytest.param({"translations": {"a/b~": {}}}, {"#/translations/a~1b~0"}, id="code"),
            pytest.param({"markdown": "x"}, {"#"}, id="two bodies"),
            pytest.param({"translation_of": "nothing"}, {"#/translation_of"}, id="translation of nothing"),
            pytest.param({"html": "<div>" * 400}, {"#"}, id="deep"),
            pytest.param({"title": "", "html": "", "translations": None}, {"#/title"}, id="nothing"),
        ],
    )
    def test_each_field_is_named_and_nothing_is_stored(self, cms, changes, pointers):
        found = fields(cms.post(**(ARTICLE | changes)))

        assert pointers == set(found)
        assert all(found.values())
        assert [] == cms.get("/articles").json()["articles"]

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"title": "\\ud800"}', b"[" * 200_000])
    def test_a_body_that_is_no_json_is_refused(self, cms, body):
        response = cms.request("POST", "/articles", {"content-type": "application/json"}, content=body)

        assert response.status_code in (400, 422)
        problem(response)

    def test_other_types_and_large_bodies_are_refused(self, cms):
        form = cms.request("POST", "/articles", data={"title": "x"})
        large = cms.request(
            "POST", "/articles", {"content-type": "application/json"}, content=b" " * (LARGER_BODIES["/api/"] + 1)
        )

        assert (415, 413) == (problem(form)["status"], problem(large)["status"])

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/nothing", 404),
            ("DELETE", "/articles", 405),
            ("GET", "/articles/00000000-0000-4000-8000-000000000000", 404),
            ("GET", "/articles/%00", 404),
            ("GET", "/articles/%0A", 404),
            ("GET", "/articles?before=x", 404),
            ("GET", "/articles?before=00000000-0000-4000-8000-000000000000", 404),
            ("GET", "/articles/00000000-0000-4000-8000-000000000000/withdrawal", 405),
        ],
    )
    def test_what_is_not_there_is_a_problem_too(self, cms, method, path, status):
        assert status == problem(cms.request(method, path))["status"]

    def test_what_broke_inside_is_a_problem_that_tells_nothing(self, cms, monkeypatch):
        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("a secret")

        monkeypatch.setattr(service, "list_client_articles", fail)
        response = cms.get("/articles")

        assert 500 == problem(response)["status"]
        assert "secret" not in response.text


class TestTokens:
    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic abc", "Bearer \xff"])
    def test_without_one_in_use_nothing_is_answered(self, browser, header):
        headers = {"authorization": header.encode("latin-1")} if header else {}
        response = browser.request("GET", "/api/articles", headers=headers)

        assert 401 == problem(response)["status"]
        assert "Bearer" == response.headers["www-authenticate"]

    def test_is_kept_as_a_hash_and_can_be_revoked(self, browser, newsroom):
        token = add_api_client(newsroom, "Old CMS").token
        program = Program(browser, token)
        with newsroom.reading() as tx:
            (row,) = tx.session.query(ApiClientRow).all()
        assert 200 == program.get("/articles").status_code
        revoke_api_client(newsroom, "Old CMS")

        assert token not in str(vars(row))
        assert 64 == len(row.token_digest)
        assert 401 == program.get("/articles").status_code

    def test_a_client_sees_the_articles_of_its_source_only(self, browser, newsroom, cms):
        uid = cms.post(**ARTICLE).json()["article"]["uid"]
        other = Program(browser, add_api_client(newsroom, "Other").token)

        assert 404 == other.get(f"/articles/{uid}").status_code
        assert 404 == other.put(uid, title="Mine").status_code
        assert 404 == other.post(f"/articles/{uid}/withdrawal", reason="x").status_code
        assert [] == other.get("/articles").json()["articles"]

    def test_too_many_requests_have_to_wait(self, cms, newsroom, monkeypatch):
        monkeypatch.setattr(service, "REQUESTS_PER_MINUTE", 3)
        statuses = [cms.get("/articles").status_code for _ in range(4)]
        last = cms.get("/articles")

        assert [200, 200, 200, 429] == statuses
        assert 0 < int(last.headers["retry-after"]) <= 60
        with newsroom.transaction() as tx:
            before = database_now(tx.session) - timedelta(minutes=2)
            tx.session.execute(update(ApiClientRow).values(minute_at=before))
        assert 200 == cms.get("/articles").status_code


class TestIdempotencyKey:
    KEY = {"idempotency-key": "d9c1a0"}  # noqa: RUF012  a constant of the tests

    def test_the_same_request_is_answered_as_it_was(self, cms):
        first = cms.post(headers=self.KEY, **{**ARTICLE, "id": None})
        again = cms.post(headers=self.KEY, **{**ARTICLE, "id": None})

        assert (201, 201) == (first.status_code, again.status_code)
        assert first.json() == again.json()
        assert first.headers["location"] == again.headers["location"]
        assert "true" == again.headers["idempotent-replayed"]

    def test_another_request_under_it_is_refused(self, cms):
        cms.post(headers=self.KEY, **ARTICLE)

        assert 422 == problem(cms.post(headers=self.KEY, **{**ARTICLE, "title": "Other"}))["status"]

    def test_one_that_is_being_answered_is_a_conflict_until_it_was_broken_off(self, cms, newsroom):
        cms.post(headers=self.KEY, **ARTICLE)
        with newsroom.transaction() as tx:
            tx.session.execute(update(ApiRequestRow).values(status=None))
        assert 409 == problem(cms.post(headers=self.KEY, **ARTICLE))["status"]
        with newsroom.transaction() as tx:
            long_ago = database_now(tx.session) - timedelta(minutes=5)
            tx.session.execute(update(ApiRequestRow).values(at=long_ago))

        assert "same" == cms.post(headers=self.KEY, **ARTICLE).json()["result"]

    def test_a_request_that_was_refused_may_be_mended(self, cms):
        assert 422 == cms.post(headers=self.KEY, **{**ARTICLE, "translation_of": "nothing"}).status_code
        assert 201 == cms.post(headers=self.KEY, **ARTICLE).status_code

    def test_keys_are_each_clients_own_and_forgotten_in_time(self, cms, browser, newsroom):
        cms.post(headers=self.KEY, **ARTICLE)
        other = Program(browser, add_api_client(newsroom, "Other").token)
        assert 201 == other.post(headers=self.KEY, title="Other", paragraphs=["x"]).status_code
        with newsroom.transaction() as tx:
            tx.session.execute(update(ApiRequestRow).values(at=database_now(tx.session) - timedelta(days=3)))
        other.post(headers={"idempotency-key": "another"}, title="Third", paragraphs=["y"])
        with newsroom.reading() as tx:
            assert ["another"] == [each.key for each in tx.session.query(ApiRequestRow).all()]

    @pytest.mark.parametrize("key", ["", "a b", "x" * 201])
    def test_one_that_is_none_is_refused(self, cms, key):
        assert 400 == problem(cms.post(headers={"idempotency-key": key}, **ARTICLE))["status"]


def test_the_document_describes_each_route(browser):
    document = json.loads(browser.get("/api/openapi.json").text)
    operations = {(method, path) for path, methods in document["paths"].items() for method in methods}

    assert "3.1.0" == document["openapi"]
    assert {
        ("post", "/api/articles"),
        ("get", "/api/articles"),
        ("get", "/api/articles/{uid}"),
        ("put", "/api/articles/{uid}"),
        ("post", "/api/articles/{uid}/withdrawal"),
    } == operations
    assert {"ArticleIn", "SubmissionOut", "Problem"} <= set(document["components"]["schemas"])
