"""Suppressions: addresses that must not be mailed, whatever list they are on."""

from newsletter.domain.suppressions import Suppression, SuppressionReason
from newsletter.errors import NotFoundError
from newsletter.mail.addresses import address_hmac, parse_address
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.storage import suppressions as storage


def suppress_hash(tx: Transaction, hashed_address: str, reason: SuppressionReason) -> None:
    """Stop all mail to the address with that keyed hash, mail in the queue too. Safe to repeat."""
    storage.add_suppression(tx.session, hashed_address, reason, now=tx.now)


def suppress_address(app: App, address: str, reason: SuppressionReason = SuppressionReason.MANUAL) -> Suppression:
    """
    Stop all mail to *address*, whether we know it or not. Safe to repeat: the first reason stays.

    Raises:
        InvalidError: it is no address.
    """
    hashed = address_hmac(app.settings.lasting_secret, parse_address(address).key)
    with app.transaction() as tx:
        suppress_hash(tx, hashed, reason)
        record_act(tx, "suppressed", f"address {hashed[:12]}", reason=reason.value)
        found = storage.load_suppression(tx.session, hashed)
    if found is None:
        raise NotFoundError(f"{address} was suppressed and lifted by somebody at the same moment; look again")
    return found


def lift_suppression(app: App, address: str) -> None:
    """
    Allow mail to *address* again; subscriptions that ended stay ended.

    Raises:
        InvalidError: it is no address.
        NotFoundError: it is not suppressed.
    """
    hashed = address_hmac(app.settings.lasting_secret, parse_address(address).key)
    with app.transaction() as tx:
        if not storage.lift_suppression(tx.session, hashed, now=tx.now):
            raise NotFoundError(f"{address} is not suppressed; there is nothing to lift")
        record_act(tx, "released", f"address {hashed[:12]}")
