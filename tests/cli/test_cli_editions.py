"""`newsletter send` and `newsletter editions`: what one command sends, and how it is stopped."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import typer
from newsroom import Newsroom
from typer.testing import CliRunner, Result

from newsletter.cli import editions as editions_cli
from newsletter.cli import previews as previews_cli
from newsletter.cli.editions import follow, send
from newsletter.dispatch import Doorbell, InProcessDispatcher, RecordingDispatcher, Ring
from newsletter.domain.deliveries import DeliveryState
from newsletter.doorbells import HANDLERS
from newsletter.errors import ConflictError, InvalidError
from newsletter.services.context import App
from newsletter.services.reports import list_progress


@pytest.fixture(params=["sqlite"])
def database(request):
    """Faces are the same on both databases, services are tested on both."""
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def newsroom(app: App) -> Newsroom:
    """A newsroom that answers its own doorbells, with two lists that are due and a reader of each."""
    dispatcher = InProcessDispatcher()
    newsroom = Newsroom(replace(app, dispatcher=dispatcher))
    newsroom.add_list("other")
    newsroom.publish("A story")
    newsroom.subscribe("ann", "bek")
    newsroom.subscribe("eva", slug="other")
    return newsroom


def answering(newsroom: Newsroom) -> InProcessDispatcher:
    """Let the newsroom's doorbells be answered by the services, as `build_app` does."""
    app = newsroom.app
    assert isinstance(app.dispatcher, InProcessDispatcher)
    app.dispatcher.handlers = {doorbell: partial(handler, app) for doorbell, handler in HANDLERS.items()}
    return app.dispatcher


@pytest.mark.slow
def test_sending_a_list_sends_that_list_alone(newsroom):
    with newsroom.relay():
        answering(newsroom)
        command = typer.Typer()
        command.command()(send)
        told = CliRunner().invoke(command, ["weekly", "--yes", "--json"], obj=lambda: newsroom.app)

        assert 0 == told.exit_code, told.output
        assert {"ann", "bek"} == set(newsroom.mails())
    facts = json.loads(told.stdout)
    assert ("done", {"accepted": 2}) == (facts["state"], facts["deliveries"])
    assert ["weekly"] == [each.list_slug for each in list_progress(newsroom.app, slug=None, state=None, limit=9)]


def run(newsroom: Newsroom, *words: str, of: Callable[..., None] = send, answer: str = "") -> Result:
    command = typer.Typer()
    command.command()(of)
    return CliRunner(env={"COLUMNS": "100"}).invoke(command, words, obj=lambda: newsroom.app, input=answer)


def test_a_draft_tells_what_is_known_of_it_and_not_that_nothing_adds_up(newsroom):
    told = run(newsroom, "weekly", "--draft", "--yes").stdout

    assert "2 by now; counted again when it is let go" in " ".join(told.split())
    assert "adds up" not in told
    assert "Let it go:  newsletter editions approve 1" in told


@pytest.mark.parametrize("width", [60, 80])
def test_editions_are_listed_with_no_word_broken_and_no_line_cut(newsroom, width):
    """Numbers of other things make room; what state an edition is in and how many mails went out always stand there."""
    newsroom.add_list("nobody-reads-this-one")
    newsroom.compose("nobody-reads-this-one")
    command = typer.Typer()
    command.command()(editions_cli.list_editions)
    told = CliRunner(env={"COLUMNS": str(width)}).invoke(command, obj=lambda: newsroom.app).stdout

    assert "skipped: no readers" in told
    assert {"edition", "list", "slot", "state", "sent"} <= set(told.splitlines()[0].split())
    assert max(map(len, told.splitlines())) <= width


class TestSend:
    def test_a_dry_run_shows_the_plan_in_words_and_writes_nothing(self, newsroom):
        told = run(newsroom, "weekly", "--dry-run").stdout

        assert "2 of 2" in told
        assert "en 2" in told
        assert "chose nothing" not in told, "where everybody gets something"
        assert [] == list_progress(newsroom.app, slug=None, state=None, limit=9)

    def test_it_asks_first_and_no_leaves_everything_as_it_was(self, newsroom):
        told = run(newsroom, "weekly", answer="n\n")

        assert (1, True) == (told.exit_code, "Send now? Readers: 2" in told.stderr)
        assert [] == list_progress(newsroom.app, slug=None, state=None, limit=9)

    def test_a_send_of_nothing_says_why_and_leaves_the_slot_open(self, newsroom):
        newsroom.add_list("late", since=newsroom.app.clock())
        nobody = run(newsroom, "late")
        newsroom.subscribe("kim", slug="late")
        nothing = run(newsroom, "late")

        assert (0, True) == (nobody.exit_code, "Nothing to send: nobody reads late" in nobody.stdout)
        assert (0, True) == (nothing.exit_code, "Nothing to send: no article is new for late" in nothing.stdout)
        assert [] == list_progress(newsroom.app, slug="late", state=None, limit=9)

    @pytest.mark.slow
    def test_a_script_has_a_slot_without_news_recorded(self, newsroom):
        newsroom.add_list("late", since=newsroom.app.clock())

        assert '"state": "skipped"' in run(newsroom, "late", "--yes", "--json").stdout

    @pytest.mark.slow
    def test_a_send_that_ends_paused_has_failed(self, newsroom, monkeypatch):
        def pause(parts, edition_id, **_):
            editions_cli.editions_service.pause_edition(parts, edition_id)

        monkeypatch.setattr(editions_cli, "follow", pause)
        told = run(newsroom, "weekly", "--yes")

        assert isinstance(told.exception, ConflictError)
        assert "editions resume" in str(told.exception)


class TestEditions:
    @pytest.mark.slow
    def test_numbers_are_told_in_words_with_what_can_be_done_next(self, newsroom):
        edition_id = newsroom.fan_out()
        run(newsroom, str(edition_id), of=editions_cli.pause)
        told = run(newsroom, str(edition_id), of=editions_cli.show).stdout

        assert "queued 2" in told
        assert "(weekly), 2026-03-16 08:00" in told
        assert f"Go on:  newsletter editions resume {edition_id}" in told

    @pytest.mark.slow
    def test_an_ended_edition_is_not_asked_about(self, newsroom):
        edition_id = newsroom.fan_out()
        first = run(newsroom, str(edition_id), of=editions_cli.cancel, answer="y\n")
        second = run(newsroom, str(edition_id), of=editions_cli.cancel, answer="y\n")

        assert "Mails of edition 2 that will not be sent: 2." in first.stdout
        assert isinstance(second.exception, ConflictError)
        assert "Cancel edition" not in second.stderr

    @pytest.mark.slow
    def test_a_preview_that_cannot_be_written_says_so(self, newsroom, tmp_path):
        edition_id = newsroom.fan_out()
        told = run(newsroom, str(edition_id), "--html", str(tmp_path), of=previews_cli.preview)

        assert isinstance(told.exception, InvalidError)
        assert "cannot be written: Is a directory" in str(told.exception)


def test_no_edition_is_told_as_none(newsroom):
    assert "There are none." in run(newsroom, of=editions_cli.list_editions).stdout


@pytest.mark.slow
def test_ctrl_c_ends_a_send_once_what_is_under_way_is_recorded(newsroom, monkeypatch, capsys):
    edition_id = newsroom.fan_out()
    begun, pressed = threading.Event(), threading.Event()

    def press(*_: object, **__: object) -> None:
        begun.wait(5)
        threading.Timer(0.05, pressed.set).start()
        raise KeyboardInterrupt

    monkeypatch.setattr(editions_cli, "watch_while", press)
    with newsroom.relay():
        dispatcher = answering(newsroom)
        send_bulk = dispatcher.handlers[Doorbell.SEND_BULK]
        later = Ring(Doorbell.REBUILD_FEEDS)

        def send_slowly(subject: int | None) -> None:
            send_bulk(subject)
            begun.set()
            pressed.wait(5)
            dispatcher.ring(later)

        dispatcher.handlers = {**dict.fromkeys(Doorbell, lambda _: None), Doorbell.SEND_BULK: send_slowly}
        with pytest.raises(typer.Exit) as ended:
            follow(newsroom.app, edition_id)

    assert 130 == ended.value.exit_code
    assert {"ann": DeliveryState.ACCEPTED, "bek": DeliveryState.ACCEPTED} == newsroom.states(edition_id)
    heard: list[int | None] = []
    dispatcher.handlers = {later.doorbell: heard.append}
    assert (True, [None]) == (dispatcher.answer_next(), heard), "nothing is begun after Ctrl-C"
    told = " ".join(capsys.readouterr().err.split())
    assert (
        f"newsletter send weekly, or newsletter up. Look at it: newsletter editions status {edition_id} --watch" in told
    )


@pytest.mark.slow
def test_ctrl_c_where_workers_run_leaves_the_send_to_them(newsroom, monkeypatch, capsys):
    edition_id = newsroom.fan_out()
    settings = newsroom.app.settings.model_copy(update={"broker_url": "redis://localhost:1/0"})
    newsroom.app = replace(newsroom.app, settings=settings, dispatcher=RecordingDispatcher())

    def press(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(editions_cli, "watch_while", press)
    with pytest.raises(typer.Exit):
        follow(newsroom.app, edition_id)

    told = " ".join(capsys.readouterr().err.split())
    assert f"goes on where workers run. Look again: newsletter editions status {edition_id} --watch" in told
    assert "Stopping" not in told


@pytest.mark.slow
def test_a_send_that_was_broken_off_goes_on_without_asking(newsroom):
    edition_id = newsroom.fan_out()
    with newsroom.relay():
        answering(newsroom)
        told = run(newsroom, "weekly")

        assert 0 == told.exit_code, told.output
        assert {"ann", "bek"} <= set(newsroom.mails())
    assert f"Edition {edition_id} was let go already" in told.stderr
    assert "Send now?" not in told.stderr
