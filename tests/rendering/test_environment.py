"""Templates: found, overlaid, and their mistakes told in words."""

import pytest

from newsletter.errors import InvalidError
from newsletter.rendering.environment import render
from newsletter.rendering.languages import load_language

ENGLISH = load_language("en")


@pytest.fixture
def own(tmp_path):
    """A home folder with templates of its own: call it with a name and text."""

    def write(name, text):
        path = tmp_path / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_an_undefined_name_is_an_error_with_template_line_name_and_remedy(own):
    home = own("web/odd.html", "<p>\n{{ title }}\n{{ titel }}</p>")

    with pytest.raises(InvalidError, match=r"web/odd\.html, line 3: 'titel' is undefined.*given: .*title"):
        render("web/odd.html", ENGLISH, {"title": "T"}, home=home)


def test_an_undefined_name_inside_a_parent_names_the_parent(own):
    own("web/parent.html", "<p>\n{{ nobody }}</p>")
    home = own("web/child.html", '{% extends "web/parent.html" %}')

    with pytest.raises(InvalidError, match=r"web/parent\.html, line 2: 'nobody' is undefined"):
        render("web/child.html", ENGLISH, {}, home=home)


def test_a_template_that_cannot_be_parsed_names_its_line(own):
    home = own("web/broken.html", "<p>\n{% if %}</p>")

    with pytest.raises(InvalidError, match=r"web/broken\.html, line 2: "):
        render("web/broken.html", ENGLISH, {}, home=home)


def test_a_missing_template_says_where_to_put_it(own):
    home = own("web/other.html", "")

    with pytest.raises(InvalidError, match=rf"web/none\.html does not exist; put it into {home}/templates or "):
        render("web/none.html", ENGLISH, {}, home=home)


def test_a_template_may_not_reach_behind_its_values(own):
    home = own("web/sly.html", "{{ ().__class__.__base__.__subclasses__() }}")

    with pytest.raises(InvalidError, match=r"web/sly\.html"):
        render("web/sly.html", ENGLISH, {}, home=home)


def test_html_is_escaped_and_text_is_not(own):
    own("a.html", "{{ word }} {{ _('Hello %(name)s', name=word) }}")
    home = own("a.txt", "{{ word }} {{ _('Hello %(name)s', name=word) }}")

    assert "&lt;b&gt; Hello &lt;b&gt;" == render("a.html", ENGLISH, {"word": "<b>"}, home=home)
    assert "<b> Hello <b>" == render("a.txt", ENGLISH, {"word": "<b>"}, home=home)


def test_messages_of_a_catalogue_are_text_and_never_markup(own, tmp_path):
    (tmp_path / "locales").mkdir()
    (tmp_path / "locales" / "en.po").write_text('msgid "Hi"\nmsgstr "<script>"\n', encoding="utf-8")
    home = own("a.html", "{{ _('Hi') }}")

    assert "&lt;script&gt;" == render("a.html", load_language("en", home), {}, home=home)


def test_an_own_template_may_build_on_the_shipped_one(own):
    home = own("web/base.html", '{% extends "shipped/web/base.html" %}{% block content %}Ours{% endblock %}')
    own("web/page.html", '{% extends "web/base.html" %}')
    site = {"name": "N", "base_url": "https://n.example", "logo_url": "", "postal_address": ""}

    page = render("web/page.html", ENGLISH, {"site": site, "stylesheet": ""}, home=home)

    assert "Ours" in page
    assert "<!DOCTYPE html>" in page
