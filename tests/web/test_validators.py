"""Conditional requests and codings, as readers and proxies really send them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.web.validators import Coding, choose_coding, http_date, is_not_modified, parse_date

NOON = datetime(2026, 3, 16, 12, tzinfo=UTC)
ETAG = "0123456789abcdef"


def answer(if_none_match=None, if_modified_since=None) -> bool:
    return is_not_modified(
        if_none_match=if_none_match, if_modified_since=if_modified_since, etag=ETAG, last_modified=NOON
    )


@pytest.mark.parametrize(
    "value",
    [
        f'"{ETAG}"',
        f'"{ETAG}-gz"',
        f'W/"{ETAG}"',
        f'W/"{ETAG}-gz"',
        f'"{ETAG}-gzip"',
        f'"{ETAG}-gz-gzip"',
        f'"{ETAG};gzip"',
        f'"{ETAG}-br"',
        f"{ETAG}",
        f'"other", W/"{ETAG}-gz" ,"another"',
        f'"other","{ETAG}"',
        "*",
        ' "other" , *',
    ],
)
def test_a_tag_of_any_representation_of_these_bytes_counts(value):
    assert answer(value)


@pytest.mark.parametrize("value", ["", '""', '"other"', f'"{ETAG}x"', f'"x{ETAG}"', f'"{ETAG}-gzx"', ",,,", "W/", '"'])
def test_another_tag_does_not_count(value):
    assert not answer(value)


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param(http_date(NOON), True, id="equal"),
        pytest.param(http_date(NOON + timedelta(days=400)), True, id="later"),
        pytest.param(http_date(NOON - timedelta(seconds=1)), False, id="earlier"),
        pytest.param("Monday, 16-Mar-26 12:00:00 GMT", True, id="RFC 850"),
        pytest.param("Mon Mar 16 12:00:00 2026", True, id="asctime"),
        pytest.param("Mon, 16 Mar 2026 18:00:00 +0600", True, id="another zone"),
        pytest.param("yesterday", False, id="garbage"),
        pytest.param("Mon, 99 Mar 2026 12:00:00 GMT", False, id="no such day"),
        pytest.param("", False, id="empty"),
        pytest.param("Mon, 16 Mar 99999999 12:00:00 GMT", False, id="no such year"),
    ],
)
def test_a_date_alone_is_enough(since, expected):
    assert expected is answer(if_modified_since=since)


def test_the_tag_wins_over_the_date():
    assert not answer('"other"', http_date(NOON + timedelta(days=1)))
    assert answer(f'"{ETAG}"', http_date(NOON - timedelta(days=1)))
    assert not answer()


@given(st.text(), st.text())
def test_no_header_is_too_strange(tag, date):
    answer(tag, date)
    answer(None, date)
    choose_coding(tag)


@pytest.mark.parametrize("value", [f'"{"-gz" * 20_000}x"', '"' * 60_000, " " * 60_000 + "a b", "," * 60_000])
def test_a_long_header_takes_no_time(value):
    assert not answer(value)
    assert Coding.PLAIN is choose_coding(value)


@given(st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  hypothesis adds the zone
def test_dates_come_back(moment):
    assert moment.replace(microsecond=0) == parse_date(http_date(moment))


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        (None, ""),
        ("", ""),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, *;q=0.5", "gzip"),
        ("gzip; q=0.5", "gzip"),
        ("gzip;q=0", ""),
        ("gzip;q=0.000", ""),
        ("gzip;q=0.5, identity", ""),
        ("gzip;q=0.5, identity;q=0.5", "gzip"),
        ("identity", ""),
        ("identity;q=0", "gzip"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("identity;q=0, gzip;q=0", ""),
        ("*", "gzip"),
        ("*;q=0", ""),
        ("*;q=0, gzip", "gzip"),
        ("br, *;q=0", "br"),
        ("br;q=0.9, gzip", "gzip"),
        ("br, gzip;q=0.5", "br"),
        ("br;q=0, gzip;q=0", ""),
        ("br;q=0.5, identity", ""),
        ("identity;q=0, br;q=0.1", "br"),
        ("deflate", ""),
        ("gzip;q=abc", ""),
        ("gzip;q=7", ""),
        ("compress;q=0.5, gzip;q=1.0", "gzip"),
    ],
)
def test_codings_are_chosen_by_weight(accept_encoding, expected):
    assert expected == choose_coding(accept_encoding)
