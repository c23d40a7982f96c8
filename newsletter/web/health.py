"""Checks for machines: is the process alive, can it work, and its measures for Prometheus."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from newsletter.services.context import App
from newsletter.services.health import Measures, check_readiness, take_measures
from newsletter.web.visits import Visit, endpoint

log = structlog.get_logger()

FORBIDDEN = 403
PROXIED = (
    *("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"),
    *("cf-connecting-ip", "true-client-ip"),
)
"""Headers by which a proxy tells that somebody else asks."""


def routes(app: App) -> list[Route]:
    """Return the routes of the checks."""
    return [
        Route("/health/live", _live, name="live"),
        Route("/health/ready", endpoint(app, _ready), name="ready"),
        Route("/metrics", endpoint(app, _metrics), name="metrics"),
    ]


async def _live(_: Request) -> Response:
    """Answer as long as the process runs, whatever else is broken: a restart would not mend that."""
    return _plain({"status": "live"})


def _ready(visit: Visit) -> Response:
    """Answer 503 while the database cannot be reached. A late tick is told and still 200: pages and feeds work."""
    try:
        readiness = check_readiness(visit.app)
    except Exception as error:  # noqa: BLE001  whatever the driver raises, the answer is the same
        log.warning("database_unreachable", error=type(error).__name__)
        return _plain({"status": "unavailable", "database": "unreachable"}, status=503)
    age = None if readiness.tick_age is None else round(readiness.tick_age.total_seconds(), 1)
    tick = "late" if readiness.is_tick_late else "ok"
    return _plain({"status": "ready", "database": "ok", "tick": tick, "tick_age_seconds": age})


def _metrics(visit: Visit) -> Response:
    """Tell the measures to who asks from beside the server: a count that grows with a sign-up tells who reads us."""
    if not _is_beside(visit.request):
        return PlainTextResponse("Ask from the server's own network, and not by way of a proxy.\n", FORBIDDEN)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Measured(take_measures(visit.app)))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST, headers={"cache-control": "no-store"})


def _is_beside(request: Request) -> bool:
    """Say whether a request comes from a network that is not public, straight from who asks."""
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return not address.is_global and not any(name in request.headers for name in PROXIED)


class _Measured(Collector):
    """Measures of one moment, as Prometheus' library wants to collect them."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures

    def collect(self) -> Iterator[Metric]:
        """Yield each measure with its help."""
        found = self._measures
        yield _gauge("deliveries", "Deliveries that are not at an end.", "state", found.open_deliveries)
        ended = CounterMetricFamily(
            "newsletter_edition_deliveries", "Deliveries of editions that are done.", labels=["state"]
        )
        for state, count in found.ended_deliveries.items():
            ended.add_metric([state], count)
        yield ended
        yield _gauge("editions", "Editions.", "state", found.editions)
        yield _gauge("subscriptions", "Subscriptions that have not ended.", "state", found.subscriptions)
        due = {str(pool): age.total_seconds() for pool, age in found.oldest_due.items()}
        yield _gauge("oldest_due_seconds", "How long the oldest due delivery has been due.", "pool", due)
        beats = {name: age.total_seconds() for name, age in found.heartbeats.items()}
        yield _gauge("heartbeat_age_seconds", "Time since the last sign of life.", "name", beats)
        yield _gauge("alarms", "What will not mend without a person; see newsletter doctor.", "name", found.alarms)
        yield _gauge("relay_open", "Whether a relay is left alone after failures.", "relay", found.relays_open)


def _gauge(name: str, about: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"newsletter_{name}", about, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _plain(facts: Mapping[str, object], *, status: int = 200) -> Response:
    return JSONResponse(dict(facts), status, headers={"cache-control": "no-store"})
