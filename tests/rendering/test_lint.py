"""Lint: our own mails pass, and each thing that can be wrong is seen."""

from functools import cache

import pytest
from sample_digest import ADDRESS, NONCE, SITE, UNSUBSCRIBE, a_digest, a_variant, filled_html, filled_text

from newsletter.domain.lists import Cadence
from newsletter.rendering.email import render_confirmation, render_digest
from newsletter.rendering.languages import load_language
from newsletter.rendering.lint import find_problems


def a_mail(digest, keys=None):
    blocks = render_digest(digest, NONCE)
    keys = keys or a_variant(digest)
    return filled_html(digest, blocks, keys), filled_text(digest, blocks, keys)


@cache
def the_mail():
    return a_mail(a_digest())


def problems(html=None, text=None):
    page, plain = the_mail()
    return find_problems(html or page, text or plain, postal_address=ADDRESS, unsubscribe_url=UNSUBSCRIBE)


@pytest.mark.parametrize("code", ["en", "ru", "ky"])
@pytest.mark.parametrize("accent", ["#0b5394", "#ffd400", "#000000", "#ffffff", "#777777"])
def test_our_digests_have_no_problems_in_any_colour(code, accent):
    digest = a_digest(code, accent_colour=accent, logo_url=f"{SITE}/logo.png", intro="Standing words.")
    html, text = a_mail(digest)

    assert () == find_problems(html, text, postal_address=ADDRESS, unsubscribe_url=UNSUBSCRIBE)


@pytest.mark.parametrize(
    "keys",
    [
        ["head", "lead:1:en", "foot"],
        ["head", "lead:7:en", "foot"],
        ["head", "events", "event:7:en", "foot"],
        ["head", "lead:2:en", "section:water", "brief:1:en", "more", "foot"],
    ],
    ids=["one item", "an event leads", "only events", "shortened"],
)
def test_short_variants_have_no_problems(keys):
    html, text = a_mail(a_digest(cadence=Cadence.IMMEDIATE, period=None), keys)

    assert () == find_problems(html, text, postal_address=ADDRESS, unsubscribe_url=UNSUBSCRIBE)


@pytest.mark.parametrize("code", ["en", "ru", "ky"])
def test_our_confirmations_have_no_problems(code):
    mail = render_confirmation(
        load_language(code),
        list_title="The week",
        newsroom="City Press",
        postal_address=ADDRESS,
        confirm_url=f"{SITE}/confirm/t",
        not_me_url=f"{SITE}/not-me/t",
    )

    assert () == find_problems(mail.html, mail.text, postal_address=ADDRESS, unsubscribe_url=f"{SITE}/not-me/t")


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("language", ' dir="ltr"', ""),
        ("table", ' role="presentation"', ""),
        ("image", ' alt="Lorries waiting at a checkpoint"', ""),
        ("image", f'src="{SITE}/i/queue.jpg"', 'src="data:image/png;base64,xx"'),
        ("image", 'width="640" height="360"', ""),
        ("link", 'alt="Lorries waiting at a checkpoint"', 'alt=""'),
        ("link", f'href="{SITE}/articles/1"', 'href="javascript:x()"'),
        ("headings", "<h1", "<h2"),
        ("headings", "<h2", "<h4"),
        ("element", "</head>", '<link rel="stylesheet" href="x.css"></head>'),
        ("element", "</body>", "<script></script></body>"),
        ("structure", "</h1>", "</h2>"),
        ("css", "max-width:640px", "display:flex"),
        ("css", "font-size:32px", "font-size:2rem"),
        ("css", "color:#1b2025", "color:var(--ink)"),
        ("css", "color:#1b2025", "color:rgb(0 0 0 / 50%)"),
        ("css", "@media (max-width", ":root{--ink:red}@media (max-width"),
        ("text size", "font-size:14px", "font-size:11px"),
        ("contrast", "color:#56606a", "color:#b0b0b0"),
        ("contrast", ".soft{color:#a9b4be", ".soft{color:#555555"),
        ("size", "</body>", f"{'x' * 90_000}</body>"),
        ("unsubscribe", UNSUBSCRIBE, f"{SITE}/elsewhere"),
        ("postal address", ADDRESS, ""),
        ("unfilled mark", "</body>", "<p>Zqwhy9Z0123456789abcdefqZ</p></body>"),
        ("control character", "</body>", "<p>\x0b</p></body>"),
    ],
)
def test_each_fault_of_the_html_is_seen(rule, before, after):
    html, _ = the_mail()
    assert before in html

    assert rule in {problem.rule for problem in problems(html=html.replace(before, after))}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("unsubscribe", UNSUBSCRIBE, ""),
        ("postal address", ADDRESS, ""),
        ("line length", "\n", " "),
        ("unfilled mark", "\n\n", "\n\nZqmoreZ0123456789abcdefqZ\n"),
    ],
)
def test_each_fault_of_the_text_is_seen(rule, before, after):
    _, text = the_mail()

    assert {rule} == {problem.rule for problem in problems(text=text.replace(before, after))}


def test_a_mail_without_text_is_a_fault():
    assert "text" in {problem.rule for problem in problems(text=" \n")}
