"""Doorbells: names, services, tasks and queues are the same wherever they are told."""

import importlib
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType

import pytest

from newsletter.dispatch import QUEUE_OF, Doorbell, Queue
from newsletter.domain.deliveries import Pool
from newsletter.doorbells import HANDLERS


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The workers' tasks, imported as a worker does; nothing connects to what these variables name."""
    monkeypatch.setenv("NEWSLETTER_BROKER_URL", "redis://no-test-may-reach-this:6379/0")
    monkeypatch.setenv("NEWSLETTER_DATABASE_URL", "postgresql://no-test-may-reach-this/newsletter")
    monkeypatch.setenv("NEWSLETTER_SECRET_KEY", "0123456789abcdef" * 4)
    return importlib.import_module("workers.tasks")


def test_every_doorbell_has_a_service():
    assert set(Doorbell) == set(HANDLERS)


def test_every_doorbell_has_a_queue_and_every_queue_a_doorbell():
    assert set(Doorbell) == set(QUEUE_OF)
    assert set(Queue) == set(QUEUE_OF.values())


def test_every_doorbell_has_a_task_of_its_name(tasks: ModuleType):
    celery = tasks.celery
    names = {name for name in celery.tasks if not name.startswith("celery.")}

    assert set(Doorbell) == names


@pytest.mark.parametrize("doorbell", Doorbell)
def test_a_task_calls_the_service_that_answers_its_doorbell(tasks: ModuleType, doorbell: Doorbell):
    """So that workers do what the embedded service does."""
    answer = tasks.celery.tasks[doorbell.value].run

    assert set(_services(HANDLERS[doorbell])) == set(_services(answer))
    assert _pools(HANDLERS[doorbell]) == _pools(answer)


@pytest.mark.parametrize("doorbell", Doorbell)
def test_a_message_goes_to_its_queue(tasks: ModuleType, doorbell: Doorbell):
    route = tasks.celery.amqp.router.route({}, doorbell.value)

    assert QUEUE_OF[doorbell] == route["queue"].name


def _services(function: Callable[..., object]) -> Iterator[FunctionType]:
    """Yield the services that *function* calls, itself if it is one."""
    assert isinstance(function, FunctionType), function
    if function.__module__.startswith("newsletter.services."):
        yield function
        return
    for name in function.__code__.co_names:
        called = function.__globals__.get(name)
        if getattr(called, "__module__", "").startswith("newsletter.services."):
            yield called


def _pools(function: Callable[..., object]) -> set[str]:
    """Return the pools named in *function*'s code."""
    assert isinstance(function, FunctionType), function
    return set(function.__code__.co_names) & set(Pool.__members__)
