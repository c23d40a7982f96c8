"""The whole life of one subscriber, through HTTP and SMTP alone, on both databases."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from readers_newsroom import ReadersNewsroom, link_in, readers_newsroom, text_of

from newsletter.services.report_mailbox import take_report
from newsletter.web import sign_up, visits

pytestmark = pytest.mark.slow

ADDRESS = "aida@readers.example"


@pytest.fixture(params=["sqlite", "postgresql"])
def newsroom(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadersNewsroom]:
    """A newsroom on a port of its own; nobody waits for a form."""
    monkeypatch.setattr(sign_up, "QUICKEST", sign_up.QUICKEST * 0)
    monkeypatch.setattr(visits, "ANSWER_SECONDS", 0)
    postgresql = request.param == "postgresql"
    changes = {"database_url": request.getfixturevalue("postgres_url")} if postgresql else {}
    with readers_newsroom(home, **changes) as opened:
        yield opened


def test_from_the_first_page_to_the_last_mail(newsroom: ReadersNewsroom) -> None:
    with httpx.Client(timeout=30) as browser:

        def page(address: str, /, **form: str) -> str:
            answer = browser.post(address, data=form) if form else browser.get(address)
            assert 200 == answer.status_code, (address, answer.text)
            return answer.text

        stamp = re.search(r'name="stamp" value="([^"]+)"', page(f"{newsroom.url}/subscribe"))
        assert stamp is not None
        choice = {"address": ADDRESS, "list": "weekly", "topic": "water", "language": "ru", "cadence-weekly": "weekly"}
        page(f"{newsroom.url}/subscribe", stamp=stamp[1], **choice)
        asked = newsroom.mails_to(ADDRESS)
        page(newsroom.link(ADDRESS, "confirm"))
        newsroom.send_week()
        unconfirmed = newsroom.mails_to(ADDRESS)
        page(newsroom.link(ADDRESS, "confirm"), action="confirm")
        newsroom.a_week_later()
        newsroom.publish(7)
        newsroom.send_week()
        digest = newsroom.mails_to(ADDRESS)[-1]
        text = text_of(digest)
        history = page(link_in(text, "preferences") + "/sent")
        view = page(link_in(text, "archive/weekly/[^/]+/ru"))
        unsubscribe = re.findall(r"<(http[^>]+)>", str(digest["list-unsubscribe"]))[0]
        page(unsubscribe, **{"List-Unsubscribe": "One-Click"})
        page(unsubscribe, action="undo")
        subject = re.findall(r"subject=([^>]+)>", str(digest["list-unsubscribe"]))[0].replace("%20", " ")
        take_report(newsroom.app, f"From: {ADDRESS}\r\nSubject: {subject}\r\n\r\n".encode())
        newsroom.a_week_later()
        newsroom.publish(8)
        newsroom.send_week()

    assert 1 == len(asked) == len(unconfirmed)
    assert "Таза суу" not in text
    assert "Чистая вода дошла до школы 7" in text
    assert "Вы выбрали: Вода" in history
    assert "Подписаться" in view or "Подписка" in view
    assert ADDRESS not in view + history
    assert 2 == len(newsroom.mails_to(ADDRESS))
