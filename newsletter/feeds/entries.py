"""Entries from articles: texts cleaned, content made whole, addresses made absolute."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from html.parser import HTMLParser
from urllib.parse import urljoin

from newsletter.domain.articles import Article, Translation
from newsletter.feeds.document import Category, Entry, Image, clean, clean_line

_RELATIVE = re.compile(
    r"""\s(?:href|src|poster|cite)\s*=\s*["']?(?!\s*(?:https?:|mailto:|tel:|data:))""", re.IGNORECASE
)
_ON_THE_WEB = re.compile(r"https?://[^\s/\[\]]+([/?#]|$)|https?://\[[0-9a-fA-F:.]+\]")
_ADDRESS_ATTRIBUTES = ("href", "src", "poster", "cite")


def make_entry(
    article: Article,
    language: str,
    *,
    entry_id: str,
    url: str,
    author: str,
    day: str = "",
    categories: Iterable[Category] = (),
    facts: Sequence[tuple[str, str]] = (),
) -> Entry:
    """Return *article* as an entry in *language*, which it has; *facts* (label, value) stand before its text.

    *day*: when it became public, as people of that language say it.

    Published is when it became public, which an embargo puts later than its date. Updated is the last significant
    change: an article that had none yet was updated when it was published, whenever it was imported.

    Raises:
        ValueError: it has no title, without which no format takes it.
    """
    words = article.translations[language]
    title = clean_line(words.title)
    if not title:
        raise ValueError(f"article {article.uid} has no title in {language!r}; give it one")
    published = _whole_seconds(article.visible_at)
    updated = _whole_seconds(article.updated_at) if article.revision > 1 else published
    image = _image(article, words, url)
    return Entry(
        article_id=article.id,
        id=entry_id,
        url=url,
        title=title,
        summary=clean_line(words.summary),
        content_html=_content(words, image, url, facts),
        language=language,
        published=published,
        updated=max(updated, published),
        author=clean_line(author),
        categories=tuple(
            Category(clean_line(category.term), category.scheme, clean_line(category.label)) for category in categories
        ),
        image=image,
        day=day,
    )


def absolute(html: str, base: str) -> str:
    """Return sanitised *html* with each relative address resolved against *base*; all else stays as it was."""
    if '="' not in html or not _RELATIVE.search(html):
        return html
    resolver = _Resolver(base)
    resolver.feed(html)
    resolver.close()
    return "".join(resolver.pieces)


def _whole_seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _resolve(base: str, address: str) -> str:
    """Return *address* absolute; one beyond repair, such as http://[, is left as it is."""
    try:
        return urljoin(base, address)
    except ValueError:
        return address


def _image(article: Article, words: Translation, url: str) -> Image | None:
    address = _resolve(url, clean_line(article.image_url or ""))
    if not article.image_url or not _ON_THE_WEB.match(address):
        return None
    return Image(
        url=address,
        alt=clean_line(words.image_alt),
        credit=clean_line(words.image_credit),
        width=article.image_width,
        height=article.image_height,
    )


def _content(words: Translation, image: Image | None, url: str, facts: Sequence[tuple[str, str]]) -> str:
    body = absolute(clean(words.body_html), url).strip()
    text = body or _paragraph(clean_line(words.summary))
    is_shown = image is not None and f'src="{escape(image.url)}"' in body
    figure = _figure(image) if image is not None and not is_shown else ""
    return "\n".join(part for part in (figure, _facts(facts), text) if part)


def _paragraph(text: str) -> str:
    return f"<p>{escape(text, quote=False)}</p>" if text else ""


def _figure(image: Image) -> str:
    size = f' width="{image.width}" height="{image.height}"' if image.width and image.height else ""
    caption = f"<figcaption>{escape(image.credit, quote=False)}</figcaption>" if image.credit else ""
    return f'<figure><img src="{escape(image.url)}" alt="{escape(image.alt)}"{size}>{caption}</figure>'


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    lines = (
        f"<strong>{escape(clean_line(label), quote=False)}:</strong> {escape(clean_line(value), quote=False)}"
        for label, value in facts
    )
    text = "<br>".join(lines)
    return f"<p>{text}</p>" if text else ""


class _Resolver(HTMLParser):
    """Copies HTML piece by piece, writing anew only those tags whose addresses are relative."""

    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=False)
        self.pieces: list[str] = []
        self._base = base

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        resolved = [
            (name, _resolve(self._base, value.strip()) if name in _ADDRESS_ATTRIBUTES and value is not None else value)
            for name, value in attrs
        ]
        if resolved == attrs:
            self.pieces.append(self.get_starttag_text() or "")
            return
        written = "".join(f" {name}" if value is None else f' {name}="{escape(value)}"' for name, value in resolved)
        self.pieces.append(f"<{tag}{written}>")

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag: str) -> None:
        self.pieces.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    def handle_entityref(self, name: str) -> None:
        self.pieces.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.pieces.append(f"&#{name};")
