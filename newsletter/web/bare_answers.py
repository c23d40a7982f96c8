"""Answers to programs, as raw ASGI: bytes as they are, or a sentence for a log, without cookie, page or session."""

from collections.abc import Sequence

from starlette.types import Send

from newsletter.errors import NewsletterError

RawHeaders = list[tuple[bytes, bytes]]

OPEN_TO_ALL = (
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", "ETag, Link"),
    ("x-content-type-options", "nosniff"),
)
CLOSED = (("x-robots-tag", "noindex"), ("referrer-policy", "no-referrer"), ("x-content-type-options", "nosniff"))


async def send_answer(send: Send, status: int, headers: RawHeaders, body: bytes = b"") -> None:
    """Send an answer in one piece."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def say(
    send: Send, status: int, text: str, more: Sequence[tuple[str, str]] = (), *, is_head: bool = False
) -> None:
    """Answer with a sentence: a reader's log is the only place where somebody may see it."""
    body = f"{text}\n".encode()
    headers = (("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body))), *OPEN_TO_ALL, *more)
    await send_answer(send, status, raw(headers), b"" if is_head else body)


def sentence(error: NewsletterError) -> str:
    """Return what *error* says as a sentence; the name of a field at its beginning stays as it is."""
    text = str(error)
    return f"{text}." if text.startswith("hub.") else f"{text[:1].upper()}{text[1:]}."


def raw(headers: Sequence[tuple[str, str]]) -> RawHeaders:
    """Return *headers* as ASGI sends them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
