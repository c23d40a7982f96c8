"""Alarms: what will not mend without a person is named, and nothing else is."""

from datetime import timedelta

import pytest
from answering import answer, begin
from newsroom import Newsroom
from sqlalchemy import update

from newsletter.domain.deliveries import Pool
from newsletter.domain.replies import Stage, Verdict
from newsletter.services.admission import report_failure
from newsletter.services.alarms import AlarmName, accepted_beat, find_alarms
from newsletter.services.checks import Level, examine
from newsletter.services.context import App
from newsletter.services.editions import pause_edition
from newsletter.services.guard import watch
from newsletter.services.health import take_measures
from newsletter.services.stops import pause_list, pause_sending
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.engine import database_now
from newsletter.storage.heartbeats import HeartbeatRow, beat
from newsletter.storage.lineage import LineageRow, settings_that_lose_commits
from newsletter.storage.recovery import POISON, requeue_lapsed

HOUR = timedelta(hours=1)


def names(newsroom: Newsroom) -> list[AlarmName]:
    """Return what is wrong."""
    return [alarm.name for alarm in find_alarms(newsroom.app)]


def an_edition(newsroom: Newsroom) -> int:
    """Return an edition that is being sent to four readers."""
    newsroom.subscribe("ann", "bek", "cai", "dan")
    newsroom.publish("A story")
    return newsroom.fan_out()


def grow_older(newsroom: Newsroom, span: timedelta) -> None:
    """Let all mail and all signs of life be that much older."""
    with newsroom.app.transaction() as tx:
        then = database_now(tx.session) - span
        tx.session.execute(update(DeliveryRow).values(available_at=then, state_at=then))
        tx.session.execute(update(HeartbeatRow).values(at=then))


@pytest.mark.slow
def test_where_all_is_well_there_is_no_alarm(newsroom: Newsroom) -> None:
    """Mail that is due for a moment, one that was put off, a reader whose address failed."""
    an_edition(newsroom)
    assert names(newsroom) == []
    answer(newsroom, Verdict.RECIPIENT_FAILED, Verdict.RECIPIENT_DEFERRED)

    assert names(newsroom) == []


def test_mail_that_is_due_and_not_accepted_for_half_an_hour_is_one(newsroom: Newsroom) -> None:
    """Unless some was accepted meanwhile: a large edition takes hours."""
    an_edition(newsroom)
    grow_older(newsroom, HOUR)

    assert names(newsroom) == [AlarmName.STALLED]
    with newsroom.app.transaction() as tx:
        beat(tx.session, accepted_beat(Pool.BULK))
    assert names(newsroom) == []


@pytest.mark.slow
def test_mail_that_a_person_holds_back_is_not_stalled(newsroom: Newsroom) -> None:
    """That it is held back is told, and wakes nobody."""
    edition_id = an_edition(newsroom)
    pause_edition(newsroom.app, edition_id, reason="a typo")
    grow_older(newsroom, HOUR)
    [alarm] = find_alarms(newsroom.app)

    assert (alarm.name, alarm.is_urgent) == (AlarmName.EDITION_PAUSED, False)
    assert "a typo" in alarm.found
    assert f"editions resume {edition_id}" in alarm.remedy


@pytest.mark.slow
def test_mails_in_doubt_are_one_when_evidence_had_time_to_come(newsroom: Newsroom) -> None:
    """One of four is more than one in a thousand; after a day it is held, and told no more."""
    an_edition(newsroom)
    answer(newsroom, Verdict.IN_DOUBT)

    assert names(newsroom) == []
    grow_older(newsroom, HOUR)
    assert names(newsroom) == [AlarmName.DOUBT]
    grow_older(newsroom, 25 * HOUR)
    assert names(newsroom) == []


@pytest.mark.slow
def test_a_poisonous_mail_is_one_for_a_day(newsroom: Newsroom) -> None:
    """It is given up, and its senders live."""
    an_edition(newsroom)
    begin(newsroom, 1)
    newsroom.make_due()
    with newsroom.app.transaction() as tx:
        then = database_now(tx.session) - HOUR
        lease = {"state": "leased", "lease_token": "t", "lease_owner": "w", "lease_until": then}
        tx.session.execute(update(DeliveryRow).where(DeliveryRow.state == "queued").values(lapses=4, **lease))
        requeue_lapsed(tx.session)

    assert AlarmName.POISON in names(newsroom)
    with newsroom.app.transaction() as tx:
        tx.session.execute(update(HeartbeatRow).where(HeartbeatRow.name == POISON).values(at=then - 24 * HOUR))
    assert AlarmName.POISON not in names(newsroom)


def test_the_worst_is_told_first_and_all_is_in_doctor_and_metrics(newsroom: Newsroom) -> None:
    """A restored database, a stop, a relay that fails, a list that waits."""
    newsroom.use_relay("smtp://127.0.0.1:9?tls=off")
    for _ in range(5):
        watch(newsroom.app)
        report_failure(newsroom.app, newsroom.app.relays[0], Stage.AUTH, "535 5.7.8 no")
    pause_list(newsroom.app, "weekly", reason="why")
    pause_sending(newsroom.app, reason="why not")
    with newsroom.app.transaction() as tx:
        tx.session.execute(update(LineageRow).values(steps=1))
    watch(newsroom.app)
    worst = [AlarmName.RESTORE, AlarmName.STOPPED, AlarmName.RELAY_OPEN, AlarmName.LIST_PAUSED]

    assert names(newsroom) == worst
    measures = take_measures(newsroom.app)
    assert {name for name, count in measures.alarms.items() if count} == set(map(str, worst))
    assert set(measures.alarms) == set(map(str, AlarmName))
    assert measures.relays_open == {"127.0.0.1:9": 1}
    found = {finding.check: finding for finding in examine(newsroom.app)}
    assert found["restore"].level is Level.ERROR
    assert "acknowledge-restore" in found["restore"].remedy
    assert found["relay open"].level is Level.WARNING
    assert "535 5.7.8 no" in found["relay open"].found


@pytest.mark.slow
def test_commits_that_a_power_cut_forgets_are_an_error(postgresql_newsroom: Newsroom) -> None:
    """Doctor asks the server as the service's own user."""
    app = postgresql_newsroom.app
    _set_synchronous_commit(app, "off")
    try:
        [finding] = [finding for finding in examine(app) if finding.check == "durability"]
    finally:
        _set_synchronous_commit(app, "on")

    assert "synchronous_commit" in finding.found
    with app.reading() as tx:
        assert "synchronous_commit" not in settings_that_lose_commits(tx.session)


def _set_synchronous_commit(app: App, value: str) -> None:
    """Set it for this database, as an administrator might have; open connections keep what they had."""
    with app.transaction() as tx:
        name = app.database.engine.url.database
        tx.session.connection().exec_driver_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = {value}')
    app.database.dispose()
