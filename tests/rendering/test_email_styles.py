"""The mail's style sheet: plain enough for premailer, and no rule of it in vain."""

import re

import pytest
from lxml import etree
from lxml import html as lxml_html
from sample_digest import ADDRESS, NONCE, SITE, a_digest

from newsletter.domain.announcements import Letter
from newsletter.rendering import email
from newsletter.rendering.environment import render
from newsletter.rendering.inlining import inlined
from newsletter.rendering.languages import load_language

ENGLISH = load_language("en")


def sheet(name):
    return render(f"email/{name}.css", ENGLISH, email._looks(ENGLISH, "#0b5394"))


def rules(css):
    return [
        (selector.strip(), dict(part.strip().split(":", 1) for part in body.split(";") if part.strip()))
        for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", css)
        for selector in selectors.split(",")
    ]


@pytest.fixture
def pages(monkeypatch):
    """A digest and a confirmation as premailer is given them."""
    monkeypatch.setattr(email, "inlined", lambda page: page)
    digests = [
        "".join(block.html for block in email.render_digest(a_digest(logo_url=logo, intro="x"), NONCE).values())
        for logo in ("", f"{SITE}/logo.png")
    ]
    words = "<h2>W</h2><h3>V</h3><p>P</p><ul><li>1</li></ul><ol><li>2</li></ol><blockquote>Q</blockquote>"
    announcement = email.render_digest(a_digest(letter=Letter("S", words, "W")), NONCE)
    digests.append("".join(announcement[key].html for key in ("head", "letter", "foot")))
    mail = email.render_confirmation(
        ENGLISH, list_title="L", newsroom="N", postal_address=ADDRESS, confirm_url=SITE, not_me_url=SITE
    )
    return [lxml_html.document_fromstring(page) for page in (*digests, mail.html)]


def test_every_rule_matches_something(pages):
    unused = [selector for selector, _ in rules(sheet("style")) if not any(page.cssselect(selector) for page in pages)]

    assert [] == unused


def test_every_class_for_dark_and_for_phones_is_in_use(pages):
    classes = set(re.findall(r"\.([a-z]\w*)", sheet("dark") + sheet("screens")))

    assert set() == {name for name in classes if not any(page.find_class(name) for page in pages)}


def test_every_class_in_use_has_a_rule(pages):
    names = {name for page in pages for value in page.xpath("//@class") for name in value.split()}

    assert set() == names - set(re.findall(r"\.([a-z]\w*)", sheet("style")))


def test_plain_rules_are_plain():
    css = sheet("style")

    assert css.count("{") == css.count("}") == len(re.findall(r"[^{}]+\{[^{}]*\}", css))
    assert not re.search(r"!important|@|--|var\(|/\*|:(?:hover|first|nth)|\*", css)
    assert ["div.wrapper"] == [selector for selector, style in rules(css) if "rem" in "".join(style.values())]


def test_gmail_keeps_sheets_of_this_size():
    for name in ("screens", "dark"):
        assert len(sheet(name).encode()) < 16_000
        assert "{" not in re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*\}|[^{}]*\{[^{}]*\}", "", sheet(name))


def test_inlining_keeps_at_rules_and_drops_the_plain_sheet():
    page = inlined(
        '<!DOCTYPE html><html><head><style>p.a{color:#112233}</style><style data-premailer="ignore">'
        "@media (x){.a{color:#fff!important}}a:hover{color:red}</style></head>"
        '<body><p class="a b" title="1 > 0">class="b" style="a; b"</p>\n  <p>é ж \U0001f600</p></body></html>'
    )

    assert "<style>@media (x){.a{color:#fff!important}}a:hover{color:red}</style>" in page
    assert 1 == page.count("<style")
    assert '<p class="a" title="1 &gt; 0" style="color:#123">class="b" style="a; b"</p><p>é ж \U0001f600</p>' in page


def test_a_style_sheet_elsewhere_is_never_fetched():
    page = inlined('<html><head><link rel="stylesheet" href="http://127.0.0.1:9/x.css"></head><body>x</body></html>')

    assert etree.fromstring(page, etree.HTMLParser()).xpath("//link")
