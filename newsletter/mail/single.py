"""One mail to one person at once, outside the queue: for staff who wait for it, such as a test of an edition.

By the standard library's client, whose reply is the answer to the command that asked: nothing is on record, nothing is
tried again. Readers' mail never goes this way.
"""

import smtplib
import ssl

from newsletter.errors import TransientError
from newsletter.mail.relay import Relay, TLSMode

LONGEST_WAIT_SECONDS = 60.0
"""A person waits for it."""


def send_at_once(relay: Relay, *, mail_from: str, rcpt_to: str, content: bytes, hello_name: str) -> None:
    """Hand *content*, a whole message, to *relay*.

    Raises:
        TransientError: the relay did not take it; the message says why.
    """
    wait = min(relay.timeout_seconds, LONGEST_WAIT_SECONDS)
    try:
        with _opened(relay, hello_name, wait) as client:
            if relay.username:
                client.login(relay.username, relay.password)
            client.sendmail(mail_from, [rcpt_to], content)
    except (smtplib.SMTPException, OSError) as error:
        raise TransientError(f"{relay.name} did not take the mail: {_words(error)}") from error


def _opened(relay: Relay, hello_name: str, wait: float) -> smtplib.SMTP:
    if relay.tls is TLSMode.IMPLICIT:
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(relay.host, relay.port, local_hostname=hello_name, timeout=wait, context=context)
    client = smtplib.SMTP(relay.host, relay.port, local_hostname=hello_name, timeout=wait)
    if relay.tls is TLSMode.STARTTLS:
        client.starttls(context=ssl.create_default_context())
    return client


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        [(code, refusal)] = error.recipients.values()
        return f"{code} {refusal.decode(errors='replace')}"
    if isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_error
        return f"{error.smtp_code} {reply.decode(errors='replace') if isinstance(reply, bytes) else reply}"
    return str(error) or type(error).__name__
