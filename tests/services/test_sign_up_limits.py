"""A sign-up form is a weapon: how little it can do to whoever's address is typed into it, however often."""

from dataclasses import replace

import pytest
from newsroom import DAY, HOUR, Newsroom, read

from newsletter.domain.addresses import AddressPolicy
from newsletter.domain.deliveries import Pool
from newsletter.mail.addresses import parse_address
from newsletter.services.confirmations import confirm
from newsletter.services.sign_ups import SIGN_UP_SPANS, SignUpRequest, Wish, refused_by_policy, subscribe


def sign_up(newsroom: Newsroom, name: str, *, network: str = "192.0.2.0/24", slug: str = "weekly") -> None:
    request = SignUpRequest(
        address=f"{name}@readers.example", wishes=[Wish(slug)], language="en", basis="", evidence="", network=network
    )
    subscribe(newsroom.app, request)


def limited(newsroom: Newsroom, **limits: int) -> None:
    newsroom.app = replace(newsroom.app, settings=newsroom.app.settings.model_copy(update=limits))


def subjects(newsroom: Newsroom) -> dict[str, list[str]]:
    newsroom.send(Pool.TRANSACTIONAL)
    return {name: [read(each)["subject"] for each in mails] for name, mails in newsroom.mails().items()}


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_ten_thousand_sign_ups_of_one_address_send_one_mail(mailing_newsroom):
    limited(mailing_newsroom, sign_ups_per_network=10**6, sign_ups_overall=10**6)
    mailing_newsroom.add_list("daily")
    for number in range(10_000):
        network = f"10.{number // 256}.{number % 256}.0/24"
        sign_up(mailing_newsroom, "victim", network=network, slug=("weekly", "daily")[number % 2])

    assert {"victim": 1} == {name: len(mails) for name, mails in subjects(mailing_newsroom).items()}


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_ten_thousand_sign_ups_of_one_network_send_the_allowed_few(mailing_newsroom):
    limited(mailing_newsroom, sign_ups_per_network=3)
    for number in range(10_000):
        sign_up(mailing_newsroom, f"reader{number}")

    assert ["reader0", "reader1", "reader2"] == sorted(subjects(mailing_newsroom))


@pytest.mark.slow
def test_a_network_may_go_on_in_the_next_hour_within_the_days_limit(newsroom):
    limited(newsroom, sign_ups_per_network=2)
    for hour in range(6):
        for number in range(3):
            sign_up(newsroom, f"r{hour}-{number}")
        newsroom.move(HOUR)
    first_day = len(newsroom.deliveries())
    newsroom.move(DAY)
    sign_up(newsroom, "tomorrow")

    assert 2 * dict(SIGN_UP_SPANS)[DAY] == first_day
    assert first_day + 1 == len(newsroom.deliveries())


def test_one_network_cannot_use_up_the_limit_of_all(newsroom):
    limited(newsroom, sign_ups_overall=4, sign_ups_per_network=2)
    for number in range(20):
        sign_up(newsroom, f"flood{number}")
    sign_up(newsroom, "aida", network="198.51.100.0/24")

    assert {"flood0", "flood1", "aida"} == set(newsroom.deliveries())


def test_all_networks_together_have_a_limit_too(newsroom):
    limited(newsroom, sign_ups_overall=2)
    for number in range(5):
        sign_up(newsroom, f"reader{number}", network=f"10.0.{number}.0/24")

    assert {"reader0", "reader1"} == set(newsroom.deliveries())


@pytest.mark.slow
def test_who_is_subscribed_is_told_so_and_counts_as_asked(mailing_newsroom):
    sign_up(mailing_newsroom, "aida")
    confirm(mailing_newsroom.app, mailing_newsroom.subscription("aida").uid, evidence="")
    subjects(mailing_newsroom)
    mailing_newsroom.move(2 * DAY)
    for _ in range(3):
        sign_up(mailing_newsroom, "aida")

    assert {"aida": ["Please confirm: The weekly", "You are subscribed already: The weekly"]} == subjects(
        mailing_newsroom
    )


@pytest.mark.parametrize(
    ("address", "changes", "policy"),
    [
        ("a@example.org", {}, None),
        ("a@mailinator.com", {}, AddressPolicy.DOMAIN),
        ("a@below.MAILINATOR.com", {}, AddressPolicy.DOMAIN),
        ("a@notmailinator.com", {}, None),
        ("a@mailinator.com", {"refuse_disposable": False}, None),
        ("a@dept.example.org", {"refused_domains": frozenset({"example.org"})}, AddressPolicy.DOMAIN),
        ("info@example.org", {}, None),
        ("Info+x@example.org", {"refuse_roles": True}, AddressPolicy.ROLE),
        ("information@example.org", {"refuse_roles": True}, None),
    ],
)
def test_a_newsroom_says_whose_addresses_it_takes(settings, address, changes, policy):
    assert policy is refused_by_policy(settings.model_copy(update=changes), parse_address(address))
