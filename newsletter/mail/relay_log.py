"""A relay's log as evidence: what Postfix says it took from us, by Message-ID; other lines are not looked at."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_LINE = re.compile(r"postfix[\w-]*/(?:[\w-]+/)*(?P<daemon>\w+)\[\d+\]: (?P<queue_id>[0-9A-Za-z]{6,20}): (?P<words>.*)")
_MESSAGE_ID = re.compile(r"message-id=<(?P<token>[0-9A-Za-z._-]{8,64})@(?P<domain>[^>]+)>")
_STATUS = re.compile(r"\bstatus=(?P<status>sent|bounced|deferred|expired|undeliverable)\b")
_TAKEN = ("queue active", "removed")


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that the relay has in its queue or had: it answered the dot with a yes; *status* is the last it tells."""

    queue_id: str
    status: str = ""


def read_postfix_log(lines: Iterable[str], *, mail_domain: str) -> Mapping[str, Taken]:
    """Return what the relay took of mails with Message-IDs at *mail_domain*, by the part before the @.

    A Message-ID alone is no proof, since it is logged before the dot; being queued, delivered or removed is.
    """
    tokens: dict[str, str] = {}  # by queue id, which Postfix uses again for another mail when one is gone
    taken: dict[str, Taken] = {}
    for line in lines:
        if not (match := _LINE.search(line)):
            continue
        queue_id, words = match["queue_id"], match["words"]
        if match["daemon"] == "cleanup":
            found = _MESSAGE_ID.match(words)
            tokens.pop(queue_id, None)
            if found and found["domain"].lower() == mail_domain.lower():
                tokens[queue_id] = found["token"]
        elif token := tokens.get(queue_id):
            status = _STATUS.search(words)
            if status or any(proof in words for proof in _TAKEN):
                before = taken.get(token)
                taken[token] = Taken(queue_id, status["status"] if status else before.status if before else "")
    return taken
