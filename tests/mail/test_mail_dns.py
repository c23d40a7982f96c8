"""Questions to the DNS; how they are answered is tried with `newsletter doctor`."""

import pytest

from newsletter.errors import InvalidError
from newsletter.mail.dns import Names


@pytest.mark.parametrize("server", ["a-name", "127.0.0.1:x", "300.1.1.1"])
def test_a_name_server_is_an_address(server):
    with pytest.raises(InvalidError, match="NEWSLETTER_DNS_SERVER"):
        Names(server)
