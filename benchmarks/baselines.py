"""What others do: smtplib with finished mails, and the plain loop that makes each reader's mail from a template."""

import logging
import smtplib
import statistics
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from premailer import Premailer

from benchmarks.edition import LARGE, NOW, articles_of
from benchmarks.measures import rate_of
from benchmarks.service import Edition, worker
from newsletter.config import Settings
from newsletter.demo.mailserver import MailServer

TEMPLATES = Path(__file__).with_name("plain")
SENDER = "news@newsroom.example"
READER = "reader@readers.example"
SAMPLES = 200


def sample_mails(edition: Edition, settings: Settings) -> list[bytes]:
    """Return what the service sends to some readers, chosen at random."""
    edition.queue(SAMPLES, at_random=True)
    with MailServer() as server:
        told = settings.model_copy(update={"smtp_url": server.url})
        with worker(told, processes=1):
            edition.send(told)
        return [mail.content for mail in server.mails]


def average_bytes(mails: Sequence[bytes]) -> float:
    """Return how large they are."""
    return statistics.mean(map(len, mails))


def send_with_smtplib(port: int, mails: Sequence[bytes], count: int, *, threads: int = 1) -> float:
    """Send finished mails over kept connections, one in each thread; return the mails a second."""
    connections = threading.local()
    opened: list[smtplib.SMTP] = []

    def send(number: int) -> None:
        if not hasattr(connections, "smtp"):
            connections.smtp = smtplib.SMTP("127.0.0.1", port)
            opened.append(connections.smtp)
        connections.smtp.sendmail(SENDER, [READER], mails[number % len(mails)])

    with ThreadPoolExecutor(threads) as pool:
        rate = rate_of(lambda: list(pool.map(send, range(count))), count)
    for smtp in opened:
        smtp.quit()
    return rate


def send_with_the_plain_loop(port: int, readers: int) -> float:
    """Render, inline, build and send a mail for each reader over one connection; return the mails a second.

    As a newsroom's first own program does it, but without its mistakes: the templates are compiled once, the style
    sheet is not validated, the connection is kept.
    """
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        return rate_of(partial(_send_each, smtp, readers), readers)


def _send_each(smtp: smtplib.SMTP, readers: int) -> None:
    for mail in plain_mails(readers):
        smtp.send_message(mail)


def plain_mails(readers: int) -> Iterator[EmailMessage]:
    """Make a mail for each reader, anew from the articles."""
    templates = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
    html, text = templates.get_template("body.html"), templates.get_template("body.txt")
    articles = articles_of(LARGE)
    for number in range(readers):
        address = f"reader.{number}@readers.example"
        words = {"newsroom": "Newsroom", "title": "News", "language": "en", "address": address, "articles": articles}
        token = f"{number:032x}"
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = articles[0]["title"], SENDER, address
        mail["Date"], mail["Message-ID"] = format_datetime(NOW), make_msgid(domain="news.example.org")
        mail["List-Unsubscribe"] = f"<https://news.example.org/unsubscribe/{token}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail.set_content(text.render(**words, token=token))
        page = html.render(**words, token=token)
        inliner = Premailer(page, disable_validation=True, cssutils_logging_level=logging.CRITICAL)
        mail.add_alternative(inliner.transform(), subtype="html")
        yield mail
