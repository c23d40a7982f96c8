"""`newsletter dkim`: what it prints goes into the DNS and into the settings as it stands, and then works."""

import json
import re
import stat
from datetime import UTC, datetime

import pytest
from dkim_verifier import Receiver
from typer.testing import CliRunner

from newsletter.cli.dkim import app as dkim
from newsletter.cli.main import cli
from newsletter.config import load_settings
from newsletter.errors import ConflictError, InvalidError
from newsletter.mail.headers import NoticeHeaders, Recipient
from newsletter.mail.message import build_notice
from newsletter.services.signing import signer_of

NOW = datetime(2026, 3, 16, 2, 0, tzinfo=UTC)
KEYGEN = ["keygen", "--selector", "news2026", "--domain", "news.example.org", "--out"]
NOTICE = NoticeHeaders(
    subject="Confirm",
    from_name="City",
    from_address="news@news.example.org",
    language="en",
    mail_domain="news.example.org",
)


def run(*words):
    return CliRunner().invoke(dkim, [str(word) for word in words])


def facts(*words):
    result = run(*words, "--json")
    assert 0 == result.exit_code, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What keygen told of an RSA key."""
    return facts(*KEYGEN, tmp_path_factory.mktemp("keys") / "news 2026.pem")


@pytest.fixture
def environment(made, monkeypatch):
    """The setting that keygen asked for."""
    monkeypatch.setenv(*made["setting"].split("=", 1))


@pytest.mark.parametrize("options", [[], ["--ed25519"]], ids=["rsa", "ed25519"])
def test_a_new_key_signs_what_its_record_verifies(tmp_path, monkeypatch, options):
    told = facts(*KEYGEN, tmp_path / "key.pem", *options)
    monkeypatch.setenv(*told["setting"].split("=", 1))
    recipient = Recipient(address="ann@example.net", token="c" * 32, sent_at=NOW)
    mail = build_notice(NOTICE, recipient, text="Confirm\n", html="<p>Confirm", signer=signer_of(load_settings()))
    receiver = Receiver({told["name"]: "".join(told["strings"])})

    assert [True] == receiver.verdicts(b"".join(mail), at=NOW)
    assert ("TXT", "".join(told["strings"])) == (told["type"], told["value"])
    assert 255 >= max(map(len, told["strings"]))
    assert 0o600 == stat.S_IMODE((tmp_path / "key.pem").stat().st_mode)


def test_a_person_can_copy_the_record_and_the_setting(tmp_path):
    """Unbroken, however narrow the terminal is, and as a line of a zone file."""
    shown = run(*KEYGEN, tmp_path / "key.pem").stdout
    value = re.search(r"^  value  (v=DKIM1; k=rsa; p=[A-Za-z0-9+/]{392})$", shown, flags=re.MULTILINE)[1]
    line = re.search(r'^  news2026\._domainkey\.news\.example\.org\. IN TXT \( "(.*)" "(.*)" \)$', shown, re.MULTILINE)

    assert value == line[1] + line[2]
    assert f"\n  NEWSLETTER_DKIM_KEYS=news2026:{tmp_path}/key.pem\n" in shown
    assert "BEGIN" not in shown


def test_a_key_is_never_overwritten(made):
    result = run(*KEYGEN, made["file"])

    assert isinstance(result.exception, ConflictError)
    assert {key: made[key] for key in ("name", "type", "value", "strings")} == facts(
        "record", made["file"], "--selector", "news2026", "--domain", "news.example.org"
    )


@pytest.mark.parametrize("wrong", [("--selector", "a b"), ("--domain", "localhost")])
def test_nothing_is_written_for_names_that_the_dns_cannot_have(tmp_path, wrong):
    result = run(*KEYGEN, tmp_path / "key.pem", *wrong)

    assert isinstance(result.exception, InvalidError)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_a_record_is_told_again_by_what_the_settings_say(made, monkeypatch):
    monkeypatch.setenv("NEWSLETTER_BASE_URL", "https://news.example.org")
    told = facts("record", made["file"])
    monkeypatch.setenv("NEWSLETTER_DKIM_DOMAIN", "example.org")

    assert (made["name"], made["value"]) == (told["name"], told["value"])
    assert "news2026._domainkey.example.org" == facts("record", made["file"])["name"]
    assert f"name   news2026._domainkey.example.org\n  type   TXT\n  value  {made['value']}\n" in (
        run("record", made["file"]).stdout
    )


def test_a_record_needs_a_selector_from_somewhere(made):
    result = run("record", made["file"])

    assert isinstance(result.exception, InvalidError)
    assert "--selector NAME" in str(result.exception)


@pytest.mark.parametrize("words", [["keygen"], ["keygen", "--selector", "s1"], ["record"]])
def test_wrong_use_exits_with_two(words):
    assert 2 == run(*words).exit_code


def test_help_teaches_by_example():
    shown = CliRunner().invoke(cli, ["dkim", "keygen", "--help"]).stdout

    assert "newsletter dkim keygen --selector news2026 --domain example.org --out" in " ".join(
        shown.replace("│", " ").split()
    )
