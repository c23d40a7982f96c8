"""A small newsroom's feed, with every trap that the formats have."""

from datetime import UTC, date, datetime, timedelta

from newsletter.domain.articles import Article, ArticleState, Kind, Translation
from newsletter.domain.feeds import Authority
from newsletter.feeds.document import Category, Entry, Head, Sibling
from newsletter.feeds.documents import fit_entries, write_documents
from newsletter.feeds.entries import make_entry
from newsletter.feeds.fragments import FragmentCache

NOON = datetime(2026, 3, 16, 12, tzinfo=UTC)
BASE = "https://news.example.org"
AUTHORITY = Authority("news.example.org", date(2026, 3, 1))
HEALTH = Category("good-health", "http://metadata.un.org/sdg", "Good health & well-being")
STORY = Category("story", AUTHORITY.tag("kinds"), "Story")


def an_article(number: int = 1, language: str = "en", **changes) -> Article:
    """An article published *number* hours before noon."""
    at = NOON - timedelta(hours=number)
    words = {
        "language": language,
        "title": f"Clinic {number} opens",
        "summary": f"The clinic number {number} opened.",
        "body_html": f"<p>The clinic <em>number {number}</em> opened.</p>",
    }
    words |= {name: changes.pop(name) for name in list(changes) if name in Translation.__dataclass_fields__}
    facts = {
        "id": number,
        "uid": f"0198c0de-0000-7000-8000-{number:012}",
        "kind": Kind.STORY,
        "state": ArticleState.PUBLISHED,
        "source": "import",
        "published_at": at,
        "visible_at": at,
        "updated_at": at,
        "modified_at": at,
        "revision": 1,
        "default_language": language,
        "translations": {language: Translation(**words)},
    }
    return Article(**(facts | changes))


def an_entry(number: int = 1, language: str = "en", **changes) -> Entry:
    """The entry of an article that is changed as asked."""
    facts = changes.pop("facts", ())
    article = an_article(number, language, **changes)
    return make_entry(
        article,
        language,
        entry_id=AUTHORITY.entry_id(article.uid),
        url=f"{BASE}/articles/{number}",
        author="Example Newsroom",
        day="16 March 2026",
        categories=(HEALTH, STORY),
        facts=facts,
    )


def written_as(head, entries, cache=None):
    """What is written of *entries* under *head*, all formats, and what was fitted into them."""
    fitted = fit_entries(entries, cache or FragmentCache())
    return {form: recipe.body for form, recipe in write_documents(head, fitted).items()}, fitted


def a_head(**changes) -> Head:
    """The head of the feed of everything."""
    facts = {
        "id": AUTHORITY.feed_id("all-en"),
        "slug": "all-en",
        "title": "Example Newsroom",
        "description": "All news of Example Newsroom & friends",
        "language": "en",
        "base_url": BASE,
        "home_url": f"{BASE}/",
        "author": "Example Newsroom",
        "updated": NOON,
        "logo_url": f"{BASE}/logo.png",
        "siblings": (Sibling("all-ru", "ru", "Пример: все новости"),),
        "hubs": (),
        "gone": (),
    }
    return Head(**(facts | changes))


def tricky_entries() -> list[Entry]:
    """Entries with traps: markup and entities in plain text, an image with a credit, an event, an update, Russian."""
    return [
        an_entry(
            1,
            title="Food & drink: <b>bold</b> prices, “quotes”",
            summary="Prices < 5 & > 3 <script>alert(1)</script>",
            body_html='<p>Prices &lt; 5 &amp; <a href="https://example.org/?a=1&amp;b=2">more</a></p>',
            image_url="https://example.org/i.jpg?w=1&h=2",
            image_width=800,
            image_height=600,
            image_alt='A "stall" & fruit',
            image_credit="Photo: A & B",
        ),
        an_entry(
            2,
            kind=Kind.EVENT,
            title="Open day",
            facts=(("When", "Friday, 20 March 2026, 10:00–12:00 (Bishkek, UTC+6)"), ("Where", "Hall <2> & garden")),
        ),
        an_entry(3, title="Corrected", updated_at=NOON - timedelta(minutes=5), revision=2),
        an_entry(4, "ru", title="Клиника открыта", summary="", body_html=""),
    ]
