"""Catalogues: complete, with the same places to fill, and nothing that nobody says."""

import re
from functools import cache
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from newsletter.rendering.environment import templates_folder
from newsletter.rendering.languages import SHIPPED

CODES = ["en", "ru", "ky"]
PLACE = re.compile(r"%\((\w+)\)s")


@cache
def messages_in_use():
    """Every message of the templates and the code, by where it is said: a string, or singular and plural."""
    jinja = [("**.html", "jinja2.ext:babel_extract"), ("**.txt", "jinja2.ext:babel_extract")]
    places = [(templates_folder(), jinja), (Path(SHIPPED).parents[1], [("**.py", "python")])]
    return {
        message: f"{name}:{line}"
        for folder, methods in places
        for name, line, message, *_ in extract_from_dir(folder, methods, {"**": {"silent": "false"}})
    }


@cache
def catalogue(code):
    with (SHIPPED / f"{code}.po").open("rb") as file:
        return {message.id: message.string for message in read_po(file, abort_invalid=True) if message.id}


def test_there_are_messages():
    assert "Unsubscribe" in messages_in_use()
    assert ("%(count)s new item", "%(count)s new items") in messages_in_use()


@pytest.mark.parametrize("code", CODES)
def test_no_catalogue_lacks_a_message(code):
    missing = {message: place for message, place in messages_in_use().items() if message not in catalogue(code)}

    assert {} == missing


@pytest.mark.parametrize("code", CODES)
def test_no_catalogue_keeps_a_message_that_nobody_says(code):
    assert set() == set(catalogue(code)) - set(messages_in_use())


@pytest.mark.parametrize("code", ["ru", "ky"])
def test_every_message_is_translated(code):
    forms = {"ru": 3, "ky": 2}[code]
    untranslated = [
        message
        for message, string in catalogue(code).items()
        if not (len(string) == forms and all(string) if isinstance(message, tuple) else string)
    ]

    assert [] == untranslated


@pytest.mark.parametrize("code", ["ru", "ky"])
def test_translations_fill_the_same_places(code):
    for message, string in catalogue(code).items():
        originals, strings = (value if isinstance(value, tuple | list) else (value,) for value in (message, string))
        for form in strings:
            assert set(PLACE.findall(originals[-1])) == set(PLACE.findall(form)), message
            assert "%" not in PLACE.sub("", form), f"{message}: a stray %"


@pytest.mark.parametrize("code", ["ru", "ky"])
def test_cyrillic_messages_have_no_latin_letters_inside_a_word(code):
    for string in catalogue(code).values():
        for form in string if isinstance(string, tuple | list) else (string,):
            assert not re.search(r"[а-яёңөү][a-z]|[a-z][а-яёңөү]", PLACE.sub("", form), re.IGNORECASE), form
