"""Polling: what a source's server does becomes articles, or a line in its record, and never an exception."""

import gzip
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from polled import LONG, add, articles, counts, news, poll, poll_of
from source_server import item, rss
from sqlalchemy import update

from newsletter.dispatch import Doorbell, RecordingDispatcher, Ring
from newsletter.domain.articles import Kind
from newsletter.domain.sources import SourceState
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services import polling
from newsletter.services.polling import poll_source, poll_source_now
from newsletter.services.sources import (
    list_sources,
    pause_source,
    remove_source,
    resume_source,
    ring_due_sources,
    show_source,
)
from newsletter.storage import sources as storage
from newsletter.storage.audit import load_acts
from newsletter.storage.sources import PollRow


class TestPollAgain:
    def test_a_poll_twice_changes_nothing(self, desk, source, dispatcher):
        add(desk, source.put("/feed", rss(item(1), item(2))))
        poll(desk)
        before = articles(desk)
        rung = len(dispatcher.rings)
        with desk.transaction() as tx:  # as a server does that sends its feed anew each time
            tx.session.execute(update(PollRow).values(body_digest=""))
        report = poll(desk)

        assert {"same"} == {each.result.value for each in report.outcomes}
        assert before == articles(desk)
        assert rung == len(dispatcher.rings)

    def test_validators_go_back_as_they_came(self, desk, source):
        url = source.put("/feed", rss(item(1)), headers={"ETag": 'W/"odd one"', "Last-Modified": "yesterday, or so"})
        add(desk, url)
        poll(desk)
        report = poll(desk)
        asked = source.requests("/feed")[1].headers

        assert ('W/"odd one"', "yesterday, or so") == (asked["if-none-match"], asked["if-modified-since"])
        assert "unchanged" == report.result
        assert "cookie" not in asked
        assert "news.example.org" in asked["user-agent"]

    def test_bytes_that_are_the_same_are_not_read_again(self, desk, source):
        add(desk, source.put("/feed", rss(item(1))))
        poll(desk)

        assert ("unchanged", ()) == (poll(desk).result, poll(desk).outcomes)

    @pytest.mark.parametrize(
        ("headers", "every", "bounds"),
        [
            pytest.param({"ETag": '"1"'}, None, (60, 66), id="hourly where a 304 is to be had"),
            pytest.param({}, None, (24 * 60, 27 * 60), id="daily where not"),
            pytest.param({}, 15, (15, 17), id="as staff want"),
            pytest.param({"Cache-Control": "public, max-age=7200"}, 15, (120, 132), id="not before max-age"),
            pytest.param({"Cache-Control": "max-age=99999999"}, 15, (24 * 60, 27 * 60), id="an odd max-age"),
            pytest.param({"Retry-After": "3600"}, 15, (60, 66), id="not before Retry-After"),
        ],
    )
    def test_the_next_poll_is_when_the_server_likes_it(self, desk, source, headers, every, bounds):
        add(desk, source.put("/feed", rss(item(1)), headers=headers), every_minutes=every)
        poll(desk)
        found = poll_of(desk)
        waits = (found.due_at - found.polled_at).total_seconds() / 60

        assert bounds[0] <= waits <= bounds[1]

    def test_a_ttl_is_kept_and_heeded(self, desk, source):
        add(desk, source.put("/feed", rss(item(1), channel="<ttl>180</ttl>")), every_minutes=5)
        for _ in range(2):
            poll(desk)
            found = poll_of(desk)

            assert timedelta(hours=3) <= found.due_at - found.polled_at

    def test_a_lost_lease_writes_nothing(self, desk, source):
        add(desk, source.put("/feed", rss(item(1))))
        there = poll_of(desk)
        with desk.transaction() as tx:
            assert storage.claim_poll(tx.session, there.source_id, token="a", lease=timedelta(seconds=-1))
            assert storage.claim_poll(tx.session, there.source_id, token="b", lease=timedelta(minutes=1))

            assert not storage.save_poll(tx.session, there.source_id, token="a", wait=timedelta(0), problem="stale")
            assert storage.save_poll(tx.session, there.source_id, token="b", wait=timedelta(0))
        assert "" == poll_of(desk).problem

    def test_two_do_not_ask_one_source_at_once(self, desk, source):
        url = source.put("/feed", rss(item(1)))
        add(desk, url)
        seen: list[object] = []
        source.pages["/feed"].then = lambda _: seen.append(poll_source(desk, poll_of(desk).source_id, at_once=True))
        poll(desk)

        assert [None] == seen


class TestEdits:
    def test_an_edit_is_an_edit(self, desk, source):
        add(desk, source.put("/feed", rss(item(1))))
        poll(desk)
        source.put("/feed", rss(item(1, title="Story number one")))
        (outcome,) = poll(desk).outcomes
        (article,) = articles(desk).values()

        assert ("updated", False) == (outcome.result.value, outcome.is_significant)
        assert ("Story number one", 1) == (article.title, article.revision)

    def test_a_correction_is_told_again(self, desk, source):
        add(desk, source.put("/feed", rss(item(1), item(2))))
        poll(desk)
        source.put("/feed", rss(item(1, title="CORRECTED: Story number 1"), item(2)))
        outcome, _ = poll(desk).outcomes

        assert outcome.is_significant
        assert ["CORRECTED: Story number 1"] == news(desk)
        assert {"updated": 1, "same": 1, "significant": 1} == counts(desk)

    @pytest.mark.parametrize(
        ("stamp", "words", "is_significant"),
        [
            pytest.param("2026-03-14T10:00:00Z", "Twelve houses are without water, not 3. ", True, id="figures"),
            pytest.param("2026-03-13T09:00:00Z", "Twelve houses are without water, not 3. ", False, id="not stamped"),
            pytest.param("2026-03-14T10:00:00Z", "", False, id="stamped only"),
        ],
    )
    def test_a_later_stamp_tells_again_what_did_change(self, desk, source, stamp, words, is_significant):
        text = "The number of houses without water in the old town was given by the mayor today as 5. " * 7
        first = item(1, description=text, more="<dcterms:modified>2026-03-13T09:00:00Z</dcterms:modified>")
        add(desk, source.put("/feed", rss(first)), takes_full_text=False)
        poll(desk)
        changed = item(1, description=text + words, more=f"<dcterms:modified>{stamp}</dcterms:modified>")
        source.put("/feed", rss(changed, channel="<!-- another document -->"))
        (outcome,) = poll(desk).outcomes

        assert is_significant is outcome.is_significant

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"guid": "another-id"}, id="another id"),
            pytest.param({"guid": "", "link": "http://press.example.org/news/1/"}, id="no id, and http"),
            pytest.param({"guid": "x", "link": "https://www.new.example/news/1"}, id="another id and host"),
            pytest.param(
                {
                    "guid": "x",
                    "link": "https://www.new.example/news/1",
                    "title": "Story 1",
                    "description": "Anew. " * 100,
                },
                id="all but path and time",
            ),
        ],
    )
    def test_an_item_under_another_name_is_the_same_article(self, desk, source, changes):
        add(desk, source.put("/feed", rss(item(1), item(2))))
        poll(desk)
        uids = {each.uid for each in articles(desk).values()}
        source.put("/feed", rss(item(1, **changes), item(2)))
        poll(desk)
        after = articles(desk)

        assert uids == {each.uid for each in after.values()}
        if changes.get("link", "").startswith("https://www.new"):
            assert changes["link"] in {each.own_translation.url for each in after.values()}

    def test_items_that_share_a_page_stay_two(self, desk, source):
        link = "https://press.example.org/all"
        add(desk, source.put("/feed", rss(item(1, link=link))))
        poll(desk)
        source.put("/feed", rss(item(1, link=link), item(2, link=link, pubDate="Fri, 13 Mar 2026 01:00:00 +0000")))
        poll(desk)

        assert 2 == len(articles(desk))

    def test_one_id_for_all_items_keeps_them_apart(self, desk, source):
        add(desk, source.put("/feed", rss(item(1, guid="same"), item(2, guid="same"), item(3, guid="same"))))
        poll(desk)

        assert 3 == len(articles(desk))


JSON_FEED = {
    "version": "https://jsonfeed.org/version/1.1",
    "title": "Press",
    "language": "ru",
    "items": [
        {
            "id": 7,
            "url": "https://press.example.org/7",
            "title": "Seven",
            "content_html": f'<p>{LONG}</p><p><img src="https://press.example.org/7.jpg" alt="A seven"></p>',
            "image": "https://press.example.org/7.jpg",
            "date_published": "2026-03-13T10:00:00+06:00",
            "tags": ["Press releases", "Odd"],
        },
        "no item",
    ],
}
RDF = (
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="https://press.example.org/"><title>Press</title>'
    "<link>https://press.example.org/</link><description>News</description></channel>"
    '<item rdf:about="https://press.example.org/1"><title>One</title><link>https://press.example.org/1</link>'
    f"<description>{LONG}</description><dc:date>2026-03-13T10:00:00Z</dc:date></item></rdf:RDF>"
)


class TestFormats:
    def test_json_feed(self, desk, source):
        add(desk, source.put("/feed", json.dumps(JSON_FEED), headers={"Content-Type": "application/feed+json"}))
        good, bad = poll(desk).outcomes
        (article,) = articles(desk).values()

        assert ("new", "refused") == (good.result.value, bad.result.value)
        assert (Kind.PRESS_RELEASE, "ru", "Seven") == (article.kind, article.default_language, article.title)
        assert datetime(2026, 3, 13, 4, tzinfo=UTC) == article.published_at
        assert "A seven" == article.own_translation.image_alt

    def test_rdf(self, desk, source):
        add(desk, source.put("/feed", RDF))
        poll(desk)

        assert datetime(2026, 3, 13, 10, tzinfo=UTC) == articles(desk)["One"].published_at

    @pytest.mark.parametrize(
        ("encoding", "declared", "header"),
        [
            ("utf-8", "utf-8", "text/xml; charset=iso-8859-1"),
            ("utf-8", "windows-1251", "text/xml; charset=utf-8"),
            ("windows-1251", "utf-8", "text/xml; charset=windows-1251"),
            ("windows-1251", "windows-1251", "text/xml"),
            ("windows-1251", "windows-1251", "text/xml; charset=utf-8"),
            ("utf-16", "utf-16", "text/html"),
            ("utf-8-sig", "utf-8", "application/octet-stream"),
            ("utf-8", "no-such-encoding", 'text/xml; charset="no such \x7f thing"'),
        ],
    )
    def test_encodings_wrong_and_right(self, desk, source, encoding, declared, header):
        document = rss(item(1, title="Вода пришла в сёла")).replace('encoding="utf-8"', f'encoding="{declared}"')
        add(desk, source.put("/feed", document.encode(encoding), headers={"Content-Type": header}))
        poll(desk)

        assert ["Вода пришла в сёла"] == list(articles(desk))

    @pytest.mark.parametrize(
        ("date", "expected"),
        [
            ("", "2026-03-16T02:00:00+00:00"),
            ("Fri, 13 Mar 2099 10:00:00 GMT", "2026-03-16T02:00:00+00:00"),
            ("no date at all", "2026-03-16T02:00:00+00:00"),
            ("13 March 2026", "2026-03-13T00:00:00+00:00"),
            ("Fri, 13 Mar 26 10:00 +0600", "2026-03-13T04:00:00+00:00"),
            ("2026-03-13T10:00:00Z", "2026-03-13T10:00:00+00:00"),
            ("2026-03-13", "2026-03-12T18:00:00+00:00"),
            ("Fri, 31 Feb 2026 10:00:00 GMT", "2026-03-16T02:00:00+00:00"),
            ("0000-00-00T00:00:00", "2026-03-16T02:00:00+00:00"),
        ],
    )
    def test_dates_of_every_shape(self, desk, source, date, expected):
        """One that cannot be read, or is still to come, is when the item was first seen."""
        add(desk, source.put("/feed", rss(item(1, pubDate=date))))
        poll(desk)
        (article,) = articles(desk).values()

        assert datetime.fromisoformat(expected) == article.published_at


class TestSickServers:
    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            pytest.param({"body": "<!doctype html><html><body>Hello</body></html>"}, "web page", id="a page"),
            pytest.param({"body": "", "status": 200}, "empty", id="nothing"),
            pytest.param({"body": "hello"}, "no RSS or Atom", id="a text"),
            pytest.param({"body": b"\x89PNG\r\n" + bytes(range(256)) * 9}, "no RSS or Atom", id="an image"),
            pytest.param({"body": '{"version": "https://jsonfeed.org/version/1"}'}, "items", id="a JSON Feed without"),
            pytest.param({"body": "{" * 90_000}, "JSON", id="deep JSON"),
            pytest.param({"status": 404}, "404", id="404"),
            pytest.param({"status": 503, "headers": {"Retry-After": "7200"}}, "503", id="503"),
            pytest.param({"status": 429}, "too often", id="429"),
            pytest.param({"body": rss(item(1)), "cuts": 500}, "could not be reached", id="cut short"),
            pytest.param({"body": b"x" * 100, "is_endless": True}, "more than", id="endless"),
            pytest.param(
                {"body": gzip.compress(bytes(60_000_000)), "headers": {"Content-Encoding": "gzip"}},
                "more than",
                id="a bomb",
            ),
            pytest.param({"body": b"abc", "headers": {"Content-Encoding": "gzip"}}, "unpacked", id="no gzip"),
            pytest.param({"body": b"abc", "headers": {"Content-Encoding": "br"}}, "packed", id="brotli unasked"),
            pytest.param({"status": 302, "headers": {"Location": "/feed"}}, "redirects more than", id="a circle"),
            pytest.param({"status": 302, "headers": {"Location": "file:///etc/passwd"}}, "address", id="a file"),
            pytest.param({"status": 302, "headers": {"Location": "http://10.0.0.1/"}}, "not public", id="an inner one"),
            pytest.param({"body": "<rss>" + "<a>" * 400_000}, "tags", id="tags without end"),
            pytest.param({"body": "<rss><channel>" + "<item>" * 5000}, "nested", id="nesting without end"),
        ],
    )
    def test_each_is_a_line_in_the_record(self, desk, source, answer, problem):
        add(desk, source.put("/feed", **answer))
        begun = time.monotonic()
        report = poll(desk)
        found = poll_of(desk)

        assert ("failed", 1) == (report.result, found.failures)
        assert problem in found.problem
        assert time.monotonic() - begun < 10
        assert found.due_at - found.polled_at >= timedelta(minutes=5)
        assert {} == articles(desk)

    @pytest.mark.slow
    def test_one_that_drips_is_left_in_time(self, desk, source, monkeypatch):
        monkeypatch.setattr("newsletter.services.fetching.TOTAL_SECONDS", 0.4)
        add(desk, source.put("/feed", rss(item(1)), drips=0.05))
        begun = time.monotonic()

        assert "failed" == poll(desk).result
        assert time.monotonic() - begun < 3

    @pytest.mark.slow
    def test_entities_are_neither_fetched_nor_unfolded(self, desk, source, tmp_path):
        secret = tmp_path / "secret"
        secret.write_text("the secret words")
        bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 12))
        doctype = (
            f'<!DOCTYPE rss [<!ENTITY e0 "boom"><!ENTITY file SYSTEM "file://{secret}">'
            f'<!ENTITY web SYSTEM "{source.url}/entity">{bomb}]>'
        )
        document = rss(
            "<item><guid>1</guid><title>A &file; &web; &e11; b</title><description>x &e11;</description></item>"
        )
        add(desk, source.put("/feed", document.replace("<rss", doctype + "<rss", 1)))
        begun = time.monotonic()
        poll(desk)

        assert time.monotonic() - begun < 5
        assert [] == source.requests("/entity")
        assert not any("secret words" in title for title in articles(desk))

    def test_a_bad_item_harms_no_other(self, desk, source):
        bad = (
            item(1, title="x" * 400),
            item(2, description="<div>" * 400),
            item(3, title="", description="", link=""),
            item(6, title="<b>" * 900),
        )
        document = rss(*bad, item(4), "<item/>", item(5, title="Con\x01trol &nbsp; and \ufffe"))
        add(desk, source.put("/feed", document), takes_full_text=False)
        poll(desk)

        assert 2 == counts(desk)["new"]
        assert any("refused" in each for each in poll_of(desk).warnings)

    def test_tricks_in_html_do_not_come_in(self, desk, source):
        tricks = (
            f'<p onclick="x()">{LONG}</p><script>alert(1)</script>'
            '<a href="java\tscript:x()">a</a><img src=x onerror=x()>'
            '<iframe src="javascript:x()"></iframe><svg><script>x()</script></svg><style>p{}</style><p style="x">b</p>'
            '<a href="data:text/html,x">d</a><form action="/x"><input></form><base href="//evil.example/">'
        )
        add(
            desk,
            source.put("/feed", rss(item(1, description=tricks, title="<script>x</script>&lt;b&gt;Bold&lt;/b&gt;"))),
        )
        poll(desk)
        (article,) = articles(desk).values()
        body = article.own_translation.body_html

        for trick in ("script", "onclick", "onerror", "<iframe", "<svg", "style", "data:", "<form", "<base"):
            assert trick not in body
        assert "<b>Bold</b>" == article.title

    def test_each_failure_waits_longer_and_one_success_forgets_them(self, desk, source):
        add(desk, source.put("/feed", status=500))
        waits = []
        for _ in range(4):
            poll(desk)
            found = poll_of(desk)
            waits.append((found.due_at - found.polled_at).total_seconds() / 60)
        source.put("/feed", rss(item(1)))
        poll(desk)

        assert all(base <= wait <= base * 1.11 for base, wait in zip([5, 10, 20, 40], waits, strict=True))
        assert (0, "") == (poll_of(desk).failures, poll_of(desk).problem)

    def test_what_was_good_stays(self, desk, source):
        add(desk, source.put("/feed", rss(item(1)), headers={"ETag": '"1"'}))
        poll(desk)
        before = poll_of(desk)
        source.put("/feed", "<html>Service page</html>")
        poll(desk)
        after = poll_of(desk)

        assert (before.etag, before.window, before.counts) == (after.etag, after.window, after.counts)
        assert 1 == len(articles(desk))

    def test_410_closes_and_resuming_opens_again(self, desk, source):
        add(desk, source.put("/feed", status=410))
        report = poll(desk)

        assert ("closed", SourceState.CLOSED) == (report.result, poll_of(desk).state)
        assert 0 == ring_due_sources(desk)
        source.put("/feed", rss(item(1)))
        resume_source(desk, "press")
        assert 1 == ring_due_sources(desk)
        assert "changed" == poll(desk).result

    @pytest.mark.parametrize(("status", "moves"), [(301, True), (308, True), (302, False), (307, False)])
    def test_a_move_for_good_is_remembered(self, desk, source, status, moves):
        new = source.put("/new", rss(item(1)))
        old = source.put("/feed", status=status, headers={"Location": "/new"})
        add(desk, old)
        poll(desk)

        assert (new if moves else old) == poll_of(desk).url
        assert old == poll_of(desk).given_url
        with pytest.raises(ConflictError):
            add(desk, old, name="Twice")

    def test_a_move_to_something_else_is_not(self, desk, source):
        source.put("/parked", "<html>Buy this domain</html>")
        old = source.put("/feed", status=301, headers={"Location": "/parked"})
        add(desk, old)
        poll(desk)

        assert old == poll_of(desk).url


class TestSources:
    def test_adding_rings_and_a_tick_rings_until_it_was_asked(self, desk, source, dispatcher):
        added = add(desk, source.put("/feed", rss(item(1))))
        ring = Ring(Doorbell.POLL_SOURCE, added.source_id)

        assert [ring] == dispatcher.rings
        assert 1 == ring_due_sources(desk)
        assert poll_source(desk, added.source_id) is not None
        assert 0 == ring_due_sources(desk)
        assert poll_source(desk, added.source_id) is None

    @pytest.mark.parametrize("url", ["ftp://x.example/feed", "https://user:pass@x.example/", "feed.xml", "http://x/ y"])
    def test_an_address_that_cannot_be_polled_is_refused(self, desk, url):
        with pytest.raises(InvalidError):
            add(desk, url)

    def test_refuses_what_it_cannot_do(self, desk, source):
        url = source.put("/feed", rss(item(1)))
        with pytest.raises(NotFoundError):
            add(desk, url, topics=["no such"])
        with pytest.raises(InvalidError):
            add(desk, url, every_minutes=1)
        with pytest.raises(InvalidError):
            add(desk, url, first_items=-1)

        assert [] == list_sources(desk)

    def test_paused_is_not_asked_and_removed_is_forgotten(self, desk, source):
        added = add(desk, source.put("/feed", rss(item(1))))
        pause_source(desk, "press", reason="they asked us to")

        assert poll_source(desk, added.source_id) is None
        assert 0 == ring_due_sources(desk)
        assert "they asked us to" == poll_of(desk).state_reason
        poll(desk)
        remove_source(desk, "press")
        with desk.reading() as tx:
            assert ["removed", "polled", "paused", "added"] == [
                act.act for act in load_acts(tx.session, about="source press", limit=9)
            ]
        assert 1 == len(articles(desk))
        assert show_source(desk, "press").poll is None

    def test_an_inner_address_is_refused_without_the_setting(self, app, source):
        add(app, source.put("/feed", rss(item(1))))
        report = poll_source_now(app, "press")

        assert "not public" in report.problem
        assert [] == source.asked

    def test_a_source_that_is_broken_inside_waits_like_a_sick_one(self, desk, source, monkeypatch):
        def fail(*_: object, **__: object) -> None:
            raise MemoryError

        monkeypatch.setattr(polling, "aside", fail)
        add(desk, source.put("/feed", rss(item(1))))

        assert "MemoryError" in poll(desk).problem


def test_rings_of_a_recording_dispatcher_are_those_of_new_articles(desk, source, dispatcher: RecordingDispatcher):
    """What is published by a poll rings like any other import."""
    add(desk, source.put("/feed", rss(item(1))))
    poll(desk)

    assert Doorbell.ARTICLE_CHANGED in {each.doorbell for each in dispatcher.rings}
