import pytest
from prometheus_client.parser import text_string_to_metric_families
from web_visitors import Browser

from newsletter.services.context import App
from newsletter.services.tick import HEARTBEAT
from newsletter.storage.engine import connect
from newsletter.storage.heartbeats import beat
from newsletter.storage.subscriptions import SubscriptionState


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request):
    return request.getfixturevalue(f"{request.param}_database")


def samples(browser: Browser) -> dict[str, float]:
    text = browser.get("/metrics").text
    return {
        "/".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_process_that_runs_is_live_whatever_its_database_does(app, tmp_path):
    broken = App(app.settings, connect(f"sqlite:///{tmp_path}/empty.db"), app.clock, app.dispatcher)
    browser = Browser(broken)

    assert 200 == browser.get("/health/live").status_code
    assert (503, "unreachable") == (
        browser.get("/health/ready").status_code,
        browser.get("/health/ready").json()["database"],
    )
    broken.database.dispose()


def test_readiness_tells_how_long_ago_the_tick_ran(app):
    never = Browser(app).get("/health/ready")
    with app.transaction() as tx:
        beat(tx.session, HEARTBEAT)
    just_now = Browser(app).get("/health/ready")

    assert (200, "late", None) == (never.status_code, never.json()["tick"], never.json()["tick_age_seconds"])
    assert (200, "ok") == (just_now.status_code, just_now.json()["tick"])
    assert 0 <= just_now.json()["tick_age_seconds"] < 60


def test_measures_count_by_state_and_name_what_is_not_there(browser, sign_up, newsroom):
    sign_up()
    with newsroom.transaction() as tx:
        beat(tx.session, HEARTBEAT)
    found = samples(browser)

    assert 1 == found["newsletter_deliveries/queued"]
    assert 0 == found["newsletter_deliveries/in_doubt"]
    assert 0 == found["newsletter_editions/done"]
    assert 0 == found["newsletter_edition_deliveries_total/accepted"]
    assert 1 == found[f"newsletter_subscriptions/{SubscriptionState.UNCONFIRMED}"]
    assert 0 <= found["newsletter_oldest_due_seconds/transactional"] < 60
    assert 0 == found["newsletter_oldest_due_seconds/bulk"]
    assert 0 <= found["newsletter_heartbeat_age_seconds/tick"] < 60


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("172.18.0.9", {}, 200),
        ("fd00::9", {}, 200),
        ("8.8.8.8", {}, 403),
        ("2001:4860:4860::8888", {}, 403),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, 403),
        ("10.0.0.1", {"forwarded": "for=8.8.8.8"}, 403),
        ("172.18.0.9", {"x-forwarded-proto": "https"}, 403),
        ("unix", {}, 403),
    ],
)
def test_measures_are_for_who_stands_beside_the_server(app, host, headers, status):
    """Asked before and after a sign-up, they would tell a stranger whether its address was new to us."""
    answer = Browser(app, host=host).get("/metrics", headers=headers)

    assert status == answer.status_code
    assert (status == 200) == ("newsletter_subscriptions" in answer.text)


def test_robots_are_kept_from_readers_links(browser):
    assert "Disallow: /unsubscribe/" in browser.get("/robots.txt").text
