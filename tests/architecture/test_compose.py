"""docker-compose.yml, Dockerfile and .env.example say nothing that the code does not know; no Docker is needed here."""

import fnmatch
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer.core
import typer.main
import yaml
from contributing import ROOT

from newsletter.cli.main import cli
from newsletter.config import Settings
from newsletter.dispatch import Queue
from newsletter.domain.deliveries import SENDING_LEASE
from newsletter.mail.timeouts import Timeouts
from newsletter.services.sending import SLICE_SECONDS

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"] == "newsletter")
WORKERS = sorted(name for name in OURS if SERVICES[name].get("command", [""])[0] == "worker")
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
STANDARD_PORTS = {"postgres": 5432, "broker": 6379, "mailbox": 1025}
SLICE_AND_REPLY_SECONDS = SLICE_SECONDS + Timeouts().body + Timeouts().dot
FILLED_IN = {"NEWSLETTER_SECRET_KEY": "0123456789abcdef" * 4, "POSTGRES_PASSWORD": "letters4nddigits"}


@pytest.mark.parametrize("name", OURS)
def test_commands_exist_with_their_options(name: str):
    _parse(SERVICES[name].get("command", _instruction("CMD")))


def test_web_listens_where_its_port_and_its_health_check_are():
    options = _parse(SERVICES["web"]["command"]).params
    (published,) = SERVICES["web"]["ports"]
    (exposed,) = _arguments("EXPOSE")
    health_check = next(line for line in DOCKERFILE if "urlopen" in line)

    assert _instruction("CMD") == SERVICES["web"]["command"]
    assert "0.0.0.0" == options["host"]
    assert {str(options["port"])} == {published.split(":")[-1], exposed}
    assert f"http://127.0.0.1:{options['port']}/health/live" in health_check


def test_every_queue_has_a_worker_and_every_worker_has_queues():
    consumed = [queue for name in WORKERS for queue in _parse(SERVICES[name]["command"]).params["queues"].split(",")]

    assert sorted(Queue) == sorted(consumed)


def test_workers_have_names_of_their_own():
    names = [_parse(SERVICES[name]["command"]).params["name"] for name in WORKERS]

    assert WORKERS == sorted(names)


def test_confirmations_never_wait_behind_editions():
    (worker,) = (name for name in WORKERS if Queue.TRANSACTIONAL in SERVICES[name]["command"][2].split(","))

    assert Queue.TRANSACTIONAL == _parse(SERVICES[worker]["command"]).params["queues"]


@pytest.mark.parametrize("name", WORKERS)
def test_a_stopping_worker_is_given_time_for_its_last_mails(name: str):
    """One slice and one reply; not longer than a lease, after which another process looks after them."""
    grace = _seconds(SERVICES[name]["stop_grace_period"])

    assert SLICE_AND_REPLY_SECONDS < grace <= SENDING_LEASE.total_seconds()


def test_something_ticks():
    assert ["tick"] in [SERVICES[name].get("command") for name in OURS]


def test_tables_are_migrated_before_anything_else_starts():
    (migrating,) = (name for name in OURS if SERVICES[name].get("command") == ["db", "upgrade"])

    assert [] == [
        name
        for name in OURS
        if name != migrating
        and SERVICES[name]["depends_on"].get(migrating) != {"condition": "service_completed_successfully"}
    ]


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_waited_for_can_be_waited_for(name: str):
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        if wait["condition"] == "service_healthy":
            assert SERVICES[other]["healthcheck"]["test"]
        else:
            assert "service_completed_successfully" == wait["condition"]
            assert "no" == SERVICES[other]["restart"] or SERVICES[other]["restart"].startswith("on-failure")


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_health_check(name: str):
    """Its own, or for the web pages the image's."""
    assert SERVICES[name].get("healthcheck") or name == "web"


@pytest.mark.parametrize("name", WORKERS)
def test_health_checks_of_workers_are_commands(name: str):
    (kind, program, *arguments) = SERVICES[name]["healthcheck"]["test"]

    assert ("CMD", "newsletter") == (kind, program)
    _parse(arguments)


@pytest.mark.parametrize("name", OURS)
def test_environment_makes_settings(name: str, monkeypatch: pytest.MonkeyPatch):
    """The variables given, with .env filled in, are all known and enough."""
    environment = _environment(name)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = Settings()
    ours = {variable for variable in environment if variable.startswith("NEWSLETTER_")}

    assert ours <= {f"NEWSLETTER_{field}".upper() for field in Settings.model_fields}
    assert settings.database.startswith("postgresql+psycopg://newsletter:letters4nddigits@")
    assert not settings.is_embedded


@pytest.mark.parametrize("name", OURS)
def test_addresses_are_of_services_and_their_ports(name: str):
    environment = _environment(name)
    names = ("NEWSLETTER_DATABASE_URL", "NEWSLETTER_BROKER_URL", "NEWSLETTER_SMTP_URL")
    hosts = {(parts.hostname, parts.port) for parts in (urlsplit(environment[each]) for each in names)}

    assert set(STANDARD_PORTS.items()) == hosts


def test_database_is_made_as_it_is_asked_for():
    asked = urlsplit(_environment("web")["NEWSLETTER_DATABASE_URL"])
    made = {key: _interpolated(str(value)) for key, value in SERVICES["postgres"]["environment"].items()}

    assert (made["POSTGRES_USER"], made["POSTGRES_PASSWORD"]) == (asked.username, asked.password)
    assert f"/{made['POSTGRES_DB']}" == asked.path


@pytest.mark.parametrize("variable", FILLED_IN)
def test_nothing_starts_without_a_secret(variable: str):
    """Compose stops at ${NAME:?...}; .env.example has the line, and has it empty."""
    asked = re.findall(rf"\$\{{{variable}(.*?)\}}", (ROOT / "docker-compose.yml").read_text())

    assert asked
    assert all(rest.startswith(":?") for rest in asked)
    assert re.search(rf"^{variable}=$", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)


def test_example_environment_has_known_variables_only():
    names = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)

    assert set(names) - {"POSTGRES_PASSWORD"} <= {f"NEWSLETTER_{field}".upper() for field in Settings.model_fields}


def test_secrets_stay_out_of_git_and_of_the_image():
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert not _reaches_the_builder(".env")


def test_broker_throws_no_message_away():
    command = SERVICES["broker"]["command"]

    assert "noeviction" == command[command.index("--maxmemory-policy") + 1]


def test_volumes_are_declared():
    used = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", ())}

    assert set(COMPOSE["volumes"]) == used


def test_files_live_where_the_image_keeps_them():
    home = _environment("web")["NEWSLETTER_HOME"]

    assert [home] == _arguments("VOLUME")
    assert any(line.startswith("ENV") and f"NEWSLETTER_HOME={home}" in line for line in DOCKERFILE)
    assert all(f"home:{home}" in SERVICES[name]["volumes"] for name in OURS)


def test_what_the_image_copies_exists_and_reaches_the_builder():
    copied = [source for line in DOCKERFILE if _is_copy_from_here(line) for source in shlex.split(line)[1:-1]]

    assert {"newsletter", "workers", "templates", "requirements.lock"} <= set(copied)
    assert [] == [source for source in copied if not (ROOT / source).exists() or not _reaches_the_builder(source)]


def test_image_installs_locked_packages_only():
    installs = [step for line in DOCKERFILE for step in line.split("&&") if " install " in step or " wheel " in step]

    assert installs
    assert [] == [step for step in installs if "--require-hashes" not in step and "--no-deps" not in step]


def test_image_runs_the_command_as_nobody_special():
    """And its last stage holds what the first one made, not what made it."""
    start = max(number for number, line in enumerate(DOCKERFILE) if line.startswith("FROM"))
    last_stage = DOCKERFILE[start:]

    assert ["newsletter"] == _instruction("ENTRYPOINT")
    assert ["newsletter"] == _arguments("USER")
    assert any("useradd" in line and "--uid" in line for line in last_stage)
    assert [] == [line for line in last_stage if "pip" in line or (line.startswith("COPY") and "--from" not in line)]


def _parse(arguments: list[str]) -> Any:
    """Parse a command line as `newsletter` would, without running it; return the context with its `params`."""
    command: Any = typer.main.get_command(cli)
    words = list(arguments)
    while isinstance(command, typer.core.TyperGroup):
        _, command, words = command.resolve_command(typer.Context(command), words)
    return command.make_context(" ".join(arguments), words)


def _environment(name: str) -> dict[str, str]:
    """Return what a container is given: .env as written from the example, under what the service sets."""
    given = {
        variable: value
        for variable, value in re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
        if variable.startswith("NEWSLETTER_")
    }
    assert ".env" == SERVICES[name]["env_file"]
    return given | {key: _interpolated(str(value)) for key, value in SERVICES[name]["environment"].items()}


def _interpolated(value: str) -> str:
    """Fill in ${NAME:?words} and ${NAME:-default} as Compose does."""
    return re.sub(r"\$\{(\w+)(?::\?[^}]*|:-([^}]*))?\}", lambda found: FILLED_IN.get(found[1], found[2] or ""), value)


def _seconds(duration: str) -> int:
    return sum(int(count) * {"m": 60, "s": 1}[unit] for count, unit in re.findall(r"(\d+)([ms])", duration))


def _arguments(instruction: str) -> list[str]:
    (line,) = (line for line in DOCKERFILE if line.startswith(f"{instruction} "))
    return line.split()[1:]


def _instruction(instruction: str) -> list[str]:
    """Return an instruction written as a list."""
    (line,) = (line for line in DOCKERFILE if line.startswith(f"{instruction} "))
    words: list[str] = yaml.safe_load(line.removeprefix(instruction))
    return words


def _is_copy_from_here(line: str) -> bool:
    return line.startswith("COPY") and "--from" not in line


def _reaches_the_builder(path: str) -> bool:
    """Whether .dockerignore lets *path* through; the last pattern that fits decides."""
    reaches = True
    for pattern in (ROOT / ".dockerignore").read_text().splitlines():
        if pattern and not pattern.startswith("#") and fnmatch.fnmatch(Path(path).name, pattern.lstrip("!")):
            reaches = pattern.startswith("!")
    return reaches
