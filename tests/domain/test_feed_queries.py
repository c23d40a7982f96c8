"""Combinations by address, archives by month, and what WebSub grants: decisions without a database."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.domain.feeds import (
    MOST_CHOSEN,
    FeedQuery,
    custom_slug,
    newest_archive,
    period_of,
    period_span,
)
from newsletter.domain.websub import (
    RETRIES,
    HubRequest,
    Mode,
    denial_url,
    is_confirmed,
    next_try,
    read_request,
    signature,
    verification_url,
)


def parse(text: str) -> FeedQuery:
    return FeedQuery.parse(text, default_language="en")


@given(st.text(max_size=300))
def test_an_address_is_its_own_canonical_form(text):
    """Whatever was asked, the second look changes nothing: there is never a second redirect."""
    try:
        once = parse(text)
    except ValueError:
        return

    assert once == parse(once.text)
    assert once.text == parse(once.text).text
    assert once.text.isascii()


@given(st.lists(st.tuples(st.sampled_from(["topic", "kind", "source"]), st.sampled_from("abcdef"))), st.randoms())
def test_order_and_repetition_change_no_address(pairs, chance):
    mixed = [*pairs, *pairs[:3]]
    chance.shuffle(mixed)

    assert parse("&".join("=".join(pair) for pair in pairs)) == parse("&".join("=".join(pair) for pair in mixed))


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("", "all-en"),
        ("lang=RU", "all-ru"),
        ("topic=health", "topic-health-en"),
        ("kind=press_release&lang=ky", "kind-press-release-ky"),
        ("list=weekly", "list-weekly-en"),
        ("topic=health&topic=health", "topic-health-en"),
        ("topic=health&topic=water", None),
        ("topic=health&kind=story", None),
        ("source=wire", None),
    ],
)
def test_what_a_named_feed_says_is_that_feed(text, slug):
    assert slug == parse(text).named_slug


def test_a_feed_has_bounds():
    parse("&".join(f"topic=t{n}" for n in range(MOST_CHOSEN)))
    for text in (
        "&".join(f"topic=t{n}" for n in range(MOST_CHOSEN + 1)),
        "lang=en&lang=ru",
        "list=a&list=b",
        "a=b&" * 500,
    ):
        with pytest.raises(ValueError, match=r"too many|one language"):
            parse(text)


def test_no_combination_has_the_slug_of_a_named_feed():
    assert "_" in custom_slug("topic=health&lang=en")
    assert custom_slug("topic=health&lang=en") != custom_slug("topic=health&lang=ru")


@pytest.mark.parametrize(
    ("period", "begins", "ends"),
    [
        ("2026-01", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
        ("2025-12", datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_period_is_a_month(period, begins, ends):
    assert (begins, ends) == period_span(period)
    assert period == period_of(begins) == period_of(ends - timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("older", "expected"),
    [
        ([], None),
        ([(3, 1)], None),
        ([(3, 1), (2, 28)], "2026-02"),
        ([(1, 5), (2, 1)], "2026-02"),
        ([(1, 5)], "2026-01"),
    ],
)
def test_the_newest_month_that_is_over_and_goes_on_is_named(older, expected):
    newest = datetime(2026, 3, 16, tzinfo=UTC)

    assert expected == newest_archive(newest, [datetime(2026, month, day, tzinfo=UTC) for month, day in older])


def test_parameters_stand_behind_those_of_the_callback():
    request = HubRequest(Mode.SUBSCRIBE, "https://a.example/f?x=1&y=2", "https://b.example/hook?key=%20z&key=2")
    url = verification_url(request, "c/h")

    assert url == (
        "https://b.example/hook?key=%20z&key=2&hub.mode=subscribe&hub.topic=https%3A%2F%2Fa.example%2Ff%3Fx%3D1%26y%3D2"
        "&hub.challenge=c%2Fh&hub.lease_seconds=864000"
    )
    assert "hub.mode=denied" in denial_url(request, "why")
    assert "lease" not in verification_url(HubRequest(Mode.UNSUBSCRIBE, "t", "https://b.example/"), "c")


@pytest.mark.parametrize(
    ("status", "body", "confirmed"),
    [
        (200, b"abc", True), (204, b"abc", True), (299, b"abc\n", True),
        (200, b"ab", False), (301, b"abc", False), (404, b"abc", False),
    ],
)  # fmt: skip
def test_only_the_challenge_with_success_confirms(status, body, confirmed):
    assert confirmed is is_confirmed(status, body, "abc")


@given(
    st.dictionaries(
        st.sampled_from(["hub.mode", "hub.topic", "hub.callback", "hub.secret", "hub.lease_seconds"]), st.text()
    )
)
def test_no_form_is_too_strange(form):
    try:
        request = read_request(form)
    except ValueError:
        return

    assert timedelta(hours=1) <= request.lease <= timedelta(days=30)


def test_retries_grow_and_end():
    waits = [next_try(number, jitter=0) for number in range(1, len(RETRIES) + 2)]

    assert [*RETRIES, None] == waits
    assert RETRIES[0] * 1.1 == next_try(1, jitter=1)


def test_a_signature_is_that_of_the_specification():
    """RFC 4231, test case 2."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"

    assert f"sha256={expected}" == signature("Jefe", b"what do ya want for nothing?")
