"""Questions to the DNS, each with an end in time; nothing here judges what is answered."""

import time
from collections.abc import Sequence
from typing import Any

from dns.exception import DNSException
from dns.inet import is_address
from dns.rdatatype import RdataType
from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers, Resolver
from dns.reversename import from_address

from newsletter.errors import InvalidError, TransientError

LONGEST_QUESTION_SECONDS = 3.0
LONGEST_SECONDS = 15.0
"""For all questions together."""


class Names:
    """Asks the machine's name servers, or *server*, an IP address with a port if it is not 53.

    Raises:
        InvalidError: *server* is no IP address.
        TransientError: this machine knows no name server.
    """

    def __init__(self, server: str = "") -> None:
        try:
            self._resolver = Resolver(configure=not server)
        except DNSException as error:
            raise TransientError("this machine knows no name server") from error
        self._ends_at = time.monotonic() + LONGEST_SECONDS
        self.has_answer = False
        """Whether anybody has answered anything."""
        if server:
            address, _, port = server.partition(":") if server.count(":") == 1 else (server, "", "")
            if not is_address(address) or (port and not port.isdecimal()):
                raise InvalidError(f"NEWSLETTER_DNS_SERVER must be an IP address such as 192.0.2.1:53, not {server!r}")
            self._resolver.nameservers = [address]
            self._resolver.port = int(port or 53)

    def texts(self, name: str) -> Sequence[str]:
        """Return the TXT records at *name*, each as one text; none where there is no such name.

        Raises:
            TransientError: nobody answered in time.
        """
        return [
            "".join(part.decode("utf-8", "replace") for part in each.strings) for each in self._ask(name, RdataType.TXT)
        ]

    def addresses(self, name: str) -> Sequence[str]:
        """Return the IP addresses of *name*, those of version 4 first.

        Raises:
            TransientError: as `texts`.
        """
        return [each.address for kind in (RdataType.A, RdataType.AAAA) for each in self._ask(name, kind)]

    def exchanges(self, name: str) -> Sequence[str]:
        """Return the servers that take mail for *name*, the preferred first; none where it takes none (RFC 7505).

        Raises:
            TransientError: as `texts`.
        """
        found = sorted(self._ask(name, RdataType.MX), key=lambda each: each.preference)
        return [host for each in found if (host := each.exchange.to_text(omit_final_dot=True).lower()) != "."]

    def names(self, address: str) -> Sequence[str]:
        """Return the names of an IP address, without their last dots.

        Raises:
            TransientError: as `texts`.
        """
        found = self._ask(from_address(address).to_text(), RdataType.PTR)
        return [each.target.to_text(omit_final_dot=True).lower() for each in found]

    def _ask(self, name: str, kind: RdataType) -> list[Any]:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TransientError(f"name servers took {LONGEST_SECONDS:.0f} seconds for the questions before {name}")
        try:
            found = list(self._resolver.resolve(name, kind, lifetime=min(left, LONGEST_QUESTION_SECONDS)))
        except (NXDOMAIN, NoAnswer):
            found = []
        except NoNameservers as error:
            raise TransientError(f"name servers fail at {name}") from error
        except DNSException as error:
            raise TransientError(f"no name server answered for {name}") from error
        self.has_answer = True
        return found
