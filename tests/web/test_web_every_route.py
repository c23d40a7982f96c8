"""Every route, asked what nobody should ask it: never a failure of ours, always the guards."""

import re
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Mount, Route
from web_visitors import OF_A_SUBSCRIPTION

from newsletter.mail.tokens import TokenPurpose
from newsletter.web.application import build_web

ASKED = 400
METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH")
STRANGE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["", "0", "-1", "9" * 40, "..", "%00", "\0", "\u202e", "🙂", "null", "../../etc/passwd", "' OR 1"]),
    st.binary(max_size=20).map(lambda raw: raw.decode("latin-1")),
)
FIELDS = st.sampled_from(
    (
        *("action", "address", "list", "topic", "kind", "language", "cadence", "until", "catch-up", "q", "after"),
        *("before", "lang", "stamp", "preview", "has-lists", "article-language", "cadence-weekly", "as-typed"),
        "List-Unsubscribe",
    )
)
VALUES = st.one_of(
    STRANGE, st.sampled_from(["weekly", "leave-all", "undo", "pause", "lists", "erase", "2026-04-01", "a@gmial.com"])
)


def paths(app, known: dict[str, str]) -> list[str]:
    """Return the path patterns of all pages; tokens that are right stand where one is asked for."""
    found = []
    for route in build_web(app).routes:
        if isinstance(route, Route) and not isinstance(route, Mount):
            first = route.path.split("/")[1]
            found.append(route.path.replace("{token}", known[first]) if first in known else route.path)
    return found


@pytest.mark.slow
def test_no_request_makes_a_page_fail(newsroom, browser, sign_up, path_to):
    waiting = sign_up()
    browser.post(path_to(TokenPurpose.CONFIRM, waiting.uid))
    known = {str(each): path_to(each, waiting.uid).rpartition("/")[2] for each in OF_A_SUBSCRIPTION}
    patterns = paths(newsroom, known)

    @settings(max_examples=ASKED, suppress_health_check=list(HealthCheck), database=None)
    @given(
        where=st.tuples(st.sampled_from(METHODS), st.sampled_from(patterns), STRANGE),
        query=st.lists(st.tuples(FIELDS, VALUES), max_size=4),
        form=st.lists(st.tuples(FIELDS, VALUES), max_size=6),
        header=STRANGE,
    )
    def ask(where, query, form, header):
        method, pattern, place = where
        filled = re.sub(r"{[^}]*}", lambda _: quote(place, safe=""), pattern)
        asked, body = (urlencode(fields, errors="surrogatepass") for fields in (query, form))
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "accept-language": "".join(letter for letter in header if " " <= letter <= "~"),
        }
        content = body.encode() if method == "POST" else b""
        answer = browser.request(method, f"{filled}?{asked}", content=content, headers=headers)

        assert answer.status_code < 500, (method, filled, asked, body)
        assert "content-security-policy" in answer.headers

    ask()


def test_there_are_routes_to_ask(newsroom):
    found = paths(newsroom, {})

    assert {"/", "/subscribe", "/search", "/preferences/{token}", "/unsubscribe/{token}"} <= set(found)
