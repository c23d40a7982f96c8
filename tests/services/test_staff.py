"""Accounts and sessions, on both databases; what the console does with them is tested there."""

import threading

import pytest
from argon2 import PasswordHasher

from newsletter.domain.staff import TRIES_AT_ACCOUNT_FROM_NETWORK, Role
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services import staff
from newsletter.services.audit import list_acts
from newsletter.services.staff import SignedIn, TooManyTries
from newsletter.storage.staff import StaffRow, StaffSessionRow

EMAIL = "aida@staff.example"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch):
    """Hash at the lowest cost; what a real hash costs is not what is tested."""
    monkeypatch.setattr(staff, "hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def test_neither_password_nor_session_is_kept_as_it_is(app):
    made = staff.add_account(app, " Aida@Staff.example ", Role.EDITOR)
    signed_in = staff.sign_in(app, "AIDA@staff.example", made.password, network="192.0.2.0/24")
    assert isinstance(signed_in, SignedIn)
    with app.reading() as tx:
        [account] = tx.session.query(StaffRow).all()
        [session] = tx.session.query(StaffSessionRow).all()

    assert EMAIL == account.email
    assert account.password_hash.startswith("$argon2id$")
    assert made.password not in account.password_hash
    assert signed_in.token not in session.token_digest
    assert account.signed_in_at == app.clock()
    assert staff.find_session(app, signed_in.token).email == EMAIL
    assert staff.find_session(app, session.token_digest) is None


def test_an_account_is_made_once_and_changed_by_its_address_only(app):
    staff.add_account(app, EMAIL, Role.EDITOR)

    with pytest.raises(ConflictError):
        staff.add_account(app, EMAIL.upper(), Role.OPERATOR)
    with pytest.raises(InvalidError):
        staff.add_account(app, "no address", Role.EDITOR)
    for change in (staff.reset_password, staff.disable_account, staff.enable_account, staff.sign_out_everywhere):
        with pytest.raises(NotFoundError):
            change(app, "nobody@staff.example")
    assert [(EMAIL, Role.EDITOR)] == [(each.email, each.role) for each in staff.list_accounts(app)]


def test_what_is_done_to_accounts_is_on_record(app):
    staff.add_account(app, EMAIL, Role.EDITOR)
    staff.change_role(app, EMAIL, Role.OPERATOR)
    staff.disable_account(app, EMAIL)
    staff.disable_account(app, EMAIL)
    staff.enable_account(app, EMAIL)
    staff.reset_password(app, EMAIL)
    acts = [each.act for each in list_acts(app, about=f"account {EMAIL}")]

    assert ["reset", "enabled", "disabled", "changed", "added"] == acts


def test_guesses_at_the_same_moment_are_all_counted(app):
    staff.add_account(app, EMAIL, Role.EDITOR)
    answers = []

    def guess() -> None:
        answers.append(staff.sign_in(app, EMAIL, "a guess", network="192.0.2.0/24"))

    threads = [threading.Thread(target=guess) for _ in range(TRIES_AT_ACCOUNT_FROM_NETWORK + 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert TRIES_AT_ACCOUNT_FROM_NETWORK == answers.count(None)
    assert 4 == sum(isinstance(each, TooManyTries) for each in answers)


def test_a_password_hashed_at_lower_cost_is_hashed_anew_when_it_is_right(app, monkeypatch):
    made = staff.add_account(app, EMAIL, Role.EDITOR)
    monkeypatch.setattr(staff, "hasher", PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    staff.sign_in(app, EMAIL, made.password, network="192.0.2.0/24")
    with app.reading() as tx:
        [account] = tx.session.query(StaffRow).all()

    assert "t=2" in account.password_hash
    assert isinstance(staff.sign_in(app, EMAIL, made.password, network="192.0.2.0/24"), SignedIn)
