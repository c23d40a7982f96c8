"""Timeouts: how long a relay is waited for at each stage of a conversation."""

from dataclasses import dataclass, fields

from newsletter.domain.replies import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds to wait at each stage: RFC 5321 §4.5.3.2, and for *connect* and *tls*, which it leaves open, our own.

    *connect* is for one address of a relay: others are tried after it, and who answers at all does so in a second.
    *body* is for all of a body and not for each block of it, so that a relay cannot spin out a mail beyond its lease.
    """

    connect: float = 10
    tls: float = 60
    greeting: float = 300
    command: float = 300  # EHLO, AUTH, MAIL, RCPT
    data: float = 120
    body: float = 180
    dot: float = 600
    farewell: float = 2

    def of(self, stage: Stage) -> float:
        """Return how long the reply at *stage* may take."""
        limit: float = getattr(self, _OWN_TIMEOUT.get(stage, "command"))
        return limit

    def capped(self, seconds: float) -> "Timeouts":
        """Return the same, none of them longer than *seconds*."""
        return Timeouts(**{each.name: min(getattr(self, each.name), seconds) for each in fields(self)})


_OWN_TIMEOUT = {
    Stage.CONNECT: "connect",
    Stage.TLS: "tls",
    Stage.GREETING: "greeting",
    Stage.DATA: "data",
    Stage.BODY: "body",
    Stage.DOT: "dot",
}
