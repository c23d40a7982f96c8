"""Whoever tries the demo can sign in at the console, the second time in the same home too."""

import pytest

from newsletter.demo.desk import open_desk
from newsletter.domain.staff import Role
from newsletter.services import staff
from newsletter.services.context import App


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_account_shown_last_is_an_operator_s(app: App):
    first, second = open_desk(app), open_desk(app)
    opened = staff.sign_in(app, second.email, second.password, network="127.0.0.0/24")

    assert isinstance(opened, staff.SignedIn)
    assert Role.OPERATOR is opened.account.role
    assert staff.sign_in(app, first.email, first.password, network="127.0.0.0/24") is None
