"""Addresses that were probably meant otherwise."""

import pytest

from newsletter.domain.addresses import COMMON_DOMAINS, suggestion


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a@gmial.com", "a@gmail.com"),
        ("a@gmail.co", "a@gmail.com"),
        ("a@GMAIL,com", "a@gmail.com"),
        ("a.b+c@hotmial.com", "a.b+c@hotmail.com"),
        ("a@yahooo.com", "a@yahoo.com"),
        ("a@yandx.ru", "a@yandex.ru"),
        ("a@outlok.com", "a@outlook.com"),
        ("a@example.org", None),
        ("a@mial.ru", None),
        ("a@gmx.co", None),
        ("a@ymail.com", None),
        ("gmial.com", None),
        ("@gmial.com", None),
        ("", None),
    ],
)
def test_one_slip_of_the_finger_is_asked_about(typed: str, meant: str | None):
    assert meant == suggestion(typed)


@pytest.mark.parametrize("domain", COMMON_DOMAINS)
def test_a_common_domain_is_never_taken_for_another(domain: str):
    assert suggestion(f"a@{domain}") is None
