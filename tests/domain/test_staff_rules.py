"""Roles, passwords and the end of sessions."""

from datetime import UTC, datetime, timedelta

import pytest

from newsletter.domain.staff import SESSION_IDLE, SESSION_LIFETIME, Role, account_key, is_live, refuse_password

NOON = datetime(2026, 3, 16, 12, tzinfo=UTC)
MOMENT = timedelta(seconds=1)


def test_an_operator_may_what_an_editor_may_and_not_the_other_way_round():
    allowed = {(role, needed) for role in Role for needed in Role if role.covers(needed)}

    assert {(Role.EDITOR, Role.EDITOR), (Role.OPERATOR, Role.EDITOR), (Role.OPERATOR, Role.OPERATOR)} == allowed


@pytest.mark.parametrize(
    ("age", "idle", "live"),
    [
        (timedelta(), timedelta(), True),
        (SESSION_LIFETIME - MOMENT, SESSION_IDLE - MOMENT, True),
        (SESSION_LIFETIME, timedelta(), False),
        (SESSION_IDLE, SESSION_IDLE, False),
    ],
)
def test_a_session_ends_after_a_day_of_work_and_after_two_idle_hours(age, idle, live):
    assert live == is_live(created_at=NOON - age, used_at=NOON - idle, now=NOON)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("three plain words", None),
        ("парольчик из слов", None),
        ("x" * 201, "12 to 200"),
        ("elevenchars", "12 to 200"),
        ("abababababab", "guessed"),
        ("Aida-aida-2026", "guessed"),
    ],
)
def test_a_password_is_long_and_no_guess(password, why):
    found = refuse_password(password, email="aida@example.org")

    assert found is None if why is None else why in str(found)


def test_an_address_is_one_account_however_it_is_written():
    assert account_key("aida@example.org") == account_key(" Aida@Example.ORG ")
