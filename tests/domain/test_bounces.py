from datetime import UTC, datetime, timedelta

import pytest

from newsletter.domain.bounces import Returned, is_given_up

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def mails(*days: int, status: str | None = "4.2.2") -> list[Returned]:
    return [Returned(NOON - timedelta(days=day), status) for day in days]


@pytest.mark.parametrize(
    ("returned", "given_up"),
    [
        (mails(0, 7, 14, 21, 28), True),
        (mails(0, 7, 14, 21), False),
        (mails(*range(14)), False),
        (mails(*range(15)), True),
        (mails(0, 7, 14, 21, 28, status="5.2.2"), True),
        (mails(0, 7, 14, 21, 28, status="5.7.1"), False),
        (mails(0, 7, 14, 21, 28, status="5.3.4"), False),
        (mails(0, 7, 14, 21, 28, status=""), False),
        (mails(0, 7) + mails(10, status=None) + mails(14, 21, 28), False),
        (mails(0, 7) + mails(10, status="5.7.1") + mails(14, 21, 28), True),
        ([], False),
    ],
)
def test_an_address_is_given_up_when_mails_in_a_row_came_back_for_two_weeks(returned, given_up):
    assert given_up == is_given_up(returned)
