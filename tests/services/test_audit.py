"""The audit record: who did what, in the transaction that did it."""

from dataclasses import replace

import pytest
from newsroom import Newsroom

from newsletter.domain.audit import Act
from newsletter.errors import ConflictError
from newsletter.services.articles import publish_article, retag_article, staff_edit, withdraw_article
from newsletter.services.audit import list_acts, record_act
from newsletter.services.editions import cancel_edition, pause_edition, resume_edition
from newsletter.services.subscribers import erase_subscriber
from newsletter.services.suppressions import lift_suppression, suppress_address


@pytest.fixture
def newsroom(newsroom: Newsroom) -> Newsroom:
    """The newsroom, with Aida at the keyboard."""
    newsroom.app = replace(newsroom.app, actor="aida")
    return newsroom


def acts(newsroom: Newsroom, about: str) -> list[tuple[str, str]]:
    """Return who did what to something, in order."""
    return [(each.actor, each.act) for each in reversed(list_acts(newsroom.app, about=about, limit=999))]


@pytest.mark.slow
def test_an_edition_tells_who_let_it_go_and_who_stopped_it(newsroom):
    newsroom.publish("A story")
    newsroom.subscribe("ann")
    edition_id = newsroom.fan_out()
    for change in (pause_edition, pause_edition, resume_edition, resume_edition, cancel_edition, cancel_edition):
        change(newsroom.app, edition_id)

    assert [
        ("no review asked", "approved"),
        ("aida", "paused"),
        ("aida", "resumed"),
        ("aida", "cancelled"),
    ] == acts(newsroom, f"edition {edition_id}")


def test_an_article_tells_who_changed_it_and_why(newsroom):
    newsroom.add_topics("water")
    uid = newsroom.publish("A story")
    retag_article(newsroom.app, uid, add=["water"])
    publish_article(newsroom.app, uid, edit=staff_edit(newsroom.app, title="The story"))
    withdraw_article(newsroom.app, uid, reason="it was wrong")
    withdraw_article(newsroom.app, uid, reason="it was wrong")

    assert ["retagged", "published", "withdrawn"] == [act for _, act in acts(newsroom, f"article {uid}")]
    assert acts(newsroom, f"article {uid}") == acts(newsroom, f"article {uid[:8]}"), "the beginning of a uid is enough"
    assert "it was wrong" == list_acts(newsroom.app, about="article")[0].details["reason"]


def test_no_address_is_on_record(newsroom):
    newsroom.subscribe("ann")
    suppress_address(newsroom.app, "ann@readers.example")
    lift_suppression(newsroom.app, "ann@readers.example")
    erase_subscriber(newsroom.app, "ann@readers.example")

    found = list_acts(newsroom.app)
    assert {"imported", "suppressed", "released", "erased"} <= {each.act for each in found}
    assert "readers.example" not in repr([(each.about, dict(each.details)) for each in found])


def test_what_did_not_happen_is_not_on_record(newsroom):
    def fail() -> None:
        with newsroom.app.transaction() as tx:
            record_act(tx, "broken", "edition 1")
            raise ConflictError("no")

    with pytest.raises(ConflictError):
        fail()

    assert [] == acts(newsroom, "edition")


def test_the_record_is_read_by_page_actor_and_noun(newsroom):
    for number in range(1, 13):
        with newsroom.app.transaction() as tx:
            record_act(tx, "done", f"thing {number}", actor="bek" if number % 2 else None)
    first = list_acts(newsroom.app, about="thing", limit=5)
    rest = list_acts(newsroom.app, about="thing", before=first[-1].id, limit=99)

    assert [f"thing {number}" for number in range(12, 0, -1)] == [each.about for each in (*first, *rest)]
    assert 6 == len(list_acts(newsroom.app, about="thing", actor="bek"))
    assert ["thing 1"] == [each.about for each in list_acts(newsroom.app, about="thing 1")], "not 10, 11 and 12"
    assert [] == list_acts(newsroom.app, since=max(each.at for each in first).replace(year=2999))
    assert all(isinstance(each, Act) for each in first)
