"""Settings: the key that an installation makes for itself, and secrets that are never printed."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from newsletter.config import MINIMUM_SECRET_LENGTH, Settings, load_settings
from newsletter.errors import InvalidError

SECRET = "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t"


def test_an_installation_makes_its_key_once_and_for_its_owner_alone(home):
    first = Settings(home=home / "new").secret

    assert MINIMUM_SECRET_LENGTH <= len(first)
    assert first == Settings(home=home / "new").secret
    assert ["secret.key"] == [each.name for each in (home / "new").iterdir()]
    assert 0o600 == (home / "new" / "secret.key").stat().st_mode & 0o777


def test_a_process_that_comes_while_the_key_is_made_has_the_same_key(home, monkeypatch):
    """Neither an empty one, as of a file not written yet, nor one that the other process then overwrites."""
    real, others = secrets.token_hex, []

    def token_hex(size: int) -> str:
        if not others:
            others.append(b"")
            others[0] = Settings(home=home).secret
        return real(size)

    monkeypatch.setattr(secrets, "token_hex", token_hex)

    assert Settings(home=home).secret == others[0]
    assert MINIMUM_SECRET_LENGTH <= len(others[0])
    assert ["secret.key"] == [each.name for each in home.iterdir()]


def test_any_number_of_first_processes_have_one_key(home):
    barrier = Barrier(8)

    def first() -> bytes:
        barrier.wait()
        return Settings(home=home).secret

    with ThreadPoolExecutor(8) as pool:
        keys = {each.result() for each in [pool.submit(first) for _ in range(8)]}

    assert 1 == len(keys)
    assert ["secret.key"] == [each.name for each in home.iterdir()]


@pytest.mark.parametrize("content", ["", "\n", "x" * (MINIMUM_SECRET_LENGTH - 1)], ids=["empty", "blank", "short"])
def test_a_key_file_that_holds_no_key_is_refused_by_name(home, content):
    path: Path = home / "secret.key"
    path.write_text(content)

    with pytest.raises(InvalidError, match=rf"{path} holds \d+ characters"):
        _ = Settings(home=home).secret


def test_printed_settings_show_no_secret():
    settings = Settings(
        secret_key=SECRET,
        smtp_url=f"smtp://user:{SECRET}@localhost:25",
        database_url=f"postgresql://user:{SECRET}@localhost/news",
        broker_url=f"redis://:{SECRET}@localhost:6379/0",
    )

    assert SECRET not in f"{settings!r} {settings}"


def test_a_refusal_of_settings_shows_no_secret():
    """Its cause is in the traceback, which logs keep."""
    with pytest.raises(InvalidError) as refusal:
        load_settings(secret_key="too short")

    assert "too short" not in f"{refusal.value} {refusal.value.__cause__}"


def test_a_retired_key_signs_nothing_and_keys_what_is_kept():
    settings = load_settings(secret_key="n" * 32, retired_keys=f"{'m' * 32} {'o' * 32}")

    assert b"n" * 32 == settings.secret
    assert (b"m" * 32, b"o" * 32) == settings.retired_secrets
    assert b"o" * 32 == settings.lasting_secret
    assert b"n" * 32 == load_settings(secret_key="n" * 32).lasting_secret


@pytest.mark.parametrize("changes", [{"secret_key": "n" * 32, "retired_keys": "short"}, {"retired_keys": "o" * 32}])
def test_retired_keys_are_keys_beside_the_one_in_force(changes):
    with pytest.raises(InvalidError, match="NEWSLETTER_RETIRED_KEYS"):
        load_settings(**changes)


@pytest.mark.parametrize("address", ["a" * 32 + "@example.org", "новости@example.org", "nobody"])
def test_return_tags_need_an_address_with_room(address):
    with pytest.raises(InvalidError, match="NEWSLETTER_RETURN_TAGS"):
        load_settings(return_tags=True, return_path=address)


def default_of(name: str) -> str:
    """Return a setting's default as its table has it."""
    default = Settings.model_fields[name].default
    if name == "home":
        return "`~/.local/share/newsletter`"
    if isinstance(default, bool):
        return "on" if default else "off"
    words = ",".join(map(str, default)) if isinstance(default, tuple | frozenset) else str(default)
    return f"`{words}`" if words else ""


def test_every_setting_is_documented_with_what_it_means_and_its_default():
    """The table's words are those of the settings themselves: paste the row that this test asks for."""
    documented = (Path(__file__).parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = {line for line in documented.splitlines() if line.startswith("| `NEWSLETTER_")}
    fields = Settings.model_fields.items()

    assert rows == {
        f"| `NEWSLETTER_{name.upper()}` | {str(field.description).replace('|', chr(92) + '|')} | {default_of(name)} |"
        for name, field in fields
    }
