"""`newsletter send` and `newsletter editions`: what one command sends, and how it is stopped."""

import json
import threading
from dataclasses import replace
from functools import partial

import pytest
import typer
from newsroom import Newsroom
from typer.testing import CliRunner

from newsletter.bootstrap import HANDLERS
from newsletter.cli import editions as editions_cli
from newsletter.cli.editions import follow, send
from newsletter.dispatch import Doorbell, InProcessDispatcher, Ring
from newsletter.domain.deliveries import DeliveryState
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


def test_ctrl_c_ends_a_send_once_what_is_under_way_is_recorded(newsroom, monkeypatch):
    edition_id = newsroom.fan_out()
    begun, pressed = threading.Event(), threading.Event()

    def press(*_: object, **__: object) -> None:
        begun.wait(5)
        threading.Timer(0.05, pressed.set).start()
        raise KeyboardInterrupt

    monkeypatch.setattr(editions_cli, "_show_progress", press)
    with newsroom.relay():
        dispatcher = answering(newsroom)
        send_bulk = dispatcher.handlers[Doorbell.SEND_BULK]
        later = Ring(Doorbell.REBUILD_FEEDS)

        def send_slowly(subject: int | None) -> None:
            begun.set()
            pressed.wait(5)
            send_bulk(subject)
            dispatcher.ring(later)

        dispatcher.handlers = {**dict.fromkeys(Doorbell, lambda _: None), Doorbell.SEND_BULK: send_slowly}
        with pytest.raises(KeyboardInterrupt):
            follow(newsroom.app, edition_id)

    assert {"ann": DeliveryState.ACCEPTED, "bek": DeliveryState.ACCEPTED} == newsroom.states(edition_id)
    heard: list[int | None] = []
    dispatcher.handlers = {later.doorbell: heard.append}
    assert (True, [None]) == (dispatcher.answer_next(), heard), "nothing is begun after Ctrl-C"
