"""Stops: all sending, a list or an edition is held within one micro-batch, with the reason, and goes on as it was."""

import pytest
from answering import answer, begin, states, tell
from newsroom import Newsroom

from newsletter.dispatch import Doorbell
from newsletter.domain.deliveries import Pool
from newsletter.domain.editions import EditionState
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services.audit import list_acts
from newsletter.services.editions import cancel_edition, pause_edition, resume_edition
from newsletter.services.stops import (
    find_halts,
    pause_list,
    pause_sending,
    resume_list,
    resume_sending,
)
from newsletter.storage.lists import load_list
from newsletter.storage.stops import StopKind, put_stop


def an_edition(newsroom: Newsroom, *, slug: str = "weekly") -> int:
    """Return an edition that is being sent to four readers."""
    newsroom.subscribe(*(f"{slug}{number}" for number in range(4)), slug=slug)
    newsroom.publish(f"A story for {slug}")
    return newsroom.fan_out(slug)


def rung(newsroom: Newsroom) -> set[Doorbell]:
    """Return what was rung since this was last asked."""
    found = {ring.doorbell for ring in newsroom.app.dispatcher.rings}
    newsroom.app.dispatcher.rings.clear()
    return found


@pytest.mark.slow
def test_a_stop_of_all_sending_holds_what_is_claimed_already(newsroom: Newsroom) -> None:
    """What is at the relay ends; nothing else is begun, in any lane."""
    edition_id = an_edition(newsroom)
    under_way = begin(newsroom, 1)
    pause_sending(newsroom.app, reason="the wrong list")

    assert begin(newsroom) == []
    assert begin(newsroom, pool=Pool.TRANSACTIONAL) == []
    tell(newsroom, under_way)
    assert states(newsroom, edition_id) == {"accepted": 1, "queued": 3}


@pytest.mark.slow
def test_sending_goes_on_where_it_stopped(newsroom: Newsroom) -> None:
    """And the workers are rung for."""
    edition_id = an_edition(newsroom)
    pause_sending(newsroom.app, reason="the wrong list")
    rung(newsroom)

    assert resume_sending(newsroom.app)
    assert rung(newsroom) == {Doorbell.SEND_BULK, Doorbell.SEND_TRANSACTIONAL}
    assert answer(newsroom) == 4
    assert states(newsroom, edition_id) == {"accepted": 4}
    assert not resume_sending(newsroom.app)


def test_a_second_stop_says_who_stopped_it_and_why(newsroom: Newsroom) -> None:
    """Two people on duty hear of each other."""
    pause_sending(newsroom.app, reason="the wrong list")

    with pytest.raises(ConflictError, match="the wrong list"):
        pause_sending(newsroom.app, reason="too late")
    assert [each.reason for each in find_halts(newsroom.app).stops] == ["the wrong list"]


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_stop_wants_a_reason(newsroom: Newsroom, reason: str) -> None:
    """Whoever is on duty next reads it."""
    with pytest.raises(InvalidError, match="--reason"):
        pause_sending(newsroom.app, reason=reason)
    with pytest.raises(InvalidError, match="--reason"):
        pause_list(newsroom.app, "weekly", reason=reason)


def test_a_person_cannot_lift_the_restore_guards_stop_by_resuming(newsroom: Newsroom) -> None:
    """There is another command for that, which says what it does."""
    with newsroom.app.transaction() as tx:
        put_stop(tx.session, StopKind.RESTORE, reason="an older state was restored", by="the restore guard")

    with pytest.raises(ConflictError, match="acknowledge-restore"):
        resume_sending(newsroom.app)


@pytest.mark.slow
def test_a_paused_list_waits_and_others_do_not(newsroom: Newsroom) -> None:
    """Its edition is composed and its mails are made; they wait."""
    newsroom.add_list("other")
    edition_id, other_id = an_edition(newsroom), an_edition(newsroom, slug="other")
    pause_list(newsroom.app, "weekly", reason="its sender's domain has lapsed")

    assert answer(newsroom) == 4
    assert states(newsroom, edition_id) == {"queued": 4}
    assert states(newsroom, other_id) == {"accepted": 4}
    with newsroom.app.reading() as tx:
        pause = load_list(tx.session, "weekly").pause  # type: ignore[union-attr]  # it is there
    assert pause
    assert pause.reason == "its sender's domain has lapsed"


@pytest.mark.slow
def test_a_list_goes_on(newsroom: Newsroom) -> None:
    """Once; and the workers are rung for."""
    an_edition(newsroom)
    pause_list(newsroom.app, "weekly", reason="why")
    with pytest.raises(ConflictError, match="already"):
        pause_list(newsroom.app, "weekly", reason="why")
    rung(newsroom)

    assert resume_list(newsroom.app, "weekly")
    assert rung(newsroom) == {Doorbell.SEND_BULK}
    assert not resume_list(newsroom.app, "weekly")
    assert answer(newsroom) == 4
    with pytest.raises(NotFoundError):
        pause_list(newsroom.app, "nothing", reason="why")


@pytest.mark.slow
def test_the_reason_of_an_editions_pause_is_shown_until_it_goes_on(newsroom: Newsroom) -> None:
    """And stays on record."""
    edition_id = an_edition(newsroom)
    pause_edition(newsroom.app, edition_id, reason="a wrong name in the lead")

    edition = newsroom.edition(edition_id)
    assert (edition.pause_reason, edition.paused_by) == ("a wrong name in the lead", newsroom.app.actor)
    assert begin(newsroom) == []
    resume_edition(newsroom.app, edition_id)
    assert newsroom.edition(edition_id).pause_reason is None
    acts = [(each.act, each.details.get("reason")) for each in list_acts(newsroom.app, about=f"edition {edition_id}")]
    assert acts[:2] == [("resumed", None), ("paused", "a wrong name in the lead")]


@pytest.mark.slow
def test_a_cancelled_edition_says_why(newsroom: Newsroom) -> None:
    """Long afterwards."""
    edition_id = an_edition(newsroom)
    cancel_edition(newsroom.app, edition_id, reason="the minister resigned")

    edition = newsroom.edition(edition_id)
    assert (edition.state, edition.pause_reason) == (EditionState.CANCELLED, "the minister resigned")
    assert states(newsroom, edition_id) == {"cancelled": 4}
