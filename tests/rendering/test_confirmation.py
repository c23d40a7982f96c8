"""The confirmation: asks one question, and holds no word that a visitor typed."""

import re

import pytest
from sample_digest import ADDRESS, SITE

from newsletter.rendering.email import render_confirmation
from newsletter.rendering.languages import load_language


def confirmation(code="en", **more):
    values = {
        "list_title": "The week",
        "newsroom": "City Press",
        "postal_address": ADDRESS,
        "confirm_url": f"{SITE}/confirm/token",
        "not_me_url": f"{SITE}/confirm/token?not-me",
    }
    return render_confirmation(load_language(code), **(values | more))


@pytest.mark.parametrize(
    ("code", "subject"),
    [
        ("en", "Please confirm: The week"),
        ("ru", "Подтвердите подписку: The week"),
        ("ky", "Жазылууну ырастаңыз: The week"),
    ],
)
def test_the_subject_names_the_list(code, subject):
    assert subject == confirmation(code).subject


@pytest.mark.parametrize("code", ["en", "ru", "ky"])
def test_both_parts_hold_both_links_and_the_address(code):
    mail = confirmation(code)

    for part in (mail.text, mail.html):
        assert f"{SITE}/confirm/token" in part
        assert f"{SITE}/confirm/token?not-me" in part
        assert ADDRESS in part


def test_the_text_has_short_lines_and_links_of_their_own():
    for line in confirmation("ru").text.splitlines():
        assert len(line) <= 74
        assert "https://" not in line or line.startswith("https://")


def test_a_hostile_title_stays_text():
    mail = confirmation(list_title='<b onclick="x">\r\nBcc: a@b.example')

    assert "\n" not in mail.subject
    assert not re.search(r"<b[ >]", mail.html)


def test_a_logo_takes_the_place_of_the_name():
    assert f'src="{SITE}/logo.png"' in confirmation(logo_url=f"{SITE}/logo.png").html
