"""Providers: domains that one operator runs are one group; nobody else's are."""

import pytest

from newsletter.domain.providers import PROVIDERS, provider_of


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("a@gmail.com", "gmail"),
        ("a@GoogleMail.com", "gmail"),
        ("a@gmail.com.", "gmail"),
        ("a@outlook.com", "microsoft"),
        ("a@hotmail.co.uk", "microsoft"),
        ("a@live.fr", "microsoft"),
        ("a@yahoo.com.br", "yahoo"),
        ("a@aol.com", "yahoo"),
        ("a@yahoo.co.jp", "yahoo_japan"),
        ("a@me.com", "apple"),
        ("a@bk.ru", "mailru"),
        ("a@yandex.kz", "yandex"),
        ("a@ya.ru", "yandex"),
        ("a@web.de", "gmx"),
        ("a@gmx.net", "gmx"),
        ("a@example.org", "other"),
        ("a@mail.gmail.com", "other"),
        ("a@notgmail.com", "other"),
        ("a@hotmail.example.org", "other"),
        ("a@live.museum", "other"),
        ("no address", "other"),
        ("", "other"),
    ],
)
def test_an_address_belongs_to_the_provider_that_receives_its_mail(address: str, provider: str) -> None:
    """By the domain, in whatever letters."""
    assert provider_of(address) == provider
    assert provider in PROVIDERS
