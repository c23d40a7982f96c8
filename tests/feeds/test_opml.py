"""The list of all feeds, as readers import it."""

from lxml import etree

from newsletter.feeds.opml import Outline, write_opml

HEALTH = Outline("Health & <care>", "https://n.example.org/feeds/a.atom", "https://n.example.org/topics/health", "ru")


def test_feeds_stand_in_groups():
    root = etree.fromstring(write_opml("All\x00 feeds", [("Topics", [HEALTH]), ("Lists", [])]))
    (group,) = root.findall("body/outline")
    (outline,) = group

    assert "2.0" == root.get("version")
    assert "All feeds" == root.findtext("head/title")
    assert "Topics" == group.get("text")
    assert {
        "type": "rss",
        "text": "Health & <care>",
        "title": "Health & <care>",
        "xmlUrl": "https://n.example.org/feeds/a.atom",
        "htmlUrl": "https://n.example.org/topics/health",
        "language": "ru",
    } == dict(outline.attrib)


def test_the_same_feeds_make_the_same_bytes():
    assert write_opml("All", [("Topics", [HEALTH])]) == write_opml("All", [("Topics", [HEALTH])])
