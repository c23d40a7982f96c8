"""The archive as anybody sees it: no reader's controls in a mail, and nothing of a hidden list but by its address."""

import ast
import re
from pathlib import Path

import pytest
from newsroom import Newsroom, text_of

from newsletter.errors import NotFoundError
from newsletter.services.archive import list_public_pages, view_edition


@pytest.fixture
def hidden(mailing_newsroom: Newsroom) -> tuple[Newsroom, list[str]]:
    """A newsroom whose hidden list sent an edition, and the address in it, in parts: slot, language, key."""
    mailing_newsroom.add_list("staff", is_public=False)
    mailing_newsroom.subscribe("aida", slug="staff")
    mailing_newsroom.publish("One")
    mailing_newsroom.fan_out("staff")
    mailing_newsroom.send()
    [mail] = mailing_newsroom.mails()["aida"]
    found = re.search(r"/archive/staff/(\S+)", text_of(mail))
    assert found is not None
    return mailing_newsroom, found[1].split("/")


def test_who_was_sent_an_edition_of_a_hidden_list_can_look_at_it(hidden):
    newsroom, address = hidden
    with newsroom.app.reading() as tx:
        view = view_edition(tx, "staff", *address)

    assert "One" in view.html


@pytest.mark.slow
@pytest.mark.parametrize("guess", ["", "digest", "digest-", "digest-0000000000000000"])
def test_nobody_guesses_the_way_to_a_hidden_list(hidden, guess):
    newsroom, (slot, language, key) = hidden
    wanted = guess.replace("digest", key.partition("-")[0]) or None
    with newsroom.app.reading() as tx, pytest.raises(NotFoundError):
        view_edition(tx, "staff", slot, language, wanted)
    assert not [page for page in list_public_pages(newsroom.app) if "staff" in page.path]


def test_in_the_place_of_a_readers_controls_one_can_subscribe(newsroom):
    newsroom.subscribe("aida")
    newsroom.publish("One")
    edition = newsroom.edition(newsroom.fan_out())
    with newsroom.app.reading() as tx:
        html = view_edition(tx, "weekly", edition.slot_key, "en").html
    links = re.findall(r'<a [^>]*href="([^"]+)"[^>]*>([^<]*)</a>', html)

    assert 2 == links.count(("https://news.example.org/subscribe?list=weekly&amp;lang=en", "Subscribe"))
    assert "Unsubscribe" not in html
    assert "Change topics" not in html
    assert not re.search(r"Zq\w+qZ", html), "a hole was left open"


@pytest.mark.slow
def test_the_record_of_consent_is_only_ever_added_to():
    """No statement of ours updates or deletes a line of it."""
    wrong = []
    for path in (Path(__file__).parents[2] / "newsletter").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("update", "delete"):
                wrong += [f"{path.name}:{node.lineno}" for each in node.args if ast.unparse(each) == "ConsentRow"]

    assert [] == wrong
