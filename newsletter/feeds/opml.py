"""OPML 2.0: a list of feeds that readers import in one go."""

from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

from newsletter.feeds.document import clean_line


@dataclass(frozen=True, slots=True)
class Outline:
    """A feed in the list."""

    title: str
    feed_url: str
    home_url: str
    language: str


def write_opml(title: str, groups: Sequence[tuple[str, Sequence[Outline]]]) -> bytes:
    """Return the document; each group is a heading with its feeds under it, empty groups are left out."""
    root = etree.Element("opml", version="2.0")
    head = etree.SubElement(root, "head")
    etree.SubElement(head, "title").text = clean_line(title)
    etree.SubElement(head, "docs").text = "http://opml.org/spec2.opml"
    body = etree.SubElement(root, "body")
    for heading, outlines in groups:
        if not outlines:
            continue
        group = etree.SubElement(body, "outline", text=clean_line(heading))
        for outline in outlines:
            etree.SubElement(
                group,
                "outline",
                type="rss",
                text=clean_line(outline.title),
                title=clean_line(outline.title),
                xmlUrl=outline.feed_url,
                htmlUrl=outline.home_url,
                language=outline.language,
            )
    document: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return document
