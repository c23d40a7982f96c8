"""How a relay misbehaves: orders that say, at each moment of a conversation, what it does instead of answering."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """Where a conversation is: what was said last, or BODY while it comes, or DOT when it is here."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BODY = "body"
    DOT = "dot"


class Act(StrEnum):
    """What it does instead of answering as it should."""

    DROP = "drop"  # closes the connection; at the dot: after it has taken the mail
    RESET = "reset"  # aborts it
    HANG = "hang"  # stays silent and keeps it open
    TRICKLE = "trickle"  # answers, a byte at a time


Answer = str | Act | None
"""What to do: say something else, misbehave, or (None) answer honestly."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What the orders may judge by. *connection* and *mail* count from 1, the latter within the connection;
    *times*: how often this recipient has come so far, this time included.
    """

    stage: Stage
    connection: int
    mail: int
    recipient: str
    times: int

    @property
    def recipient_number(self) -> int:
        """The number in the recipient's address; 0 before there is one."""
        return number_of(self.recipient)


def number_of(address: str) -> int:
    """Return the number in a reader's address; 0 in none."""
    return int(address.partition("@")[0].rpartition(".")[2] or 0)


Orders = Callable[[Moment], Answer]


def behave(_: Moment) -> Answer:
    """Answer honestly."""
    return None


def sometimes(answer: Answer, *stages: Stage, chance: float, seed: int) -> Orders:
    """Give *answer* at one of *stages* with a chance; the same sequence for the same seed."""
    dice = random.Random(seed)
    return lambda moment: answer if moment.stage in stages and dice.random() < chance else None


def every(count: int, answer: Answer, *stages: Stage) -> Orders:
    """Give *answer* each time that one of *stages* has come *count* times."""
    counter = itertools.count(1)
    return lambda at: answer if at.stage in stages and not next(counter) % count else None


def first_time_to(one_in: int, answer: Answer, stage: Stage) -> Orders:
    """Give *answer* at *stage*, from RCPT on, to one recipient in so many, the first time only."""
    return lambda at: answer if at.stage is stage and at.times == 1 and not at.recipient_number % one_in else None


def mixed(*orders: Orders) -> Orders:
    """Obey the first of *orders* that wants anything."""
    return lambda at: next((answer for each in orders if (answer := each(at)) is not None), None)
