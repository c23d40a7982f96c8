"""What readers find in their mailboxes: mails as they came over SMTP, read back by the standard library alone."""

import email
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from html import unescape

from newsletter.mail.inspection import LENIENT, problems

LINK = re.compile(r"https?://[^\s\"'<>]+")
VIEW = re.compile(r"/archive/(?P<list>[\w-]+)/(?P<slot>[^/\s\"]+)/(?P<language>[\w-]+)/[0-9a-f]{16}")
TOKEN = re.compile(r"/(?:unsubscribe|preferences)/([\w-]+)")
ADDRESS = re.compile(r"(?<![\w.+-])[\w.+-]+@readers\.example")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail in a mailbox; *articles* are uids, in text and in HTML the same, or it is not read at all."""

    to: str
    list_slug: str
    slot_key: str
    language: str
    articles: frozenset[str]
    tokens: frozenset[str]
    addresses: frozenset[str]
    message_id: str
    message: EmailMessage


def read_mail(content: bytes, uid_of: Mapping[str, str]) -> Mail:
    """Read one digest; fails where it breaks a rule of mail or its parts say different things.

    *uid_of*: which article each link leads to.
    """
    assert [] == problems(content)
    message = email.message_from_bytes(content, policy=LENIENT)
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    in_text, in_html = (
        {uid_of[link] for link in LINK.findall(unescape(part)) if link in uid_of} for part in (text, html)
    )
    assert in_text == in_html
    view = VIEW.search(html)
    everything = "\n".join((str(message["List-Unsubscribe"]), text, html))
    return Mail(
        to=str(message["To"]),
        list_slug=view["list"],
        slot_key=view["slot"],
        language=view["language"],
        articles=frozenset(in_html),
        tokens=frozenset(match[1] for match in TOKEN.finditer(everything)),
        addresses=frozenset(ADDRESS.findall(everything + content.decode("ascii"))),
        message_id=str(message["Message-ID"]),
        message=message,
    )
