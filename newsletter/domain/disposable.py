"""Domains of mailboxes that last minutes; whoever signs up with one will not read the second mail."""

DISPOSABLE_DOMAINS = frozenset(
    {
        *("10minutemail.com", "10minutemail.net", "20minutemail.com", "33mail.com", "anonaddy.me", "burnermail.io"),
        *("byom.de", "discard.email", "discardmail.com", "dispostable.com", "dropmail.me", "emailondeck.com"),
        *("fakeinbox.com", "fakemail.net", "getairmail.com", "getnada.com", "grr.la", "guerrillamail.biz"),
        *("guerrillamail.com", "guerrillamail.de", "guerrillamail.info", "guerrillamail.net", "guerrillamail.org"),
        *("inboxbear.com", "inboxkitten.com", "incognitomail.org", "jetable.org", "mail-temp.com", "mailcatch.com"),
        *("maildrop.cc", "mailexpire.com", "mailforspam.com", "mailinator.com", "mailinator.net", "mailnesia.com"),
        *("mailnull.com", "mailpoof.com", "mailsac.com", "meltmail.com", "minutemail.com", "mintemail.com"),
        *("moakt.com", "mohmal.com", "mytemp.email", "mytrashmail.com", "nada.email", "sharklasers.com"),
        *("spam4.me", "spambog.com", "spambox.us", "spamex.com", "spamgourmet.com", "temp-mail.io", "temp-mail.org"),
        *("tempail.com", "tempinbox.com", "tempmail.com", "tempmail.dev", "tempmail.net", "tempmailo.com"),
        *("tempr.email", "throwawaymail.com", "trash-mail.com", "trashmail.com", "trashmail.de", "trashmail.net"),
        *("wegwerfmail.de", "wegwerfmail.net", "wegwerfmail.org", "yopmail.com", "yopmail.fr", "yopmail.net"),
    }
)
"""The best known; a newsroom adds its own by NEWSLETTER_REFUSED_DOMAINS."""


def is_disposable(domain: str) -> bool:
    """Say whether *domain*, or one above it, is known to give mailboxes away for minutes."""
    return is_within(domain, DISPOSABLE_DOMAINS)


def is_within(domain: str, domains: frozenset[str]) -> bool:
    """Say whether *domain* is one of *domains* or lies below one."""
    labels = domain.lower().split(".")
    return any(".".join(labels[start:]) in domains for start in range(len(labels)))
