"""Checks: what `newsletter doctor` looks at; each answers ok, warning or error, with the remedy."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from newsletter.config import Settings
from newsletter.dispatch import probe_broker
from newsletter.errors import InvalidError, NewsletterError, TransientError
from newsletter.mail.relay import Relay
from newsletter.mail.session import probe_relay
from newsletter.services.alarms import find_alarms
from newsletter.services.context import App
from newsletter.services.dns_checks import judge_dns
from newsletter.services.health import HEARTBEAT, LATE_AFTER
from newsletter.services.schema import is_schema_current
from newsletter.services.signing import signer_of
from newsletter.services.sources import list_sources
from newsletter.storage import lineage
from newsletter.storage.engine import database_now
from newsletter.storage.heartbeats import heartbeat_age
from newsletter.storage.lists import load_lists

DRIFT_ALLOWED = timedelta(seconds=5)


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; *remedy* is empty where nothing is wrong."""

    check: str
    level: Level
    found: str
    remedy: str = ""


def examine(app: App) -> Iterator[Finding]:
    """Yield one finding for each check; sends nothing and changes nothing."""
    yield from _configuration(app)
    try:
        yield from _database(app)
    except NewsletterError as error:
        yield Finding("database", Level.ERROR, str(error), "start it, or correct NEWSLETTER_DATABASE_URL")
    yield from _broker(app.settings)
    probed = {relay: _probe(relay, app.settings) for relay in app.relays}
    yield from _relays(probed)
    yield from _dns(app, {relay: said if isinstance(said, str) else "" for relay, said in probed.items()})


def _configuration(app: App) -> Iterator[Finding]:
    settings = app.settings
    yield Finding("mode", Level.OK, "embedded: one process" if settings.is_embedded else "Celery workers")
    if not settings.postal_address:
        yield Finding(
            "postal address", Level.ERROR, "none; the law of many countries wants one", "set NEWSLETTER_POSTAL_ADDRESS"
        )
    if not settings.base_url.startswith("https://"):
        yield Finding(
            "base URL",
            Level.WARNING,
            f"{settings.base_url} is not https, which one-click unsubscribe needs (RFC 8058)",
            "set NEWSLETTER_BASE_URL to the public https address",
        )
    yield _signatures(settings)


def _signatures(settings: Settings) -> Finding:
    try:
        signer = signer_of(settings)
    except InvalidError as error:
        return Finding("DKIM", Level.ERROR, str(error), "until it is mended no mail goes out")
    if signer is None:
        return Finding(
            "DKIM",
            Level.WARNING,
            "no key: mail goes out unsigned, and large providers refuse unsigned bulk mail",
            "unless the relay signs: run `newsletter dkim keygen`, publish its record, set NEWSLETTER_DKIM_KEYS",
        )
    domain = signer.domain_for(settings.sender)
    found = ", ".join(f"{key.selector}._domainkey.{domain} ({key.algorithm})" for key in signer.keys)
    if all(key.algorithm != "rsa-sha256" for key in signer.keys):
        return Finding("DKIM", Level.WARNING, f"{found}, which large providers do not read", "add an RSA key beside it")
    return Finding("DKIM", Level.OK, found)


def _signatures_of_lists(settings: Settings, senders: Iterable[str]) -> Iterator[Finding]:
    """Tell of domains that only lists are sent from: the keys must be published there too."""
    try:
        signer = signer_of(settings)
    except InvalidError:
        return
    if signer and (others := {signer.domain_for(each) for each in senders} - {signer.domain_for(settings.sender)}):
        found = f"signed for {', '.join(sorted(others))} too: the same records belong there"
        yield Finding("DKIM of lists", Level.OK, found)


def _sources(app: App) -> Iterator[Finding]:
    """Name the sources that failed again and again, or were closed by their servers; one finding where all is well."""
    polled = [each for each in list_sources(app) if each.poll is not None]
    for each in polled:
        if each.is_sick and each.poll is not None:
            slug = each.count.slug
            found = f"{slug}: {each.poll.problem or each.poll.state_reason}; {each.poll.failures} failures in a row"
            remedy = f"see `newsletter sources show {slug}`; mend its address, or pause or remove it"
            yield Finding("source", Level.WARNING, found, remedy)
    if polled and not any(each.is_sick for each in polled):
        yield Finding("sources", Level.OK, f"{len(polled)} polled")


def _database(app: App) -> Iterator[Finding]:
    if not is_schema_current(app):
        yield Finding("schema", Level.ERROR, "not that of this release", "run `newsletter db upgrade`")
        return
    yield Finding("schema", Level.OK, "that of this release")
    yield Finding("database", Level.OK, app.database.engine.dialect.name)
    with app.reading() as tx:
        drift = abs(database_now(tx.session) - tx.now)
        age = heartbeat_age(tx.session, HEARTBEAT)
        senders = [each.from_address for each in load_lists(tx.session)]
    if drift > DRIFT_ALLOWED:
        yield Finding("clock", Level.WARNING, f"{drift} apart from the database's", "set both by NTP, or drop --now")
    else:
        yield Finding("clock", Level.OK, "as the database's")
    if age is None or age > LATE_AFTER:
        told = "never ticked" if age is None else f"last tick {age.total_seconds():.0f} s ago"
        remedy = "run `newsletter up`" if app.settings.is_embedded else "run `newsletter tick` and a worker for it"
        level = Level.WARNING if app.settings.is_embedded else Level.ERROR  # a command alone is no broken service
        yield Finding("tick", level, told, remedy)
    else:
        yield Finding("tick", Level.OK, f"{age.total_seconds():.0f} s ago")
    yield from _signatures_of_lists(app.settings, senders)
    yield from _durability(app)
    alarms = find_alarms(app)
    if not alarms:
        yield Finding("queues", Level.OK, "nothing waits that should have gone")
    for alarm in alarms:
        level = Level.ERROR if alarm.is_urgent else Level.WARNING
        yield Finding(alarm.name.value.replace("_", " "), level, alarm.found, alarm.remedy)
    yield from _sources(app)


def _durability(app: App) -> Iterator[Finding]:
    with app.reading() as tx:
        off = ", ".join(lineage.settings_that_lose_commits(tx.session))
    if off:
        told = f"PostgreSQL may forget commits when it loses power, and mail may go twice then; off: {off}"
        yield Finding("durability", Level.ERROR, told, "set them on, for this database and this user too")


def _broker(settings: Settings) -> Iterator[Finding]:
    if settings.is_embedded:
        return
    if problem := probe_broker(settings.broker_url):
        yield Finding("broker", Level.ERROR, problem, "start it, or correct NEWSLETTER_BROKER_URL; nothing is lost")
    else:
        yield Finding("broker", Level.OK, "answers")


def _probe(relay: Relay, settings: Settings) -> str | TransientError:
    """Return what *relay* calls itself, or why it cannot be had."""
    try:
        return probe_relay(relay, hello_name=settings.domain)
    except TransientError as error:
        return error


def _relays(probed: Mapping[Relay, str | TransientError]) -> Iterator[Finding]:
    if not probed:
        yield Finding("relay", Level.WARNING, "none: mail waits in the queue", "set NEWSLETTER_SMTP_URL")
    for relay, said in probed.items():
        if isinstance(said, TransientError):
            yield Finding("relay", Level.ERROR, str(said), "start it, or correct NEWSLETTER_SMTP_URL")
        else:
            yield Finding("relay", Level.OK, f"{relay.name} answers")


def _dns(app: App, relays: Mapping[Relay, str]) -> Iterator[Finding]:
    try:
        for check, judged in judge_dns(app.settings, _senders(app), relays):
            level = Level.ERROR if judged.is_serious else Level.WARNING if judged.remedy else Level.OK
            yield Finding(check, level, judged.found, judged.remedy)
    except InvalidError as error:
        yield Finding("DNS", Level.ERROR, str(error), "correct it, or leave it out")


def _senders(app: App) -> list[str]:
    """Return the From addresses of lists; none where the database cannot say, which is told of elsewhere."""
    try:
        if not is_schema_current(app):
            return []
        with app.reading() as tx:
            return [each.from_address for each in load_lists(tx.session)]
    except NewsletterError:
        return []
