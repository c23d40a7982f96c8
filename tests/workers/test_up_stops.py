"""`newsletter up` asked to stop while it sends: the mail under way is answered and recorded, and nothing is left."""

import os
import signal
import subprocess
import sys
import time
from threading import Event

import pytest
from servers import _free_port
from smtp_server import Answer, ScriptedRelay, Turn
from sqlalchemy import select

from newsletter.bootstrap import build_app
from newsletter.config import Settings
from newsletter.dispatch import RecordingDispatcher
from newsletter.domain.deliveries import DeliveryState
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.settling import JOURNALS
from newsletter.services.sign_ups import SignUpRequest, Wish, subscribe
from newsletter.storage.deliveries import DeliveryRow

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_answer_to_a_mail_under_way_is_awaited_and_recorded(settings: Settings, number: signal.Signals):
    """As Celery's workers do; a supervisor sends TERM, a terminal INT."""
    is_here = Event()

    def answer_late(turn: Turn) -> Answer:
        if turn.verb == "DOT":
            is_here.set()
            time.sleep(1)
        return None

    with ScriptedRelay(answer_late).running() as relay:
        told = {
            "NEWSLETTER_HOME": str(settings.home),
            "NEWSLETTER_SMTP_URL": relay.url(),
            "NEWSLETTER_BASE_URL": settings.base_url,
            "NEWSLETTER_SECRET_KEY": settings.secret_key,
            "NEWSLETTER_POSTAL_ADDRESS": settings.postal_address,
        }
        command = [sys.executable, "-m", "newsletter", "up", "--port", str(_free_port())]
        app = build_app(settings, dispatcher=RecordingDispatcher())
        add_list(app, ListDraft(slug="weekly", titles={"en": "Weekly"}, from_address="news@newsroom.example"))
        wish = SignUpRequest(
            address="ann@readers.example",
            wishes=[Wish("weekly")],
            language="en",
            basis="Send me the news",
            evidence="the form at the front desk",
        )
        subscribe(app, wish)
        with subprocess.Popen(command, env={**os.environ, **told}, stdout=subprocess.DEVNULL) as process:
            while not is_here.wait(0.1):
                assert process.poll() is None
            process.send_signal(number)
            assert 0 == process.wait(60)

    with app.reading() as tx:
        assert [DeliveryState.ACCEPTED] == list(tx.session.scalars(select(DeliveryRow.state)))
    assert [] == list((settings.home / JOURNALS).iterdir())
    app.database.dispose()
