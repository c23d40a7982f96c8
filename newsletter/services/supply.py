"""Supply: what one sender has on lease and has not written ahead yet, claimed in batches and made into mails piecemeal.

Near the relay a mail takes as long to make as to send. So a few are made at a time, while answers are awaited: made
all at once, they would keep every connection waiting.
"""

import math
import uuid
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from newsletter.domain.deliveries import LEASE, Pool
from newsletter.domain.replies import redact
from newsletter.errors import NewsletterError, TransientError
from newsletter.mail.journal import Journal
from newsletter.mail.relay import Relay
from newsletter.services import admission
from newsletter.services.context import App
from newsletter.services.mailing import EditionNotMailableError, MailBuilder
from newsletter.services.stops import pause_edition_in
from newsletter.storage import ledger
from newsletter.storage.ledger import Claimed

log = structlog.get_logger()

MOST_CLAIMED = 1200
"""Deliveries on lease at once; a lease sends nothing, but whoever dies leaves them to be found."""
MADE_AT_ONCE = 4
LOOK_AGAIN_SECONDS = 1.0
"""How often a sender that has nothing more to claim, and still awaits answers, looks for new work."""
LONGEST_WAIT_SECONDS = 5.0
"""How long a sender waits for a rate to allow more; past that it ends, and the tick rings."""

Mail = tuple[Claimed, list[bytes]]


@dataclass(slots=True)
class _Lease:
    """What one claim brought and is not written ahead yet: *unmade*, then with the mails they became."""

    token: str
    since: float
    unmade: deque[Claimed]
    made: deque[Mail] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self.unmade) + len(self.made)

    @property
    def ids(self) -> list[int]:
        return [delivery.id for delivery, _ in self.made] + [delivery.id for delivery in self.unmade]


class Supply:
    """One sender's deliveries of one lane, for one relay; *worker*: the name under which it leases.

    *may_have_more*: whether there may be more to claim soon. *is_exhausted*: whether nothing can be claimed for now.
    *lost*: what made a claim fail; who knows what it leased.
    """

    def __init__(self, app: App, relay: Relay, pool: Pool, *, worker: str, journal: Journal | None) -> None:
        self.may_have_more = True
        self.is_exhausted = False
        self.lost: TransientError | None = None
        self.builder = MailBuilder(app.settings)
        self._app, self._relay, self._pool = app, relay, pool
        self._worker = worker
        self._journal = journal
        self._lease_time = LEASE * app.settings.wait_factor
        self._leases: deque[_Lease] = deque()
        self._claim_again_at = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._leases))

    # In.

    def claim_more(self, now: float, *, at_least: int, speed: float) -> None:
        """See to it that there are *at_least* so many; at *speed*, mails a second, they are sent well within a lease.

        One that fails is not repeated: `lost` says why.
        """
        if now < self._claim_again_at or len(self) >= at_least or any(lease.unmade for lease in self._leases):
            return
        token = uuid.uuid4().hex
        well_within = self._lease_time.total_seconds() / 4
        try:
            batch, is_held_back = self._claim(max(at_least, min(MOST_CLAIMED, int(speed * well_within))), token)
        except TransientError as error:
            self.lost, self.is_exhausted, self._claim_again_at = error, True, math.inf
            return
        if not batch:
            self._wait_for_more(now, is_held_back=is_held_back)
            return
        self.is_exhausted, self.may_have_more = False, True
        self._touch(batch)  # a crash in here leaves them leased, to be found out one by one
        try:
            with self._app.reading() as tx:
                self.builder.load(tx.session, batch)
        except TransientError:
            self._let_go()  # it was not these mails
            raise
        self._let_go()
        self._leases.append(_Lease(token, now, deque(batch)))

    def expect_more(self) -> None:
        """Claim again as soon as there is need: some mail is back in the queue."""
        if not self.lost:
            self.is_exhausted, self.may_have_more, self._claim_again_at = False, True, 0.0

    def _claim(self, most: int, token: str) -> tuple[list[Claimed], bool]:
        """Claim; say too whether a limit held any back."""
        with self._app.transaction() as tx:
            admitted = admission.admit(tx, self._relay, self._pool, most)
            batch = ledger.claim(
                tx.session,
                pool=self._pool,
                allowance=admitted.allowance,
                worker=self._worker,
                token=token,
                lease=self._lease_time,
            )
            admission.charge(tx, admitted, Counter(each.provider for each in batch))
        return batch, admitted.is_held_back

    def _wait_for_more(self, now: float, *, is_held_back: bool) -> None:
        """Nothing could be claimed: find out whether that is for lack of mail, and when to look again.

        What was held back a moment ago may be free by now.
        """
        wait = admission.seconds_until_admitted(self._app, self._relay, self._pool)
        self.may_have_more = is_held_back if wait == 0 else wait < LONGEST_WAIT_SECONDS
        self.is_exhausted = not self.may_have_more
        self._claim_again_at = now + (wait if self.may_have_more else LOOK_AGAIN_SECONDS)

    # Making.

    def make_some(self) -> bool:
        """Make a few mails of what was claimed; say whether there were any to make.

        One that cannot be made has failed and harms no other; where none of an edition can, the edition is paused
        and its mail goes back into the queue.
        """
        lease = next((lease for lease in self._leases if lease.unmade), None)
        if lease is None:
            return False
        some = [lease.unmade.popleft() for _ in range(min(MADE_AT_ONCE, len(lease.unmade)))]
        self._touch(some)
        try:
            for delivery in some:
                self._make(delivery, lease)
        except TransientError:
            self._let_go()  # it was not these mails
            raise
        self._let_go()
        if not lease:
            self._leases.remove(lease)
        return True

    def _make(self, delivery: Claimed, lease: _Lease) -> None:
        try:
            lease.made.append((delivery, self.builder.build(delivery)))
        except EditionNotMailableError as error:
            self._give_up_edition(error, delivery.id, lease.token)
        except NewsletterError as error:
            log.warning("mail_not_built", delivery_id=delivery.id, error=redact(str(error)))
            with self._app.transaction() as tx:
                ledger.fail_leased(tx.session, delivery.id, lease.token, redact(str(error)))

    def _give_up_edition(self, error: EditionNotMailableError, delivery_id: int, token: str) -> None:
        with self._app.transaction() as tx:
            ledger.release(tx.session, [delivery_id], token)
            if pause_edition_in(tx, error.edition_id, f"no mail can be made of it: {redact(str(error))}"):
                log.error("edition_not_mailable", edition_id=error.edition_id, error=redact(str(error)))

    def _touch(self, batch: Sequence[Claimed]) -> None:
        if self._journal:
            self._journal.touch(each.id for each in batch)

    def _let_go(self) -> None:
        if self._journal:
            self._journal.let_go()

    # Out.

    def take(self, most: int) -> tuple[str, list[Mail]]:
        """Hand out the oldest mails, *most* at most and all of one lease, with its token; without mails, none."""
        while self._leases and len(self._leases[0].made) < min(most, len(self._leases[0])):
            self.make_some()
        if not self._leases:
            return "", []
        lease = self._leases[0]
        mails = [lease.made.popleft() for _ in range(min(most, len(lease.made)))]
        if not lease:
            self._leases.popleft()
        return lease.token, mails

    def give_back_old(self, now: float) -> None:
        """Give back what would lapse here: another may send it, and that the relay hangs is not the mail's fault."""
        if self._leases and now - self._leases[0].since > self._lease_time.total_seconds() / 2:
            self._give_back(1)

    def give_back_all(self) -> None:
        """Give back all that is on lease; safe to repeat."""
        self._give_back(len(self._leases))

    def _give_back(self, count: int) -> None:
        leases = list(self._leases)[:count]
        if not leases:
            return
        with self._app.transaction() as tx:
            for lease in leases:
                ledger.release(tx.session, lease.ids, lease.token)
        for lease in leases:
            self._leases.remove(lease)
