"""Canaries: the few mails of an edition that go first, and what their answers say about the rest."""

import re
from dataclasses import dataclass
from enum import StrEnum

DEFAULT_LIMIT_PERCENT = 5.0
"""How many of the canary's mails may fail where the list says nothing. Large providers look at a sender's set-up when
more than so many of its mails bounce; a wrong list or a refused content fails nearly all."""

LEAST_OF_A_SHARE = 20
"""A share of a small edition is at least so many, since fewer answers say nothing."""

NONE = "none"


class Judgement(StrEnum):
    """What a canary's answers say."""

    WAIT = "wait"
    TOP_UP = "top_up"  # some came back unanswered: let as many go in their place
    GO_ON = "go_on"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Canary:
    """How many mails go first: so many, or a share of the edition in percent."""

    mails: int = 0
    percent: float = 0.0

    def size(self, total: int) -> int | None:
        """Return how many of *total* mails go first; None: all at once, since holding back half would spare little."""
        size = self.mails or max(LEAST_OF_A_SHARE, round(total * self.percent / 100))
        return size if size * 2 <= total else None

    def __str__(self) -> str:
        return f"{self.mails}" if self.mails else f"{self.percent:g}%"


def parse_canary(text: str) -> Canary | None:
    """Return the canary written like `100` or `1%`; None: `none`.

    Raises:
        ValueError: it is neither.
    """
    told = text.strip().lower()
    if told == NONE:
        return None
    if re.fullmatch(r"[1-9]\d{0,8}", told):
        return Canary(mails=int(told))
    if re.fullmatch(r"\d{1,2}(\.\d{1,3})?%", told) and 0 < (percent := float(told[:-1])) <= 50:  # noqa: PLR2004  half
        return Canary(percent=percent)
    raise ValueError(f"{text!r} is no canary; write a number of mails such as 100, a share such as 1%, or none")


@dataclass(frozen=True, slots=True)
class Answers:
    """What became of a canary's mails so far; those that came back without an answer are in none of these."""

    accepted: int = 0
    deferred: int = 0  # the recipient's server says later
    failed: int = 0
    refused: int = 0  # for our reputation, our set-up or what we wrote
    in_doubt: int = 0
    under_way: int = 0

    @property
    def failures(self) -> int:
        """How many speak against going on."""
        return self.failed + self.refused + self.in_doubt

    @property
    def answered(self) -> int:
        """How many have an answer."""
        return self.accepted + self.deferred + self.failures

    def __str__(self) -> str:
        told = {
            "accepted": self.accepted,
            "deferred": self.deferred,
            "failed": self.failed,
            "refused": self.refused,
            "in doubt": self.in_doubt,
        }
        return ", ".join(f"{count:,} {name}" for name, count in told.items() if count) or "no answer yet"


def judge(size: int, left: int, answers: Answers, *, limit_percent: float, has_more: bool) -> Judgement:
    """Say what to do with an edition whose canary of *size* mails has *left* to be claimed.

    More failures than the limit allows end it at once, since later answers cannot mend that. Else all must be
    answered, and half of the answers be a yes: where servers put most of it off, a person has to look, since what was
    put off is tried again with the rest. *has_more*: whether any mail waits in the queue.
    """
    if answers.failures > size * limit_percent / 100:
        return Judgement.PAUSE
    if answers.under_way or (left and has_more):
        return Judgement.WAIT
    if not has_more:
        return Judgement.GO_ON
    if answers.answered < size:
        return Judgement.TOP_UP
    return Judgement.GO_ON if answers.accepted * 2 >= answers.answered else Judgement.PAUSE
