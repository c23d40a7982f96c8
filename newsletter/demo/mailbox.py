"""The demo's mailbox: pages on which a person opens any mail that arrived, as HTML, as text and as it came.

The HTML of a mail stands in a sandboxed frame: nothing in it runs, and its links open in a new window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import default
from email.utils import parsedate_to_datetime
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from newsletter.config import Settings
from newsletter.demo.mailserver import MailStore, ReceivedMail
from newsletter.rendering.languages import load_language
from newsletter.rendering.pages import render_page
from newsletter.web.visits import site_of

MAILS_ON_A_PAGE = 40
LONGEST_HEADER = 64 * 1024
"""Bytes of a mail that are looked at for a line of the list."""

PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src http: https: data:; frame-ancestors 'self'"
)
_OPEN_ELSEWHERE = '<base target="_blank">'


@dataclass(frozen=True, slots=True)
class Line:
    """A mail as the list shows it; *list_slug* is empty for mail of no list, such as a confirmation."""

    number: int
    recipient: str
    sender: str
    subject: str
    list_slug: str
    sent_at: datetime | None
    size: int


@dataclass(frozen=True, slots=True)
class OpenMail:
    """A mail as its page shows it; *source* is the mail as it came, read as Latin-1, so that every byte is seen."""

    line: Line
    headers: tuple[tuple[str, str], ...]
    text: str
    html: str
    source: str


def mailbox_routes(settings: Settings, mails: MailStore, zone: ZoneInfo) -> list[Route | Mount]:
    """Return the routes of the mailbox, below /mailbox, and of the sample's images, below /demo/images."""
    pages = _Pages(settings, mails, zone)
    return [
        Route("/mailbox", pages.show_list),
        Route("/mailbox/{number:int}", pages.show_mail),
        Route("/mailbox/{number:int}/frame", pages.show_frame),
        Route("/mailbox/{number:int}.eml", pages.download),
        Mount("/demo/images", StaticFiles(directory=str(files("newsletter.demo") / "images"))),
    ]


@lru_cache(maxsize=20_000)
def read_line(mail: ReceivedMail) -> Line:
    """Read a mail's headers as far as the list shows them; every mail only once."""
    with mail.path.open("rb") as file:
        beginning = file.read(LONGEST_HEADER)
    headers = BytesHeaderParser().parsebytes(beginning)
    return Line(
        number=mail.envelope.number,
        recipient=", ".join(mail.envelope.recipients),
        sender=_decoded(headers.get("From")),
        subject=_decoded(headers.get("Subject")) or "(no subject)",
        list_slug=_decoded(headers.get("List-Id")).rpartition("<")[2].partition(".")[0].rstrip(">"),
        sent_at=_instant(headers.get("Date")),
        size=mail.path.stat().st_size,
    )


def open_mail(mail: ReceivedMail) -> OpenMail:
    """Read a whole mail with the standard library's parser, which is not ours."""
    content = mail.content
    message = message_from_bytes(content, policy=default)
    return OpenMail(
        line=read_line(mail),
        headers=tuple((name, str(value)) for name, value in message.items()),
        text=_part(message, "plain"),
        html=_part(message, "html"),
        source=content.decode("latin-1"),
    )


def find_lines(mails: Sequence[ReceivedMail], *, words: str, list_slug: str) -> list[Line]:
    """Return the lines of mails to, or about, *words* and of a list, the newest first; nothing chooses everything."""
    wanted = words.casefold().split()
    found = []
    for mail in reversed(mails):
        line = read_line(mail)
        about = f"{line.recipient} {line.subject}".casefold()
        if (not list_slug or line.list_slug == list_slug) and all(word in about for word in wanted):
            found.append(line)
    return found


class _Pages:
    """The pages over one store; each reads files, so it runs in a thread."""

    def __init__(self, settings: Settings, mails: MailStore, zone: ZoneInfo) -> None:
        self._settings, self._mails, self._zone = settings, mails, zone

    async def show_list(self, request: Request) -> Response:
        return await run_in_threadpool(self._list, request)

    async def show_mail(self, request: Request) -> Response:
        return await run_in_threadpool(self._mail, request)

    async def show_frame(self, request: Request) -> Response:
        html = (await run_in_threadpool(open_mail, self._find(request))).html
        place = html.lower().find("<head>") + len("<head>") if "<head>" in html.lower() else 0
        framed = html[:place] + _OPEN_ELSEWHERE + html[place:]
        return HTMLResponse(framed, headers={"content-security-policy": MAIL_POLICY, "referrer-policy": "no-referrer"})

    async def download(self, request: Request) -> Response:
        mail = self._find(request)
        name = f"mail-{mail.envelope.number:06}.eml"
        disposition = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(await run_in_threadpool(lambda: mail.content), media_type="message/rfc822", headers=disposition)

    def _list(self, request: Request) -> Response:
        asked = request.query_params
        words, list_slug = asked.get("to", ""), asked.get("list", "")
        mails = list(self._mails)
        found = find_lines(mails, words=words, list_slug=list_slug)
        last_page = max(1, -(-len(found) // MAILS_ON_A_PAGE))
        page = min(_number(asked.get("page", "")), last_page)
        return self._page(
            "mailbox",
            lines=found[(page - 1) * MAILS_ON_A_PAGE : page * MAILS_ON_A_PAGE],
            words=words,
            list_slug=list_slug,
            lists=sorted({read_line(mail).list_slug for mail in mails}),
            count=len(found),
            total=len(mails),
            page=page,
            last_page=last_page,
        )

    def _mail(self, request: Request) -> Response:
        mail = open_mail(self._find(request))
        shown = request.query_params.get("as", "html" if mail.html else "text")
        numbers = len(self._mails)
        return self._page("mailbox-mail", mail=mail, shown=shown, newer=mail.line.number < numbers)

    def _page(self, name: str, **context: object) -> HTMLResponse:
        settings = self._settings
        language = load_language("en", settings.home)
        html = render_page(name, language, site_of(settings), home=settings.home, local=self._local, **context)
        return HTMLResponse(html, headers={"content-security-policy": PAGE_POLICY})

    def _find(self, request: Request) -> ReceivedMail:
        try:
            return self._mails[request.path_params["number"]]
        except IndexError as error:
            raise HTTPException(404) from error

    def _local(self, instant: datetime | None) -> str:
        return f"{instant.astimezone(self._zone):%a %-d %b %Y, %H:%M}" if instant else ""


def _number(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < len("1000000") else 1


def _decoded(header: str | None) -> str:
    try:
        return str(make_header(decode_header(header))) if header else ""
    except (HeaderParseError, LookupError, ValueError):
        return header or ""


def _instant(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header) if header else None
    except ValueError:
        return None


def _part(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    return str(part.get_content()) if part is not None else ""
