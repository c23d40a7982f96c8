"""Canaries: how many mails go first, and what their answers say about the rest."""

import pytest

from newsletter.domain.canaries import Answers, Canary, Judgement, judge, parse_canary


@pytest.mark.parametrize(
    ("text", "canary"),
    [
        ("100", Canary(mails=100)),
        ("1%", Canary(percent=1)),
        (" 0.5% ", Canary(percent=0.5)),
        ("50%", Canary(percent=50)),
        ("none", None),
        ("None", None),
    ],
)
def test_a_canary_is_a_number_or_a_share(text: str, canary: Canary | None) -> None:
    """As staff write it."""
    assert parse_canary(text) == canary


@pytest.mark.parametrize("text", ["", "0", "-1", "0%", "51%", "100%", "1 percent", "1.5", "١٠", "9" * 12])
def test_what_is_no_canary_is_refused(text: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValueError, match="1%"):
        parse_canary(text)


@pytest.mark.parametrize(
    ("canary", "total", "size"),
    [
        ("100", 1_000_000, 100),
        ("100", 200, 100),
        ("100", 199, None),
        ("1%", 1_000_000, 10_000),
        ("1%", 500, 20),
        ("1%", 40, 20),
        ("1%", 39, None),
        ("1%", 0, None),
        ("50%", 101, 50),
    ],
)
def test_a_small_edition_goes_at_once(canary: str, total: int, size: int | None) -> None:
    """Where holding back would spare less than half, nothing is held back; a share is at least twenty mails."""
    parsed = parse_canary(canary)
    assert parsed

    assert parsed.size(total) == size


@pytest.mark.parametrize(
    ("left", "answers", "has_more", "said"),
    [
        pytest.param(40, Answers(accepted=60), True, Judgement.WAIT, id="some are not claimed"),
        pytest.param(0, Answers(accepted=60, under_way=40), True, Judgement.WAIT, id="some are under way"),
        pytest.param(0, Answers(accepted=60), True, Judgement.TOP_UP, id="some came back unanswered"),
        pytest.param(0, Answers(accepted=95, failed=5), True, Judgement.GO_ON, id="as many failed as may"),
        pytest.param(0, Answers(accepted=94, failed=6), True, Judgement.PAUSE, id="one more failed than may"),
        pytest.param(0, Answers(accepted=94, refused=3, in_doubt=3), True, Judgement.PAUSE, id="all failures count"),
        pytest.param(90, Answers(refused=6, under_way=4), True, Judgement.PAUSE, id="lost before it has ended"),
        pytest.param(0, Answers(accepted=60, deferred=40), True, Judgement.GO_ON, id="most were taken"),
        pytest.param(0, Answers(accepted=40, deferred=60), True, Judgement.PAUSE, id="most were put off"),
        pytest.param(40, Answers(accepted=60), False, Judgement.GO_ON, id="there was no more to send"),
        pytest.param(0, Answers(), True, Judgement.TOP_UP, id="the relay broke off each time"),
    ],
)
def test_answers_decide(left: int, answers: Answers, has_more: bool, said: Judgement) -> None:
    """Of a canary of a hundred, of which five in a hundred may fail."""
    assert judge(100, left, answers, limit_percent=5, has_more=has_more) is said


def test_a_limit_of_nothing_allows_no_failure() -> None:
    """Zero means zero."""
    assert judge(100, 0, Answers(accepted=99, failed=1), limit_percent=0, has_more=True) is Judgement.PAUSE
    assert judge(100, 0, Answers(accepted=100), limit_percent=0, has_more=True) is Judgement.GO_ON


def test_answers_are_told_in_words() -> None:
    """Only those that there are."""
    assert str(Answers(accepted=1200, refused=3)) == "1,200 accepted, 3 refused"
    assert str(Answers()) == "no answer yet"
