"""Where pages are served is said, and where their links lead."""

import pytest

from newsletter.cli.run import leads_elsewhere


@pytest.mark.parametrize(
    ("base_url", "leads"),
    [
        ("http://localhost:8000", False),
        ("http://127.0.0.1:9000", False),
        ("http://[::1]:8000", False),
        ("https://news.example.org", True),
        ("http://192.0.2.7:8000/news", True),
    ],
)
def test_a_public_address_of_another_place_has_to_lead_here(base_url, leads):
    assert leads == leads_elsewhere(base_url)
