"""A fixed digest with an item of every kind, and how a variant of it is put together."""

from dataclasses import replace
from datetime import UTC, date, datetime
from html import escape

from newsletter.domain.articles import Event, Kind
from newsletter.domain.lists import Cadence, SectionsBy
from newsletter.domain.variants import Block, cut, fill
from newsletter.rendering.digest import Digest, DigestItem, Image, Section
from newsletter.rendering.languages import load_language
from newsletter.rendering.plain import wrapped
from newsletter.rendering.sentences import render_intro, render_more, render_preheader, render_why

NONCE = "0123456789abcdef"
ADDRESS = "160 Chui Avenue, 720040 Bishkek, Kyrgyzstan"
SITE = "https://news.example.org"
UNSUBSCRIBE = f"{SITE}/unsubscribe/some-token"


def an_item(article_id: int, kind: Kind, title: str, summary: str = "", **more) -> DigestItem:
    defaults = {
        "language": "en",
        "url": f"{SITE}/articles/{article_id}",
        "published_at": datetime(2026, 3, 15 - article_id, 6, tzinfo=UTC),
        "section": "water",
        "topics": ("Water and energy",),
    }
    return DigestItem(article_id=article_id, kind=kind, title=title, summary=summary, **(defaults | more))


def a_digest(code: str = "en", **more) -> Digest:
    """The same nine items in every language: titles are data, only the words around them change."""
    queue = Image(f"{SITE}/i/queue.jpg", "Lorries waiting at a checkpoint", "A. Photographer", 1280, 720)
    milk = Image(f"{SITE}/i/milk.jpg", "", "", 800, 600)
    forum = Event(
        datetime(2026, 3, 19, 4, tzinfo=UTC),
        datetime(2026, 3, 19, 10, 30, tzinfo=UTC),
        "Asia/Bishkek",
        "Sheraton Bishkek Hotel",
        "148 B Kievskaya Street, Bishkek",
    )
    items = (
        an_item(
            1,
            Kind.PRESS_RELEASE,
            "New electronic queue removes delays at the borders",
            "The system launches at three checkpoints this month and lets drivers book a slot from a phone. " * 3,
            image=queue,
        ),
        an_item(2, Kind.STORY, "From farms to classrooms", "Dairies supply 140 schools.", section="health", image=milk),
        an_item(3, Kind.SPEECH, "Message on the Day of Persons with Disabilities", "“Nothing about us without us.”"),
        an_item(4, Kind.VIDEO, "Girls in science: what five pupils built", section="health"),
        an_item(5, Kind.PUBLICATION, "Ысык-Көлдүн климаттык профили", "Мөңгүлөр эрүүдө.", language="ky"),
        an_item(6, Kind.STORY, 'Tom & Jerry <b>say</b> "hi"', "1 < 2 & 3 > 2", image=replace(milk, width=None)),
        an_item(7, Kind.EVENT, "Forum on water and energy", "", event=forum, ics_url=f"{SITE}/events/7.ics"),
        an_item(8, Kind.EVENT, "A day of open doors", event=replace(forum, ends_at=None, venue="", address="")),
        an_item(9, Kind.STORY, "Without a section", section=""),
    )
    digest = Digest(
        language=load_language(code),
        list_title="The week in Kyrgyzstan",
        list_description="What the United Nations did this week",
        newsroom="United Nations in the Kyrgyz Republic",
        postal_address=ADDRESS,
        cadence=Cadence.WEEKLY,
        slot_on=date(2026, 3, 16),
        period=(date(2026, 3, 9), date(2026, 3, 15)),
        zone="Asia/Bishkek",
        sections_by=SectionsBy.TOPIC,
        sections=(Section("water", "Water and energy"), Section("health", "Health & education")),
        items=items,
        site_url=SITE,
        archive_url=f"{SITE}/archive/",
        feed_url=f"{SITE}/feeds/all.atom",
    )
    return replace(digest, **more)


def a_variant(digest: Digest, lead: str | None = "1:en") -> list[str]:
    """The blocks of everything, in the order that readers see."""
    keys = ["head"] + ([f"lead:{lead}"] if lead else [])
    news = [item for item in digest.items if not item.event and item.key != lead]
    keys += [f"item:{item.key}" for item in news if not item.section]
    for section in digest.sections:
        keys += [f"section:{section.key}", *(f"item:{item.key}" for item in news if item.section == section.key)]
    return [*keys, "events", *(f"event:{item.key}" for item in digest.items if item.event), "more", "foot"]


def hole_values(digest: Digest) -> dict[str, str]:
    """What a variant and a reader put into the holes, as text."""
    titles = [item.title for item in digest.items[1:4]]
    return {
        "preheader": render_preheader(digest.items[0].summary, titles),
        "intro": render_intro(digest, 7, 2),
        "view_url": f"{SITE}/archive/1",
        "more": render_more(digest.language, 3),
        "unsubscribe_url": UNSUBSCRIBE,
        "preferences_url": f"{SITE}/preferences/some-token",
        "why": render_why(digest.language, digest.list_title, digest.cadence, ["Water and energy"], ["Press releases"]),
    }


def filled_html(digest: Digest, blocks: dict[str, Block], keys: list[str]) -> str:
    values = {name: escape(value) for name, value in hole_values(digest).items()}
    return "".join(map(str, fill(cut("".join(blocks[key].html for key in keys), NONCE), values)))


def filled_text(digest: Digest, blocks: dict[str, Block], keys: list[str]) -> str:
    values = {name: wrapped(value) for name, value in hole_values(digest).items()}
    return "".join(map(str, fill(cut("".join(blocks[key].text for key in keys), NONCE), values)))
