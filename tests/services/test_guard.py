"""The restore guard: an older state of the database stops all mail, and nothing else does."""

import shutil
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from sqlite3 import connect as open_file

import pytest
from sqlalchemy import select, update

from newsletter.bootstrap import build_app
from newsletter.clock import Clock
from newsletter.config import Settings
from newsletter.dispatch import RecordingDispatcher
from newsletter.services.context import App
from newsletter.services.guard import Witness, may_claim, watch
from newsletter.services.restores import acknowledge_restore
from newsletter.services.schema import upgrade_schema
from newsletter.storage.engine import Database
from newsletter.storage.lineage import LineageRow, ask_server, load_lineage
from newsletter.storage.migrate import downgrade
from newsletter.storage.stops import StopKind, load_stops


def stopped(app: App) -> list[StopKind]:
    """Return what stops everything."""
    with app.reading() as tx:
        return [each.kind for each in load_stops(tx.session)]


def set_back(app: App, steps: int) -> None:
    """Let the database be as it was so many steps ago, as a backup of then would make it."""
    with app.transaction() as tx:
        tx.session.execute(update(LineageRow).values(steps=LineageRow.steps - steps))


def test_a_database_that_goes_on_is_trusted(app: App) -> None:
    """However often anybody looks."""
    assert all(watch(app) for _ in range(10))
    assert stopped(app) == []


def test_an_older_state_stops_everything(app: App) -> None:
    """One step behind what this machine has seen is enough."""
    for _ in range(10):
        watch(app)
    set_back(app, 2)

    assert not watch(app)
    assert stopped(app) == [StopKind.RESTORE]


def test_it_stays_stopped(app: App) -> None:
    """Going on from the older state until it has caught up does not make it the old one."""
    for _ in range(10):
        watch(app)
    set_back(app, 3)
    looks = [watch(app) for _ in range(5)]

    assert looks[:3] == [False, False, False]
    assert stopped(app) == [StopKind.RESTORE]


def test_a_claim_notices_within_a_slice(app: App) -> None:
    """The server may be restored while a slice runs; the next claim gets nothing."""
    for _ in range(10):
        watch(app)
    with app.transaction() as tx:
        assert may_claim(tx)
    set_back(app, 1)
    with app.transaction() as tx:
        assert not may_claim(tx)

    assert stopped(app) == [StopKind.RESTORE]


@pytest.mark.slow
def test_a_step_of_another_worker_between_two_looks_is_no_restore(
    postgresql_app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who claims reads the database, then the witness; meanwhile another may have gone on and said so."""
    watch(postgresql_app)
    read = Witness.read

    def read_after_another_stepped(self: Witness) -> object:
        monkeypatch.setattr(Witness, "read", read)
        assert watch(postgresql_app)
        return read(self)

    monkeypatch.setattr(Witness, "read", read_after_another_stepped)
    with postgresql_app.transaction() as tx:
        assert may_claim(tx)


@pytest.mark.slow
def test_many_workers_of_one_machine_raise_no_false_alarm(app: App) -> None:
    """They step at the same time, and what one has seen is never beyond what is committed."""
    looks: list[bool] = []

    def look() -> None:
        looks.extend(watch(app) for _ in range(15))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert looks == [True] * 60


def test_a_database_on_another_server_is_a_copy(app: App) -> None:
    """A copy of production mails nobody; where there is no server identity there is none to compare."""
    watch(app)
    with app.transaction() as tx:
        tx.session.execute(update(LineageRow).values(cluster="7000000000000000001", timeline="00000001"))

    assert watch(app) is app.database.is_sqlite


@pytest.mark.slow
def test_another_timeline_is_a_restore_or_a_failover(postgresql_app: App) -> None:
    """PostgreSQL begins one after each."""
    watch(postgresql_app)
    with postgresql_app.transaction() as tx:
        tx.session.execute(update(LineageRow).values(timeline="0000000A"))

    assert not watch(postgresql_app)
    with postgresql_app.reading() as tx:
        assert "timeline 0000000A" in load_stops(tx.session)[0].reason


@pytest.mark.slow
def test_who_may_not_ask_the_server_is_guarded_by_steps_alone(postgresql_app: App) -> None:
    """A host of databases may refuse its customers; that breaks no transaction and is no reason to stop."""
    with postgresql_app.transaction() as tx:
        connection = tx.session.connection()
        connection.exec_driver_sql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        connection.exec_driver_sql("CREATE ROLE guarded")
        connection.exec_driver_sql("SET LOCAL ROLE guarded")
        server = ask_server(tx.session)
        tx.session.rollback()

    assert server.cluster is None
    assert server.timeline


@pytest.fixture
def postgresql_app(
    postgresql_database: Database, settings: Settings, clock: Clock, dispatcher: RecordingDispatcher
) -> App:
    """An app on PostgreSQL; the embedded database has no servers."""
    return App(settings=settings, database=postgresql_database, clock=clock, dispatcher=dispatcher)


def test_a_file_that_was_copied_back_is_noticed(sqlite_app: App) -> None:
    """The simplest restore there is."""
    path = sqlite_app.settings.home / "newsletter.db"
    for _ in range(5):
        watch(sqlite_app)
    _copy(path, path.with_suffix(".backup"))
    watch(sqlite_app)
    sqlite_app.database.dispose()
    for each in path.parent.glob("newsletter.db*"):
        each.unlink()
    shutil.copyfile(path.with_suffix(".backup"), path)

    assert not watch(sqlite_app)


def test_a_file_in_a_new_home_is_noticed(sqlite_app: App, tmp_path: Path) -> None:
    """The machine is gone, and a backup of its database is all there is."""
    for _ in range(5):
        watch(sqlite_app)
    elsewhere = replace(sqlite_app, settings=sqlite_app.settings.model_copy(update={"home": tmp_path / "new"}))

    assert not watch(elsewhere)
    acknowledge_restore(elsewhere, nothing_lost=False)
    assert [True, True] == [watch(elsewhere), watch(elsewhere)]


@pytest.fixture
def fresh_file(settings: Settings) -> Path:
    """The embedded database as it is made, before anybody has ticked or sent."""
    build_app(settings, dispatcher=RecordingDispatcher()).database.dispose()
    return settings.home / "newsletter.db"


def test_a_file_from_before_the_first_tick_is_noticed(fresh_file: Path, settings: Settings) -> None:
    """A copy of a database that has never sent: mail was sent since, of which it knows nothing."""
    kept = fresh_file.with_suffix(".backup")
    _copy(fresh_file, kept)
    app = build_app(settings, dispatcher=RecordingDispatcher())
    assert watch(app)
    app.database.dispose()
    for each in fresh_file.parent.glob("newsletter.db*"):
        each.unlink()
    shutil.copyfile(kept, fresh_file)

    assert not watch(build_app(settings, dispatcher=RecordingDispatcher()))


def test_a_file_from_before_the_first_tick_is_noticed_in_a_new_home(
    fresh_file: Path, settings: Settings, tmp_path: Path
) -> None:
    """Nobody there can know what the machine that is gone has sent."""
    elsewhere = settings.model_copy(update={"home": tmp_path / "new"})
    (tmp_path / "new").mkdir()
    _copy(fresh_file, tmp_path / "new/newsletter.db")

    assert watch(build_app(settings, dispatcher=RecordingDispatcher()))
    assert not watch(build_app(elsewhere, dispatcher=RecordingDispatcher()))


@pytest.mark.slow
def test_a_dump_from_before_the_first_tick_is_noticed(postgresql_app: App) -> None:
    """On PostgreSQL the tables are made by `newsletter db upgrade`, and the lineage with them."""
    app = postgresql_app
    downgrade(app.database, "base")
    upgrade_schema(app)
    with app.reading() as tx:
        made = load_lineage(tx.session)
    assert made
    assert 0 == made.steps
    assert watch(app)
    set_back(app, 1)

    assert not watch(app)


@pytest.fixture
def sqlite_app(sqlite_database: Database, settings: Settings, clock: Clock, dispatcher: RecordingDispatcher) -> App:
    """An app on the embedded database."""
    return App(settings=settings, database=sqlite_database, clock=clock, dispatcher=dispatcher)


def _copy(path: Path, to: Path) -> None:
    with closing(open_file(path)) as source, closing(open_file(to)) as target:
        source.backup(target)


def test_the_lineage_begins_once(app: App) -> None:
    """Two first looks are one beginning."""
    watch(app)
    with app.reading() as tx:
        first = load_lineage(tx.session)
    watch(app)
    with app.reading() as tx:
        second = load_lineage(tx.session)
        assert len(tx.session.scalars(select(LineageRow)).all()) == 1

    assert first
    assert second
    assert (first.uid, first.steps, second.steps) == (second.uid, 1, 2)


def test_a_home_that_cannot_be_written_stops_nothing(app: App, tmp_path: Path) -> None:
    """There the guard sees less, and says so in the log."""
    (tmp_path / "file").write_text("")
    unwritable = replace(app, settings=app.settings.model_copy(update={"home": tmp_path / "file" / "home"}))

    assert all(watch(unwritable) for _ in range(3))
