"""Canaries: the rest of an edition waits for what becomes of its first mails, and no reader is mailed twice for it."""

import threading

import pytest
from answering import answer, begin, states, tell
from newsroom import Newsroom

from newsletter.dispatch import Doorbell
from newsletter.domain.editions import EditionState
from newsletter.domain.replies import Verdict
from newsletter.errors import InvalidError
from newsletter.services.canaries import judge_canaries
from newsletter.services.editions import finish_editions, pause_edition, resume_edition
from newsletter.services.lists import set_canary
from newsletter.storage.canaries import load_canary


def an_edition(newsroom: Newsroom, *, canary: str = "5", readers: int = 20, limit_percent: float | None = None) -> int:
    """Return an edition that is being sent to so many readers, of a list with a canary."""
    set_canary(newsroom.app, "weekly", canary=canary, limit_percent=limit_percent)
    newsroom.subscribe(*(f"reader{number}" for number in range(readers)))
    newsroom.publish("A story")
    return newsroom.fan_out()


def judged(newsroom: Newsroom) -> list[int]:
    """Judge all canaries; return the editions judged."""
    return judge_canaries(newsroom.app)


def test_the_rest_waits_for_the_canary(newsroom: Newsroom) -> None:
    """Five go; until they are answered nothing else does, however often a worker looks."""
    edition_id = an_edition(newsroom)
    begun = begin(newsroom)

    assert len(begun) == 5
    assert begin(newsroom) == []
    assert judged(newsroom) == []
    assert newsroom.state(edition_id) is EditionState.SENDING


@pytest.mark.slow
def test_a_canary_that_came_through_lets_the_rest_go(newsroom: Newsroom) -> None:
    """By itself, and the workers are rung for."""
    edition_id = an_edition(newsroom)
    answer(newsroom)
    newsroom.app.dispatcher.rings.clear()

    assert judged(newsroom) == [edition_id]
    assert Doorbell.SEND_BULK in [ring.doorbell for ring in newsroom.app.dispatcher.rings]
    assert answer(newsroom) == 15
    assert states(newsroom, edition_id) == {"accepted": 20}
    assert judged(newsroom) == []


@pytest.mark.slow
@pytest.mark.parametrize("verdict", [Verdict.RECIPIENT_FAILED, Verdict.POLICY_REFUSED, Verdict.IN_DOUBT])
def test_a_canary_that_failed_pauses_the_edition_with_the_reason(newsroom: Newsroom, verdict: Verdict) -> None:
    """One of five is more than five in a hundred."""
    edition_id = an_edition(newsroom)
    answer(newsroom, verdict)

    assert judged(newsroom) == [edition_id]
    edition = newsroom.edition(edition_id)
    assert edition.state is EditionState.PAUSED
    assert edition.paused_by is None
    assert "of the first 5 mails 1 came to no good" in str(edition.pause_reason)
    assert begin(newsroom) == []


@pytest.mark.slow
def test_a_list_says_how_much_may_fail(newsroom: Newsroom) -> None:
    """One in five may here."""
    edition_id = an_edition(newsroom, limit_percent=20)
    answer(newsroom, Verdict.RECIPIENT_FAILED)

    assert judged(newsroom) == [edition_id]
    assert newsroom.state(edition_id) is EditionState.SENDING


@pytest.mark.slow
def test_it_is_paused_before_all_have_answered(newsroom: Newsroom) -> None:
    """What is lost already waits for nobody."""
    edition_id = an_edition(newsroom)
    answer(newsroom, Verdict.POLICY_REFUSED, most=1)

    assert judged(newsroom) == [edition_id]
    assert newsroom.state(edition_id) is EditionState.PAUSED


def test_mail_that_came_back_unanswered_is_made_up_for(newsroom: Newsroom) -> None:
    """A relay that broke off says nothing about the edition; as many go again."""
    edition_id = an_edition(newsroom)
    answer(newsroom, Verdict.RELAY_DEFERRED, Verdict.UNSENT)

    assert judged(newsroom) == []
    assert answer(newsroom) == 2
    assert judged(newsroom) == [edition_id]
    assert newsroom.state(edition_id) is EditionState.SENDING


@pytest.mark.slow
def test_a_resumed_edition_sends_another_canary_whose_answers_alone_count(newsroom: Newsroom) -> None:
    """Somebody mended what was wrong; whether it is, five mails say, not twenty."""
    edition_id = an_edition(newsroom)
    answer(newsroom, *[Verdict.POLICY_REFUSED] * 5)
    judged(newsroom)
    resume_edition(newsroom.app, edition_id)

    assert newsroom.edition(edition_id).pause_reason is None
    assert answer(newsroom) == 5
    assert judged(newsroom) == [edition_id]
    newsroom.make_due()
    assert answer(newsroom) == 15
    assert states(newsroom, edition_id) == {"accepted": 20}


def test_staff_may_let_the_rest_go_without_another(newsroom: Newsroom) -> None:
    """They know better."""
    edition_id = an_edition(newsroom)
    answer(newsroom, Verdict.RECIPIENT_FAILED)
    judged(newsroom)
    resume_edition(newsroom.app, edition_id, canary="none")

    assert answer(newsroom) == 15


@pytest.mark.slow
def test_an_edition_that_staff_paused_goes_on_with_what_is_left_of_its_canary(newsroom: Newsroom) -> None:
    """The pause was about something else; a canary begins anew, since the pause may have mended or broken anything."""
    edition_id = an_edition(newsroom)
    answer(newsroom, most=3)
    pause_edition(newsroom.app, edition_id, reason="a typo")
    resume_edition(newsroom.app, edition_id)

    assert answer(newsroom) == 5
    assert judged(newsroom) == [edition_id]


def test_a_small_edition_has_no_canary(newsroom: Newsroom) -> None:
    """Nine readers and a canary of five: all at once."""
    edition_id = an_edition(newsroom, readers=9)

    assert answer(newsroom) == 9
    assert finish_editions(newsroom.app) == [edition_id]
    assert states(newsroom, edition_id) == {"accepted": 9}


@pytest.mark.slow
def test_several_workers_together_send_one_canary(newsroom: Newsroom) -> None:
    """They claim at the same moment."""
    an_edition(newsroom, readers=60, canary="20")
    begun: list[int] = []

    def work() -> None:
        begun.extend(len(begin(newsroom, 3)) for _ in range(6))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while more := len(begin(newsroom)):
        begun.append(more)

    assert sum(begun) == 20


@pytest.mark.slow
def test_two_judges_are_one(newsroom: Newsroom) -> None:
    """Each slice and each sweep judges."""
    edition_id = an_edition(newsroom)
    answer(newsroom)
    found: list[int] = []

    def look() -> None:
        found.extend(judged(newsroom))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [edition_id]


@pytest.mark.slow
def test_late_answers_count_as_what_they_became(newsroom: Newsroom) -> None:
    """A mail under way holds the judgement up."""
    edition_id = an_edition(newsroom)
    begun = begin(newsroom)
    tell(newsroom, begun[:4])

    assert judged(newsroom) == []
    tell(newsroom, begun[4:])
    assert judged(newsroom) == [edition_id]


@pytest.mark.parametrize(("canary", "limit_percent"), [("half", None), ("5", 101.0), ("0", None)])
def test_what_is_no_canary_is_refused(newsroom: Newsroom, canary: str, limit_percent: float | None) -> None:
    """Before anything is stored."""
    with pytest.raises(InvalidError):
        set_canary(newsroom.app, "weekly", canary=canary, limit_percent=limit_percent)


@pytest.mark.slow
def test_none_takes_a_canary_away(newsroom: Newsroom) -> None:
    """From the next edition on."""
    set_canary(newsroom.app, "weekly", canary="5", limit_percent=None)
    edition_id = an_edition(newsroom, canary="none")

    assert answer(newsroom) == 20
    with newsroom.app.reading() as tx:
        assert load_canary(tx.session, edition_id).told is None  # type: ignore[union-attr]  # it is there
