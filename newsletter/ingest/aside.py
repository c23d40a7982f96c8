"""Reading aside: what strangers send is read by a process of its own, which a clock ends and memory bounds.

A page of 1.5 MB can be built to take parsers minutes, and no bound of its form foresees each way to do so. The process
is kept for the next document, ends when there was none for a while, and is started without this one's environment.
"""

import atexit
import math
import os
import pickle
import resource
import select
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock, Thread, Timer
from typing import IO, Any, ParamSpec, TypeVar

from newsletter.domain.drafts import UnusableError
from newsletter.errors import InvalidError

SECONDS = 20.0
"""For one document, however busy the machine; honest ones take a hundredth."""
MEGABYTES = 1500
"""Of addresses, most of which the libraries take; honest documents add a tenth."""
AT_ONCE = 2
"""Processes; who comes while all of them read waits, `SECONDS` at most for each document before theirs."""
IDLE_SECONDS = 120.0

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
_LENGTH = struct.Struct(">Q")


def aside(
    read: Callable[Arguments, Answer], seconds: float, /, *arguments: Arguments.args, **named: Arguments.kwargs
) -> Answer:
    """Return what *read*, a function of a module, makes of its arguments, if that takes no longer than *seconds*.

    Raises:
        InvalidError: it said so; or it took too long or too much memory.
        UnusableError: it said so.
        ReaderBrokeError: it raised anything else.
    """
    request = pickle.dumps((seconds, read, arguments, named))
    with _places:
        answer = _ask(request, seconds)
    if answer is None:
        raise InvalidError(
            f"it takes more than {seconds:.0f} seconds or {MEGABYTES} MB to read; no honest document does"
        )
    kind, value = answer
    if kind == "read":
        result: Answer = value
        return result
    raise ERRORS[kind](value)


def _ask(request: bytes, seconds: float) -> tuple[str, Any] | None:
    """Return a process's answer; None: it came to its end over the document."""
    child, is_new = _take()
    begun = time.monotonic()
    try:
        answer = child.ask(request, seconds)
    except BaseException:
        child.end()
        raise
    if answer is not None:
        _give_back(child)
        return answer
    child.end()
    if is_new or time.monotonic() - begun >= seconds:
        return None
    return _ask(request, seconds)  # it may have been about to rest


class ReaderBrokeError(Exception):
    """A document broke its reader, which is a defect of ours: the traceback of the process that read it."""


ERRORS: Mapping[str, type[Exception]] = {
    "unusable": UnusableError,
    "invalid": InvalidError,
    "broke": ReaderBrokeError,
}


@dataclass(slots=True)
class _Child:
    """A process that reads."""

    process: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls) -> "_Child":
        process = subprocess.Popen(  # noqa: S603  our own module, by our own Python
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LANG": "C.UTF-8", "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,  # Ctrl-C in a terminal is for who started it
        )
        Thread(target=process.wait, name="reader", daemon=True).start()  # or it stays as a zombie until it is asked
        return cls(process)

    def ask(self, request: bytes, seconds: float) -> tuple[str, Any] | None:
        """Return the answer; None: it did not come in time, or the process ended over it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        clock = Timer(seconds, self.process.kill)
        clock.start()
        try:
            _send(self.process.stdin, request)
            answer = _receive(self.process.stdout)
        except OSError:
            return None
        finally:
            clock.cancel()
        return None if answer is None else pickle.loads(answer)  # noqa: S301  from our own process

    def is_there(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was not sent is not wanted any more
                    continue


_places = BoundedSemaphore(AT_ONCE)
_lock = Lock()
_free: list[_Child] = []


def _take() -> tuple[_Child, bool]:
    """Return a process that waits, or a new one, and whether it is new; one that ended for want of work is put away."""
    while True:
        with _lock:
            child = _free.pop() if _free else None
        if child is None:
            return _Child.start(), True
        if child.is_there():
            return child, False
        child.end()


def _give_back(child: _Child) -> None:
    with _lock:
        _free.append(child)


@atexit.register
def end_readers() -> None:
    """End the processes that wait for a document. One that reads ends by itself once nobody is there to hear it."""
    while _free:
        _free.pop().end()


def _forget_all() -> None:
    """After a fork: the processes are the parent's."""
    global _places, _lock  # what the parent's threads hold is never let go here
    _places, _lock = BoundedSemaphore(AT_ONCE), Lock()
    _free.clear()


os.register_at_fork(after_in_child=_forget_all)


def main() -> None:
    """Read what comes on standard input, until it closes or nothing comes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEGABYTES * 1024 * 1024, MEGABYTES * 1024 * 1024))
    source = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as sink:
        os.dup2(2, 1)  # what a library prints is no answer
        while select.select([source], [], [], IDLE_SECONDS)[0] and (request := _receive(source)) is not None:
            _send(sink, _answer(request))


def _answer(request: bytes) -> bytes:
    try:
        seconds, read, arguments, named = pickle.loads(request)  # noqa: S301  from the process that started this one
        signal.alarm(math.ceil(seconds) + 1)  # should whoever holds the clock have ended
        return pickle.dumps(("read", read(*arguments, **named)))
    except UnusableError as error:
        return pickle.dumps(("unusable", str(error)))
    except InvalidError as error:
        return pickle.dumps(("invalid", str(error)))
    except MemoryError:
        return pickle.dumps(("invalid", f"it takes more than {MEGABYTES} MB to read; no honest document does"))
    except Exception:  # noqa: BLE001  whatever it breaks, whoever asked has to know
        return pickle.dumps(("broke", traceback.format_exc()))
    finally:
        signal.alarm(0)


def _send(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(_LENGTH.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    """Return a message; None: the other side ended."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    message = pipe.read(length)
    return message if len(message) == length else None


if __name__ == "__main__":
    main()
