"""The newsroom replayed day by day for hundreds of readers, every mailbox held against a naive computation."""

from datetime import datetime
from pathlib import Path

import pytest
from replaying import (
    ROOT,
    ZONE,
    MovingClock,
    Story,
    bring_in,
    check_mailboxes,
    import_all,
    invent_wishes,
    make_app,
    received,
    replay,
    subscribe,
)

from newsletter.demo.mailserver import MailServer
from newsletter.embedded import run_until_idle

SAMPLE = Story(
    files=tuple(sorted((ROOT / "newsletter/demo/newsroom").iterdir())),
    since=datetime(2025, 9, 1, 8, tzinfo=ZONE),
    until=datetime(2025, 10, 6, 8, tzinfo=ZONE),
)
PAGES = ROOT.parent / "shared/newsroom"
REAL = Story(
    files=(PAGES / "un-kyrgyzstan.json", PAGES / "usaid-cgp.json"),
    since=datetime(2024, 8, 5, 8, tzinfo=ZONE),
    until=datetime(2024, 12, 16, 8, tzinfo=ZONE),
)
STORIES = [pytest.param(SAMPLE, id="sample")] + ([pytest.param(REAL, id="real pages")] if PAGES.is_dir() else [])


@pytest.fixture
def server(tmp_path: Path):
    with MailServer(tmp_path / "mails") as running:
        yield running


@pytest.fixture
def service(app, server):
    """The service over `database`, its clock and its mail server."""
    clock = MovingClock(SAMPLE.since)
    ours = make_app(app.settings, server, clock)
    yield ours, clock
    ours.database.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("story", STORIES)
def test_every_one_of_500_readers_gets_what_they_chose_once(service, server, story):
    app, clock = service
    wishes = invent_wishes(500, cadences=("weekly", "weekly", "weekly", "daily"), seed=2)
    clock.now = story.since
    bring_in(app, story)
    subscribe(app, wishes)
    replay(app, clock, story)
    mails = received(app, server)

    assert len(mails) > len(wishes)
    check_mailboxes(app, mails, wishes, story)

    run_until_idle(app)
    outcomes = {outcome.result.value for outcome in import_all(app, story)}
    run_until_idle(app)

    assert {"same", "refused"} >= outcomes
    assert len(mails) == len(server.mails)
