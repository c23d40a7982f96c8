"""Topics: loads a scheme of topics with its rules, and finds topics by the names that people write."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from newsletter.domain.articles import ArticleRecord
from newsletter.domain.prose import fold, text_of
from newsletter.domain.topics import Suggester, Suggestion, Topic, ancestors
from newsletter.errors import InvalidError
from newsletter.ingest.topic_file import read_topics
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.storage import topics as storage

_SHIPPED = files("newsletter") / "data"
_SHIPPED_ENDING = "-topics.yaml"


@dataclass(frozen=True, slots=True)
class TopicsLoaded:
    """What loading a file of topics did."""

    topic_count: int
    changed_count: int


def shipped_schemes() -> list[str]:
    """Return the names of the schemes of topics that come along, such as `sdg`."""
    names = (each.name for each in _SHIPPED.iterdir())
    return sorted(name.removesuffix(_SHIPPED_ENDING) for name in names if name.endswith(_SHIPPED_ENDING))


def load_topic_file(app: App, path: Path) -> TopicsLoaded:
    """Load the topics in the file at *path*, or of the shipped scheme of that name; see `load_topic_document`.

    Raises:
        InvalidError: there is neither, or as `load_topic_document`.
    """
    name = str(path)
    if not path.exists():
        if name not in shipped_schemes():
            raise InvalidError(f"there is no file {name!r}; schemes that come along: {', '.join(shipped_schemes())}")
        shipped = _SHIPPED / f"{name}{_SHIPPED_ENDING}"
        return load_topic_document(app, shipped.name, shipped.read_bytes())
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidError(f"{path}: cannot be read: {error.strerror or error}") from error
    return load_topic_document(app, path.name, content)


def load_topic_document(app: App, name: str, content: bytes) -> TopicsLoaded:
    """Load topics from the YAML or JSON file called *name*, all or none; topics that it does not name stay.

    Its rules count for articles that come in or change from now on. Repeating it changes nothing.

    Raises:
        InvalidError: it cannot be read, or a parent is neither in it nor there already, or is the topic's own child.
    """
    stated = read_topics(name, content)
    topics = [each.topic for each in stated]
    parents = {each.topic.slug: each.parent for each in stated if each.parent}
    with app.transaction() as tx:
        there = {topic.slug: topic for topic in storage.load_topics(tx.session)}
        known = there.keys() | {topic.slug for topic in topics}
        for slug, parent in parents.items():
            if parent not in known:
                raise InvalidError(f"{name}: topic {slug!r} has the parent {parent!r}, which is no topic")
        changed = storage.save_topics(tx.session, topics, parents)
        after = storage.load_topics(tx.session)
        _refuse_circles(name, after)
        if changed:
            record_act(tx, "loaded", f"topics {name}", changed=changed)
    return TopicsLoaded(len(topics), changed)


def list_topics(tx: Transaction) -> list[Topic]:
    """Return all topics, in the order of menus."""
    return storage.load_topics(tx.session)


def _refuse_circles(name: str, topics: Sequence[Topic]) -> None:
    lines = ancestors(topics)
    for topic in topics:
        if topic.parent_id == topic.id or any(topic.id in lines[each] for each in lines[topic.id]):
            raise InvalidError(f"{name}: topic {topic.slug!r} stands above itself; give it another parent or none")


@dataclass(slots=True)
class TopicFinder:
    """Finds topics by slug or label, and by rules; made once for many articles."""

    topics: Sequence[Topic]
    _by_name: dict[str, int] = field(default_factory=dict)
    _suggester: Suggester | None = None

    def __post_init__(self) -> None:
        for topic in self.topics:
            for label in topic.labels.values():
                self._by_name.setdefault(fold(label), topic.id)
        self._by_name |= {fold(topic.slug): topic.id for topic in self.topics}
        self._suggester = Suggester(self.topics)

    def find(self, names: Iterable[str]) -> tuple[list[int], list[str]]:
        """Return the ids of the topics called *names*, each once and in order, and the names that no topic has."""
        found: dict[int, None] = {}
        unknown: list[str] = []
        for name in names:
            topic_id = self._by_name.get(fold(name))
            if topic_id is None:
                unknown.append(name)
            else:
                found.setdefault(topic_id)
        return list(found), unknown

    def suggest(self, record: ArticleRecord) -> list[Suggestion]:
        """Return the topics that rules find in an article, in any of its languages."""
        texts = {
            language: f"{text.title}. {text.summary} {text_of(text.body_html)}"
            for language, text in record.translations.items()
        }
        return self._suggester.suggest(texts) if self._suggester else []


def labels(topics: Iterable[Topic], ids: Iterable[int], *languages: str) -> list[str]:
    """Return the labels of the topics with *ids*, in their order."""
    by_id: Mapping[int, Topic] = {topic.id: topic for topic in topics}
    return [by_id[topic_id].label(*languages) for topic_id in ids if topic_id in by_id]
