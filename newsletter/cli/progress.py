"""Progress on a terminal or in a pipe: a bar and a few lines that fit, or one plain line now and then."""

import json
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, tzinfo

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from newsletter.cli.output import console, errors, plain
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import ENDED, EditionState
from newsletter.domain.replies import Verdict
from newsletter.errors import TransientError
from newsletter.services.context import App
from newsletter.services.health import check_readiness
from newsletter.services.progress import UNSENT, EditionStatus, follow_edition

FRAME_SECONDS = 0.5
PLAIN_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 15.0
SHARE_OF_TIME = 10
"""How many times as long as a question took is waited before the next, so that watching never slows the sending."""

WINDOW_SECONDS = 60.0
FEWEST_SECONDS = 3.0
WIDEST_BAR = 40
NARROWEST_BAR = 8


class Pace:
    """Mails per second over the last minute of watching, which knows more than the database in its first minute."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def observe(self, count: int) -> float | None:
        """Note how many there are now and return the pace; None: not watched long enough."""
        now = self._clock()
        self._seen.append((now, count))
        while now - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()
        begun_at, first = self._seen[0]
        return (count - first) / (now - begun_at) if now - begun_at >= FEWEST_SECONDS else None


def lines_of(
    found: EditionStatus, *, width: int, zone: tzinfo = UTC, pace: float | None = None, idle: bool = False
) -> list[Text]:
    """Return how far an edition is, in lines no longer than *width*; *idle*: no worker gives a sign of life."""
    per_second = found.per_second if pace is None else pace
    lines = [
        Text(f"edition {found.edition_id} · {found.list_slug} {found.slot_key} · {found.state.value}", style="bold"),
        _bar(found, width),
    ]
    if found.unsent and not found.held_by:
        left = found.unsent / per_second if per_second else None
        lines.append(
            Text(f"{per_second:,.1f} mails/s · {f'about {_span(left)} left' if left else 'no end in sight yet'}")
        )
    states = [f"{state.value} {count:,}" for state, count in sorted(found.deliveries.items())]
    lines += [Text(line, style="dim") for line in _wrapped("mails: ", states, width)]
    providers = [
        f"{name} {sum(states.values()) - _unsent(states):,}/{sum(states.values()):,}"
        for name, states in found.by_provider.items()
    ]
    if len(providers) > 1:
        lines += [Text(line, style="dim") for line in _wrapped("to: ", providers, width)]
    troubles = [
        f"{each.mails:,} × {' '.join(str(word) for word in (_answer(each.answer), each.code, each.enhanced) if word)}"
        for each in found.troubles
    ]
    lines += [Text(line) for line in _wrapped("not accepted: ", troubles, width)]
    if found.next_due_at and found.unsent:
        due_at = found.next_due_at.astimezone(zone)
        lines.append(Text(f"the next try is due at {due_at:%H:%M:%S %Z}", style="dim"))
    lines += [Text(f"! {why}", style="yellow") for why in found.held_by]
    if idle and found.unsent:
        lines.append(
            Text("! no worker gives a sign of life. Next: newsletter up, or newsletter doctor", style="yellow")
        )
    return lines


def _bar(found: EditionStatus, width: int) -> Text:
    if not found.total:
        return Text("no mails yet")
    numbers = f" {found.ended * 100 // found.total:>3} %  {found.ended:,} of {found.total:,}"
    cells = min(WIDEST_BAR, width - len(numbers))
    if cells < NARROWEST_BAR:
        return Text(numbers.strip())
    full = cells * found.ended // found.total
    return Text.assemble(("█" * full, "green"), ("░" * (cells - full), "dim"), numbers)


def _answer(answer: str) -> str:
    """Return the class of an answer; what was put back by our own choice was never asked about."""
    return "put back before it was sent" if answer == Verdict.UNSENT else answer


def _unsent(states: Mapping[DeliveryState, int]) -> int:
    return sum(states.get(state, 0) for state in UNSENT)


def _wrapped(head: str, parts: list[str], width: int) -> Iterator[str]:
    """Yield *parts* behind *head* in as few lines as fit; nothing without parts."""
    line = head
    for part in parts:
        candidate = line + (" · " if line not in (head, " " * len(head)) else "") + part
        if len(candidate) > width and line.strip() not in ("", head.strip()):
            yield line
            candidate = "  " + part
        line = candidate
    if parts:
        yield line


def _span(seconds: float) -> str:
    if seconds < 90:  # noqa: PLR2004  a minute and a half
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"  # noqa: PLR2004  the same


def is_over(found: EditionStatus) -> bool:
    """Say whether watching on would show nothing new until somebody acts."""
    return found.state in ENDED or found.state is EditionState.PAUSED


def watch(parts: App, edition_id: int, *, as_json: bool = False, is_alone: bool = True) -> None:
    """Show how far an edition is until it has ended or is paused; only looks, so breaking it off stops nothing.

    *is_alone*: nobody in this process sends, so that it is worth telling when no worker lives.
    """
    try:
        _watch(parts, edition_id, is_over, as_json=as_json, is_alone=is_alone)
    except KeyboardInterrupt:
        errors.print(f"The send goes on. Look again:  newsletter editions status {edition_id} --watch")


def watch_while(parts: App, edition_id: int, worker: threading.Thread, *, quiet: bool = False) -> None:
    """Show how far an edition is while *worker* sends it in this process, or others do.

    Raises:
        KeyboardInterrupt: between two looks, if Ctrl-C was pressed.
    """
    with _noting_ctrl_c() as pressed:

        def is_done(found: EditionStatus) -> bool:
            if pressed:
                raise KeyboardInterrupt
            return is_over(found) or (parts.settings.is_embedded and not worker.is_alive())

        def rest(seconds: float) -> None:
            until = time.monotonic() + seconds
            while not pressed and (left := until - time.monotonic()) > 0:
                time.sleep(min(left, FRAME_SECONDS / 2))

        if not quiet:
            _watch(parts, edition_id, is_done, is_alone=False, rest=rest)
            return
        while not is_done(follow_edition(parts, edition_id)):
            time.sleep(FRAME_SECONDS / 2)


@contextmanager
def _noting_ctrl_c() -> Iterator[Sequence[int]]:
    """Collect Ctrl-C instead of raising it wherever it falls: a finaliser, and there are many, would swallow it."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _watch(
    parts: App,
    edition_id: int,
    is_done: Callable[[EditionStatus], bool],
    *,
    as_json: bool = False,
    is_alone: bool,
    rest: Callable[[float], None] = time.sleep,
) -> None:
    pace = Pace()
    with _screen(parts.settings.zone_info, as_json=as_json) as show:
        while True:
            asked_at = time.monotonic()
            try:
                found = follow_edition(parts, edition_id)
                idle = is_alone and check_readiness(parts).is_tick_late
            except TransientError as error:
                errors.print(f"{error}; looking again in a moment")
                time.sleep(FRAME_SECONDS * 4)
                continue
            done = is_done(found)
            show(found, pace.observe(found.ended), idle=idle, is_last=done)
            if done:
                return
            took = time.monotonic() - asked_at
            rest(min(LONGEST_WAIT_SECONDS, max(FRAME_SECONDS, took * SHARE_OF_TIME)))


Show = Callable[..., None]


@contextmanager
def _screen(zone: tzinfo, *, as_json: bool) -> Iterator[Show]:
    if as_json:
        yield _print_json
    elif console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:

            def show(found: EditionStatus, pace: float | None, *, idle: bool, is_last: bool) -> None:
                del is_last
                lines = lines_of(found, width=console.width, zone=zone, pace=pace, idle=idle)
                live.update(Group(*map(_cut, lines)), refresh=True)

            yield show
    else:
        yield _PlainLines()


def _cut(line: Text) -> Text:
    """Let a reason run over lines, and nothing else."""
    line.no_wrap = not line.plain.startswith("!")
    line.overflow = "ellipsis" if line.no_wrap else "fold"
    return line


def _print_json(found: EditionStatus, pace: float | None, *, idle: bool, is_last: bool) -> None:
    del idle, is_last
    facts = plain(found) | ({} if pace is None else {"per_second": round(pace, 2)})
    typer.echo(json.dumps(facts, ensure_ascii=False))
    sys.stdout.flush()


class _PlainLines:
    """One line when something changed and some seconds have passed; for logs and pipes."""

    def __init__(self) -> None:
        self._last = ""
        self._printed_at = -PLAIN_SECONDS

    def __call__(self, found: EditionStatus, pace: float | None, *, idle: bool, is_last: bool) -> None:
        """Print a line if it is worth one."""
        per_second = found.per_second if pace is None else pace
        told = [f"edition {found.edition_id} {found.state.value} {found.ended:,}/{found.total:,}"]
        if found.unsent and not found.held_by:
            told.append(f"{per_second:,.1f}/s")
        told += [f"{state.value} {count:,}" for state, count in sorted(found.deliveries.items())]
        told += list(found.held_by)
        if idle and found.unsent:
            told.append("no worker gives a sign of life")
        line = " · ".join(told)
        is_due = time.monotonic() - self._printed_at >= PLAIN_SECONDS
        if line != self._last and (is_due or is_last):
            typer.echo(line)
            sys.stdout.flush()
            self._last, self._printed_at = line, time.monotonic()
