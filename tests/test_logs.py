"""Logs: what an exception says is logged, and nobody's address with it."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from newsletter.logs import configure_logs, hear_libraries


@pytest.fixture(autouse=True)
def configuration() -> Iterator[None]:
    """Put the configuration of logs back afterwards."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def fail(words: str) -> None:
    raise ValueError(words)


@pytest.mark.parametrize("as_json", [True, False])
def test_addresses_in_an_exception_are_left_out(capsys, as_json):
    configure_logs(as_json=as_json)
    try:
        fail("Failing row contains (7, Ann.O'Neil+x@example.org, ann%40example.org)")
    except ValueError:
        structlog.get_logger().exception("task_failed", task="nl.tick")
    told = capsys.readouterr().err

    assert "Failing row contains (7, [address], [address])" in (json.loads(told)["exception"] if as_json else told)
    assert "task_failed" in told
    assert "test_logs.py" in told


def test_what_a_library_warns_of_is_an_event_without_addresses(capsys):
    root = logging.getLogger()
    before = list(root.handlers)
    configure_logs(as_json=True)
    try:
        hear_libraries()
        hear_libraries()
        logging.getLogger("celery.worker").critical("Unrecoverable error: %s", "ann@example.org is one")
        logging.getLogger("celery.worker").info("nobody needs this")
    finally:
        for handler in set(root.handlers) - set(before):
            root.removeHandler(handler)
    [line] = capsys.readouterr().err.splitlines()

    assert "Unrecoverable error: [address] is one" == json.loads(line)["event"]
    assert ("critical", "celery.worker") == (json.loads(line)["level"], json.loads(line)["logger"])
