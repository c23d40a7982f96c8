"""Signing: the DKIM keys that the settings name, read once per process and only by who sends."""

from functools import lru_cache
from pathlib import Path

from newsletter.config import Settings
from newsletter.errors import InvalidError
from newsletter.mail.dkim import Signer
from newsletter.mail.dkim_keys import check_domain, load_signer


def signer_of(settings: Settings) -> Signer | None:
    """Return what signs this installation's mails; None: no key is named.

    Raises:
        InvalidError: a key cannot sign, or the domain is not that of our mails; names the variable and the remedy.
    """
    if not settings.dkim_keys:
        return None
    signer = _load_signer(settings.dkim_keys, settings.dkim_domain)
    signed_for = signer.domain_for(settings.sender)
    if settings.dkim_domain and signed_for != signer.domain:
        raise InvalidError(
            f"NEWSLETTER_DKIM_DOMAIN is {settings.dkim_domain}, and notices come from {settings.sender}: "
            f"make it {signed_for} or a domain above that, or leave it empty"
        )
    return signer


@lru_cache(maxsize=4)
def _load_signer(files: tuple[tuple[str, Path], ...], domain: str) -> Signer:
    try:
        signing_domain = check_domain(domain) if domain else ""
    except InvalidError as error:
        raise InvalidError(f"NEWSLETTER_DKIM_DOMAIN: {error}") from error
    try:
        return load_signer(files, domain=signing_domain)
    except InvalidError as error:
        raise InvalidError(f"NEWSLETTER_DKIM_KEYS: {error}") from error
