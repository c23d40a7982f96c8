"""Structured logs: one line for each finished unit of work, with ids and never with addresses, tokens or bodies."""

import logging
import re
import sys

import structlog

_ADDRESS = re.compile(r"[^\s<>(),;:\"]+(?:@|%40)[^\s<>(),;:\"']+")


def configure_logs(*, as_json: bool, level: str = "info") -> None:
    """Write events to standard error, as JSON lines for machines or readable lines for people. Safe to repeat."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=0,
            exception_formatter=structlog.dev.plain_traceback,  # the others show variables, with addresses in them
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _without_addresses,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def hear_libraries() -> None:
    """Write what libraries warn of as events too, without addresses; for a process whose main loop is a library's."""
    root = logging.getLogger()
    if not any(isinstance(handler, _Library) for handler in root.handlers):
        root.addHandler(_Library(logging.WARNING))


class _Library(logging.Handler):
    """Passes records of the standard library's logging on as events."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        words = _ADDRESS.sub("[address]", record.getMessage())
        log.log(record.levelno, words, logger=record.name, exc_info=record.exc_info)


def _without_addresses(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Leave addresses out of a traceback: what a database says of an error holds the row that it is about."""
    if isinstance(told := event.get("exception"), str):
        event["exception"] = _ADDRESS.sub("[address]", told)
    return event
