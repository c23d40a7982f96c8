"""Pages: one layout in every language and direction, its style allowed by its hash."""

import base64
import hashlib
import re

import pytest

from newsletter.rendering.colours import contrast
from newsletter.rendering.languages import load_language
from newsletter.rendering.pages import Site, render_page, render_stylesheet, style_source

SITE = Site("City <Press>", "https://news.example.org", "#ffcc00", languages=(load_language("en"),))


@pytest.fixture
def home(tmp_path):
    page = tmp_path / "templates/web/page.html"
    page.parent.mkdir(parents=True)
    page.write_text(
        '{% extends "web/base.html" %}{% import "web/macros.html" as ui with context %}'
        "{% block content %}<h1>{{ heading }}</h1>"
        '{{ ui.field("address", "Address", type="email", error=problem, hint="Where to") }}'
        '{{ ui.choices("topic", "Topics", [(1, "Water", 0), (2, "Lakes", 1)], chosen=[2]) }}{{ ui.trap() }}'
        '{% call ui.notice("good") %}Done{% endcall %}{{ ui.button("Go") }}{% endblock %}'
    )
    (tmp_path / "locales").mkdir()
    (tmp_path / "locales/ar.po").write_text('msgid ""\nmsgstr "Language: ar\\n"\n')
    return tmp_path


def test_a_page_has_language_direction_and_escaped_values(home):
    page = render_page("page", load_language("ar", home), SITE, home=home, heading="<i>", problem="")

    assert '<html lang="ar" dir="rtl">' in page
    assert "<h1>&lt;i&gt;</h1>" in page
    assert "City &lt;Press&gt;" in page


def test_a_wrong_field_is_connected_with_its_error(home):
    page = render_page("page", load_language("en"), SITE, home=home, heading="", problem="Not an address")

    assert 'aria-describedby="address-hint address-error"' in page
    assert '<p class="error" id="address-error">Not an address</p>' in page


def test_what_was_chosen_is_ticked(home):
    page = render_page("page", load_language("en"), SITE, home=home, heading="", problem="")

    assert 'value="2" checked' in page
    assert 'value="1">' in page


def test_a_page_shows_itself_in_other_languages(home):
    tongues = [(load_language(code), f"/p?lang={code}") for code in ("en", "ky")]
    page = render_page("page", load_language("en"), SITE, home=home, heading="", problem="", tongues=tongues)

    assert 'href="/p?lang=ky" lang="ky" hreflang="ky">Кыргызча</a>' in page
    assert 'lang="en" hreflang="en" aria-current="true">English</a>' in page


def test_the_policys_hash_is_that_of_the_style_in_the_page(home):
    page = render_page("page", load_language("en"), SITE, home=home, heading="", problem="")
    style = re.search("<style>(.*?)</style>", page, re.DOTALL).group(1)

    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"'sha256-{digest}'" == style_source(SITE, load_language("en"))


def test_a_pale_accent_is_darkened_until_it_can_be_read():
    sheet = render_stylesheet(SITE, load_language("en"))
    light, dark = re.findall("--accent: (#[0-9a-f]{6})", sheet)

    assert 4.5 <= contrast(light, "#ffffff")
    assert 4.5 <= contrast(dark, "#1c2127")
