"""The commands of whoever is on duty: stop, limit, look, settle; each says what to do next."""

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import typer
from answering import answer, begin
from newsroom import Newsroom
from typer.testing import CliRunner, Result

from newsletter.cli import database as database_cli
from newsletter.cli import deliveries, limits, sending
from newsletter.cli import editions as editions_cli
from newsletter.cli import lists as lists_cli
from newsletter.dispatch import InProcessDispatcher
from newsletter.domain.lists import Cadence
from newsletter.domain.replies import Stage, Verdict
from newsletter.doorbells import HANDLERS
from newsletter.errors import NewsletterError
from newsletter.services.admission import report_failure
from newsletter.services.guard import watch
from newsletter.services.inquiries import tell_story
from newsletter.storage.canaries import load_canary
from newsletter.storage.lineage import LineageRow

EDITION = 1
"""The one before it was missed."""


@pytest.fixture(params=["sqlite"])
def database(request):
    """Faces are the same on both databases, services are tested on both."""
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def newsroom(app) -> Newsroom:
    """A newsroom with an edition that is being sent to three readers, by a relay that nobody connects to here."""
    newsroom = Newsroom(app)
    newsroom.use_relay("smtp://127.0.0.1:9?tls=off&rate=7")
    newsroom.subscribe("ann", "bek", "cai")
    newsroom.publish("A story")
    assert newsroom.fan_out() == EDITION
    return newsroom


def run(newsroom: Newsroom, app, *arguments: object, answers: str = "") -> Result:
    """Run a command; return what it said and how it ended, an error of the service's as `main` would tell it."""
    return CliRunner().invoke(app, [str(each) for each in arguments], obj=lambda: newsroom.app, input=answers)


def said(result: Result) -> str:
    """Return what a command printed, in one line whatever the terminal's width."""
    assert result.exit_code == 0, (result.output, result.exception)
    return re.sub(r"\s+", " ", result.output)


@pytest.mark.slow
def test_all_sending_is_stopped_and_let_go_on(newsroom):
    """Each command names the other, and status tells who, why, and what next."""
    assert "newsletter sending resume" in said(run(newsroom, sending.app, "pause", "--reason", "the wrong list"))
    assert begin(newsroom) == []
    status = run(newsroom, sending.app, "status")
    assert status.exit_code == 1
    assert "the wrong list" in status.output
    assert "Mail goes on." in said(run(newsroom, sending.app, "resume"))
    assert "Nothing holds any mail back." in said(run(newsroom, sending.app, "status"))


def test_a_stop_without_a_reason_is_wrong_use(newsroom):
    """Exit 2, and nothing is stopped."""
    assert run(newsroom, sending.app, "pause").exit_code == 2
    assert len(begin(newsroom)) == 3


@pytest.mark.slow
def test_a_list_is_paused_with_the_reason_and_shown_so(newsroom):
    """In its own facts."""
    said(run(newsroom, lists_cli.app, "pause", "weekly", "--reason", "its domain lapsed"))

    assert "its domain lapsed" in said(run(newsroom, lists_cli.app, "show", "weekly"))
    assert json.loads(run(newsroom, lists_cli.app, "show", "weekly", "--json").stdout)["pause"]["reason"]
    assert "goes on" in said(run(newsroom, lists_cli.app, "resume", "weekly"))
    assert len(begin(newsroom)) == 3


@pytest.mark.slow
def test_a_lists_canary_is_set_and_shown(newsroom):
    """With its limit."""
    told = said(run(newsroom, lists_cli.app, "set", "weekly", "--canary", "1%", "--canary-limit", "3"))

    assert "1% of an edition's mails go first, 3 % of them may fail" in told
    assert run(newsroom, lists_cli.app, "set", "weekly").exit_code == 2
    assert "canary none" in said(run(newsroom, lists_cli.app, "set", "weekly", "--canary", "none"))


@pytest.mark.slow
def test_limits_are_set_listed_and_cleared(newsroom):
    """A rate in a relay's URL is listed once it counts."""
    said(run(newsroom, limits.app, "set", "gmail", "--rate", "2.5", "--concurrency", "3"))
    said(run(newsroom, limits.app, "set", "gmail", "--per-connection", "50"))
    [gmail] = json.loads(run(newsroom, limits.app, "list", "--json").stdout)

    assert (gmail["rate"], gmail["concurrency"], gmail["per_connection"], gmail["allowed_now"]) == (2.5, 3, 50, 2)
    assert "2.5/s" in said(run(newsroom, limits.app, "list"))
    said(run(newsroom, limits.app, "clear", "gmail"))
    assert "There are none." in said(run(newsroom, limits.app, "list"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "nobody", "--rate", "1"),
        ("set", "gmail"),
        ("set", "127.0.0.1:9", "--concurrency", "2"),
        ("clear", "gmail"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(newsroom, arguments):
    """In words, with exit 1."""
    result = run(newsroom, limits.app, *arguments)

    assert isinstance(result.exception, NewsletterError)


def test_relays_are_listed_with_their_last_failure(newsroom):
    """And until when one is left alone."""
    for _ in range(5):
        report_failure(newsroom.app, newsroom.app.relays[0], Stage.AUTH, "535 5.7.8 wrong password")
    told = said(run(newsroom, limits.relays_app, "list"))

    assert "127.0.0.1:9" in told
    assert "open until" in told
    assert "auth: 535 5.7.8 wrong password" in told


@pytest.mark.slow
def test_one_readers_story_is_told(newsroom):
    """Every attempt with what was said; a doubt says how it is settled."""
    answer(newsroom, Verdict.IN_DOUBT)
    told = said(run(newsroom, deliveries.app, "show", "ann@readers.example"))

    assert "in_doubt at RCPT" in told
    assert "Message-ID" in told
    assert "newsletter deliveries settle" in told
    [story] = json.loads(run(newsroom, deliveries.app, "show", "ann@readers.example", "--json").stdout)
    assert story["attempts"][0]["outcome"] == "in_doubt"


@pytest.mark.slow
def test_mails_are_listed_by_state_and_reply(newsroom):
    """And a class of reply that is none is wrong use."""
    answer(newsroom, Verdict.RECIPIENT_FAILED)

    assert "ann@readers.example" in said(run(newsroom, deliveries.app, "list", "--reply-class", "recipient_failed"))
    assert "There are none." in said(run(newsroom, deliveries.app, "list", "--state", "in_doubt"))
    assert "--after" in said(run(newsroom, deliveries.app, "list", "--limit", "2"))
    assert run(newsroom, deliveries.app, "list", "--reply-class", "rude").exit_code == 2
    assert run(newsroom, deliveries.app, "list", "--provider", "example.org").exit_code == 2


@pytest.mark.slow
def test_a_doubt_is_settled_by_hand(newsroom):
    """With one decision and a reason."""
    answer(newsroom, Verdict.IN_DOUBT)
    delivery_id = tell_story(newsroom.app, "ann@readers.example")[0].mail.id

    assert run(newsroom, deliveries.app, "settle", delivery_id).exit_code == 2
    assert run(newsroom, deliveries.app, "settle", delivery_id, "--accepted", "--failed", "--why", "x").exit_code == 2
    assert "Settled as accepted: 1." in said(
        run(newsroom, deliveries.app, "settle", delivery_id, "--accepted", "--why", "she has it")
    )


@pytest.mark.slow
def test_a_relays_log_is_compared_first_and_applied_only_if_told(newsroom, tmp_path: Path):
    """A dry run, unless --yes."""
    answer(newsroom, Verdict.IN_DOUBT, Verdict.IN_DOUBT)
    story = tell_story(newsroom.app, "ann@readers.example")[0]
    log = tmp_path / "mail.log"
    log.write_text(
        f"mx postfix/cleanup[1]: QUEUE1: message-id={story.message_id}\n"
        "mx postfix/qmgr[1]: QUEUE1: from=<x@example.org>, size=9, nrcpt=1 (queue active)\n"
    )
    told = said(run(newsroom, deliveries.app, "settle", "--from-log", log))

    assert "With --yes 1 would be accepted, and 1 would stay in doubt." in told
    assert tell_story(newsroom.app, str(story.mail.id))[0].mail.state == "in_doubt"
    done = json.loads(run(newsroom, deliveries.app, "settle", "--from-log", log, "--yes", "--json").stdout)
    assert done == {"accepted": 1, "sent_again": 0, "left": 0}
    assert run(newsroom, deliveries.app, "settle", "--from-log", log, "--resend").exit_code == 2


@pytest.mark.slow
def test_an_edition_tells_how_far_it_is_and_what_holds_it_up(newsroom):
    """In lines, and as facts."""
    answer(newsroom, Verdict.RECIPIENT_FAILED, most=2)
    run(newsroom, editions_cli.app, "pause", EDITION, "--reason", "a typo in the lead")
    told = said(run(newsroom, editions_cli.app, "status", EDITION))

    assert "66 % 2 of 3" in told
    assert "1 × recipient_failed 550" in told
    assert "a typo in the lead" in told
    facts = json.loads(run(newsroom, editions_cli.app, "status", EDITION, "--json").stdout)
    assert facts["deliveries"] == {"accepted": 1, "failed": 1, "queued": 1}
    assert "a typo in the lead" in said(run(newsroom, editions_cli.app, "show", EDITION))


@pytest.mark.slow
def test_watching_an_edition_in_a_pipe_writes_plain_lines_until_it_has_ended(newsroom):
    """With --json a document a line."""
    answer(newsroom)
    editions_cli.editions_service.finish_editions(newsroom.app)
    told = run(newsroom, editions_cli.app, "status", EDITION, "--watch").stdout.splitlines()

    assert told[0] == f"edition {EDITION} done 3/3 · accepted 3"
    lines = run(newsroom, editions_cli.app, "status", EDITION, "--watch", "--json").stdout.splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["done"]


@pytest.mark.slow
def test_a_restore_is_acknowledged_after_it_was_explained(newsroom):
    """It asks, and a dry run changes nothing."""
    for _ in range(3):
        watch(newsroom.app)
    with newsroom.app.transaction() as tx:
        tx.session.get_one(LineageRow, 1).steps = 1
    watch(newsroom.app)
    assert begin(newsroom) == []
    told = said(run(newsroom, database_cli.app, "acknowledge-restore", "--dry-run"))

    assert "mails that may have been sent since 3" in told
    assert run(newsroom, database_cli.app, "acknowledge-restore", answers="n\n").exit_code == 1
    assert "Mail goes on." in said(run(newsroom, database_cli.app, "acknowledge-restore", answers="y\n"))
    assert begin(newsroom) == []
    assert "ann@readers.example" in said(run(newsroom, deliveries.app, "list", "--state", "in_doubt"))


def test_what_holds_mail_back_is_told_by_the_newsrooms_clock(newsroom):
    """Whoever lays it beside an edition's times at night is not hours off."""
    newsroom.app = replace(newsroom.app, settings=newsroom.app.settings.model_copy(update={"zone": "Asia/Bishkek"}))
    said(run(newsroom, lists_cli.app, "pause", "weekly", "--reason", "its domain lapsed"))
    said(run(newsroom, sending.app, "pause", "--reason", "the wrong list"))
    watch(newsroom.app)
    with newsroom.app.transaction() as tx:
        tx.session.get_one(LineageRow, 1).steps = -1
    watch(newsroom.app)
    told = [
        run(newsroom, sending.app, "status").output,
        said(run(newsroom, lists_cli.app, "show", "weekly")),
        said(run(newsroom, database_cli.app, "acknowledge-restore", "--dry-run")),
    ]

    assert [] == [each for each in told if "UTC" in each or "+00:00" in each]
    assert [2, 2, 2] == [each.count(" +06") for each in told]


@pytest.fixture
def immediate_newsroom(app) -> Newsroom:
    """A newsroom with a list that sends each article at once, and two readers of it."""
    newsroom = Newsroom(replace(app, dispatcher=InProcessDispatcher()))
    newsroom.add_list("alerts", cadences=(Cadence.IMMEDIATE,))
    newsroom.subscribe("ann", "bek", slug="alerts", cadence="immediate")
    newsroom.publish("A story")
    newsroom.publish("Another one")
    return newsroom


def a_send() -> typer.Typer:
    """Return the command `send` alone."""
    command = typer.Typer()
    command.command()(editions_cli.send)
    return command


def answering(newsroom: Newsroom) -> None:
    """Let the newsroom's doorbells be answered by the services, as `build_app` does."""
    app = newsroom.app
    app.dispatcher.handlers = {doorbell: partial(handler, app) for doorbell, handler in HANDLERS.items()}


@pytest.mark.slow
def test_news_that_is_sent_at_once_is_shown_and_asked_for_first(immediate_newsroom):
    """A dry run and a no send nothing; a yes sends each article to each reader."""
    newsroom = immediate_newsroom
    with newsroom.relay():
        answering(newsroom)
        dry = said(run(newsroom, a_send(), "alerts", "--cadence", "immediate", "--dry-run"))
        refused = run(newsroom, a_send(), "alerts", "--cadence", "immediate", answers="n\n")
        assert newsroom.mails() == {}
        said(run(newsroom, a_send(), "alerts", "--cadence", "immediate", answers="y\n"))

        assert {name: len(mails) for name, mails in newsroom.mails().items()} == {"ann": 2, "bek": 2}
    assert "2 articles, 2 readers" in dry
    assert "Another one" in dry
    assert refused.exit_code == 1
    assert "Nothing to send" in said(run(newsroom, a_send(), "alerts", "--cadence", "immediate"))


@pytest.mark.slow
def test_a_send_with_a_canary_goes_out_in_two_parts_and_to_everybody(app):
    """The command returns when all is sent."""
    newsroom = Newsroom(replace(app, dispatcher=InProcessDispatcher()))
    newsroom.subscribe(*(f"reader{number}" for number in range(9)))
    newsroom.publish("A story")
    with newsroom.relay():
        answering(newsroom)
        told = said(run(newsroom, a_send(), "weekly", "--canary", "3", "--yes"))

        assert len(newsroom.mails()) == 9
    assert "done" in told
    with newsroom.app.reading() as tx:
        assert load_canary(tx.session, 1).size == 3


def test_a_canary_that_is_none_sends_nothing(newsroom):
    """Before anything is opened."""
    assert isinstance(run(newsroom, a_send(), "weekly", "--canary", "many", "--yes").exception, NewsletterError)
