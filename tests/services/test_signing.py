"""Keys that the settings name: used for all mail, or no mail goes out and everybody is told why."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dkim_verifier import Receiver, signatures
from newsroom import DAY, HOUR, Newsroom

from newsletter.bootstrap import build_app
from newsletter.clock import fixed_clock
from newsletter.config import load_settings
from newsletter.demo.mailserver import MailServer
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.lists import InDoubtPolicy
from newsletter.embedded import run_until_idle
from newsletter.errors import InvalidError
from newsletter.mail.dkim_keys import KeyKind, key_record, make_key, save_key
from newsletter.services.checks import Level, examine
from newsletter.services.sends import start_send
from newsletter.services.sign_ups import SignUpRequest, Wish, subscribe
from newsletter.services.signing import signer_of
from newsletter.storage.recovery import resend_doubted

NOW = datetime(2026, 3, 16, 2, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A file with a key of each kind; its kind is its selector."""
    folder = tmp_path_factory.mktemp("keys")
    made = {kind: make_key(kind) for kind in KeyKind}
    for kind, key in made.items():
        save_key(key, folder / kind)
    return {kind: (key, folder / kind) for kind, key in made.items()}


@pytest.fixture
def setting(keys):
    return ",".join(f"{kind}:{path}" for kind, (_, path) in keys.items())


@pytest.fixture
def receiver(keys):
    """Somebody who finds our keys in the DNS, under one domain alone."""
    records = [key_record(key, selector=kind, domain="example.org") for kind, (key, _) in keys.items()]
    return Receiver({record.name: record.value for record in records})


@pytest.fixture
def signed_newsroom(mailing_newsroom, setting):
    """A newsroom on both databases, with a real SMTP server as its relay, that signs for example.org."""
    settings = load_settings(dkim_keys=setting)
    changes = {"dkim_keys": settings.dkim_keys, "dkim_domain": "example.org"}
    app = mailing_newsroom.app
    mailing_newsroom.app = replace(app, settings=app.settings.model_copy(update=changes))
    return mailing_newsroom


@pytest.mark.slow
def test_every_mail_of_the_embedded_service_is_signed(home, setting, receiver, monkeypatch):
    """A confirmation and a digest, from the environment's words to a real SMTP server."""
    monkeypatch.setenv("NEWSLETTER_DKIM_KEYS", setting)
    monkeypatch.setenv("NEWSLETTER_DKIM_DOMAIN", "example.org")
    monkeypatch.setenv("NEWSLETTER_POSTAL_ADDRESS", "1 Example Street, Bishkek")
    wishes = {"wishes": [Wish("weekly")], "language": "ru", "basis": "Yes, mail me", "evidence": "form"}
    with MailServer() as server:
        settings = load_settings(home=home, smtp_url=server.url, base_url="https://news.example.org")
        app = build_app(settings, clock=fixed_clock(NOW))
        newsroom = Newsroom(app)
        newsroom.publish("Clean water", ru="Чистая вода")
        newsroom.subscribe("ann", "boris", language="ru")
        subscribe(app, SignUpRequest(address="new@readers.example", **wishes))
        start_send(app, "weekly", None, actor="staff")
        run_until_idle(app)
        app.database.dispose()
        mails = [mail.content for mail in server.mails]

    assert [[True, True]] * 3 == [receiver.verdicts(mail, at=NOW) for mail in mails]
    assert {"news@news.example.org", "news@example.org"} == {
        re.search(r"^From: (?:.*\r\n )?.*?([^< ]*@[^> \r]*)", mail.decode(), flags=re.MULTILINE)[1] for mail in mails
    }


@pytest.mark.slow
def test_a_mail_sent_again_is_the_same_to_the_byte(signed_newsroom, receiver):
    """By another builder, an hour later, after an answer was lost: receivers can see that it is one mail."""
    newsroom = signed_newsroom
    newsroom.add_list("press", in_doubt_policy=InDoubtPolicy.RESEND_ONCE)
    newsroom.publish("Clean water")
    newsroom.subscribe("ann", "boris", slug="press")
    deliveries = newsroom.deliveries(newsroom.fan_out("press"))
    newsroom.change(deliveries["boris"], available_at=NOW + 100 * 365 * DAY)  # keeps the edition open
    newsroom.send()
    newsroom.change(deliveries["ann"], state=DeliveryState.IN_DOUBT)
    newsroom.move(HOUR)
    with newsroom.app.transaction() as tx:
        resend_doubted(tx.session, evidence_wait=timedelta())
    newsroom.send()
    first, second = newsroom.mails()["ann"]

    assert first == second
    assert [True, True] == receiver.verdicts(first, at=NOW)


@pytest.mark.slow
def test_no_mail_goes_out_unsigned_while_a_key_is_not_usable(signed_newsroom, keys, receiver):
    """It waits, has lost no try, and goes out once the key is mended; no process has to be started anew."""
    signed_newsroom.publish("Clean water")
    signed_newsroom.subscribe("ann")
    edition_id = signed_newsroom.fan_out()
    _, path = keys[KeyKind.RSA]
    late = path.parent / f"late-{signed_newsroom.app.database.engine.dialect.name}"
    settings = signed_newsroom.app.settings.model_copy(update={"dkim_keys": (("rsa", late),)})
    signed_newsroom.app = replace(signed_newsroom.app, settings=settings)

    with pytest.raises(InvalidError, match=r"^NEWSLETTER_DKIM_KEYS: .*late-\w+ does not exist; make a key with"):
        signed_newsroom.send()
    assert {"ann": DeliveryState.QUEUED} == signed_newsroom.states(edition_id)

    late.write_bytes(path.read_bytes())
    signed_newsroom.send()

    assert {"ann": DeliveryState.ACCEPTED} == signed_newsroom.states(edition_id)
    assert [1, 1] == [signed_newsroom.deliveries(edition_id)["ann"].attempts, len(signed_newsroom.mails()["ann"])]
    assert [True] == receiver.verdicts(signed_newsroom.mails()["ann"][0], at=NOW)


@pytest.mark.slow
def test_a_list_of_another_domain_is_signed_for_that_domain(signed_newsroom):
    """Aligned with its From, as DMARC wants it, and doctor says where the keys must be published too."""
    signed_newsroom.add_list("press", from_address="press@ministry.example")
    signed_newsroom.publish("Clean water")
    signed_newsroom.subscribe("ann", slug="press")
    signed_newsroom.fan_out("press")
    signed_newsroom.send()
    (mail,) = signed_newsroom.mails()["ann"]
    findings = {each.check: each for each in examine(signed_newsroom.app)}

    assert ["ministry.example"] * 2 == [signature["d"] for signature in signatures(mail)]
    assert "signed for ministry.example too: the same records belong there" == findings["DKIM of lists"].found


def test_keys_are_read_once_per_process(settings, setting):
    settings = settings.model_copy(update={"dkim_keys": load_settings(dkim_keys=setting).dkim_keys})

    assert signer_of(settings) is signer_of(settings.model_copy())
    assert ["rsa", "ed25519"] == [key.selector for key in signer_of(settings).keys]


def test_without_a_key_nothing_is_signed(settings):
    assert signer_of(settings) is None
    assert [] == list(load_settings(home=settings.home).dkim_keys)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"dkim_keys": "s1:{folder}/none.pem"}, "NEWSLETTER_DKIM_KEYS: .*none.pem does not exist"),
        ({"dkim_keys": "a b:{folder}/rsa"}, "NEWSLETTER_DKIM_KEYS: 'a b' is no selector"),
        ({"dkim_keys": "s1:{folder}/rsa", "dkim_domain": "not a domain"}, "NEWSLETTER_DKIM_DOMAIN: .* is no domain"),
        (
            {"dkim_keys": "s1:{folder}/rsa", "dkim_domain": "example.com"},
            "NEWSLETTER_DKIM_DOMAIN is example.com, and notices come from news@news.example.org: make it news.example",
        ),
    ],
    ids=["no file", "no selector", "no domain", "another domain"],
)
def test_settings_that_cannot_sign_are_named_to_senders_and_by_doctor(app, keys, variables, told):
    folder = keys[KeyKind.RSA][1].parent
    loaded = load_settings(**{name: value.format(folder=folder) for name, value in variables.items()})
    changes = {"dkim_keys": loaded.dkim_keys, "dkim_domain": loaded.dkim_domain}
    settings = app.settings.model_copy(update=changes)
    (finding,) = (each for each in examine(replace(app, settings=settings)) if each.check == "DKIM")

    with pytest.raises(InvalidError, match=f"^{told}"):
        signer_of(settings)
    assert Level.ERROR is finding.level
    assert re.match(told, finding.found)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("key.pem", "NEWSLETTER_DKIM_KEYS: write selector:path, such as"),
        (":key.pem", "NEWSLETTER_DKIM_KEYS: write selector:path"),
        ("s1:a.pem,s2", "commas separate several"),
        ("s1:a.pem, s1:b.pem", "a selector names one key; s1 stands here twice"),
    ],
)
def test_a_setting_of_another_form_is_refused_with_the_right_one(monkeypatch, value, told):
    monkeypatch.setenv("NEWSLETTER_DKIM_KEYS", value)

    with pytest.raises(InvalidError, match=told):
        load_settings()


def test_a_setting_may_name_several_keys(monkeypatch):
    monkeypatch.setenv("NEWSLETTER_DKIM_KEYS", " s1:a.pem, s2:/etc/b:c.pem ,")

    assert (("s1", Path("a.pem")), ("s2", Path("/etc/b:c.pem"))) == load_settings().dkim_keys


@pytest.mark.parametrize(
    ("kinds", "level", "words"),
    [
        ([], Level.WARNING, ["no key: mail goes out unsigned", "newsletter dkim keygen"]),
        (["ed25519"], Level.WARNING, ["which large providers do not read", "add an RSA key beside it"]),
        (["rsa", "ed25519"], Level.OK, ["rsa._domainkey.news.example.org (rsa-sha256), ed25519._domainkey.news"]),
    ],
    ids=["none", "ed25519", "both"],
)
def test_doctor_says_what_signs(app, keys, kinds, level, words):
    files = tuple((kind, keys[KeyKind(kind)][1]) for kind in kinds)
    settings = app.settings.model_copy(update={"dkim_keys": files})
    (finding,) = (each for each in examine(replace(app, settings=settings)) if each.check == "DKIM")

    assert level is finding.level
    assert [] == [each for each in words if each not in f"{finding.found} {finding.remedy}"]
