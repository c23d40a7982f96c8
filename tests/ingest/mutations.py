"""Documents as no honest program writes them: samples of each format, cut, doubled, shuffled and salted."""

import json
import os
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

DATA = Path(__file__).parent / "data"
EXAMPLES = int(os.environ.get("NEWSLETTER_TEST_FUZZ_EXAMPLES", "40"))
"""Of each test; `make fuzz` runs minutes of them."""
FUZZ = settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))

SALT = (
    b"<![CDATA[", b"]]>", b"<!--", b"--", b"?>", b"&#0;", b"&#xD800;", b"&#x110000;", b"&nbsp;", b"&lt;script&gt;",
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x1b[31m", b"\r", b"\x85",
    b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>&b;', b'<?xml version="1.1" encoding="utf-7"?>',
    b"9" * 400, b"-0", b"1e999", b"NaN", b"0x", b"<div>" * 300, b"<b>" * 2000, b"[" * 500, b"{" * 500, b'"\\ud800"',
    b"\\u0000", b"null", b"true", b"---\n", b"? : [", b"!!python/object:x", b"*a", b"&a", b"2024-02-30", b"99999-01-01",
    b"Fri, 31 Feb 2026 25:61:00 +9999", b"0000-00-00", b"http://[::1", b"http://a@b:c/", b"javascript:x()", b"//",
    "\u202e\u200b\ufeff".encode(), "\U000e0001".encode(), "и\u0306".encode(), b"<svg><style><img src=x onerror=y>",
    b'<a href="data:text/html,x">', b"<table><td><table>", b"<p><p></p></b>", b"xmlns:a='x' a:b='c'", b" " * 3000,
)  # fmt: skip

JSON_FEED = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "Press",
        "items": [
            {
                "id": 1,
                "url": "https://a.example/1",
                "title": "One",
                "content_html": "<p>Words of it.</p>",
                "tags": ["a"],
            },
            {"id": "2", "content_text": "Two\n\nthree", "date_published": "2026-03-13T10:00:00Z", "image": "/a.jpg"},
        ],
    }
).encode()
SAMPLES = {
    "articles.json": (DATA / "articles.json").read_bytes(),
    "feed.json": JSON_FEED,
    "article.md": (DATA / "article.md").read_bytes(),
    "rss.xml": (DATA / "rss.xml").read_bytes(),
    "atom.xml": (DATA / "atom.xml").read_bytes(),
    "page.html": (DATA / "page.html").read_bytes(),
}


@st.composite
def mutated(draw: st.DrawFn, *names: str) -> tuple[str, bytes]:
    """Return the name and the bytes of a sample, of *names* or of any, after up to eight changes."""
    name = draw(st.sampled_from(names or sorted(SAMPLES)))
    content = SAMPLES[name]
    for _ in range(draw(st.integers(0, 8))):
        start, end = sorted((draw(st.integers(0, len(content))), draw(st.integers(0, len(content)))))
        match draw(st.integers(0, 5)):
            case 0:
                content = content[:start] + content[end:]
            case 1:
                content = content[:end] + content[start:end][:20_000] + content[end:]
            case 2 | 3:
                content = content[:start] + draw(st.sampled_from(SALT)) + content[start:]
            case 4:
                content = content[:start] + draw(st.binary(max_size=20)) + content[start + 1 :]
            case _:
                content = content[end:] + content[start:end] + content[:start]
    return name, content[:2_000_000]


anything = st.one_of(mutated(), st.tuples(st.sampled_from(sorted(SAMPLES)), st.binary(max_size=3000)))
