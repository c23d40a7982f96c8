"""Sources: where articles come from; staff say which feeds are polled, and how."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from newsletter.dispatch import Doorbell
from newsletter.domain.articles import Kind
from newsletter.domain.sources import SICK_AFTER, SourceState
from newsletter.errors import ConflictError, InvalidError, NotFoundError, PermanentError
from newsletter.network import check_url
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.services.sourced_items import source_slug
from newsletter.services.topics import TopicFinder
from newsletter.storage import sources as storage
from newsletter.storage.articles import lock_source
from newsletter.storage.lists import known_sources
from newsletter.storage.sources import NewPoll, Poll, SourceCount
from newsletter.storage.topics import load_topics

MOST_FIRST_ITEMS = 500
SHORTEST_EVERY, LONGEST_EVERY = 5, 7 * 24 * 60
MOST_RUNG = 100
"""Doorbells for sources in one tick; more wait for the next."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A source with its articles in counts; *poll* None: it is not polled, its articles come by imports or the API."""

    count: SourceCount
    poll: Poll | None

    @property
    def is_sick(self) -> bool:
        """Whether a person should look."""
        return self.poll is not None and is_sick(self.poll)


def is_sick(poll: Poll) -> bool:
    """Say whether a polled source failed several times in a row, or was closed by its server."""
    if poll.state is SourceState.CLOSED:
        return True
    return poll.state is SourceState.ACTIVE and poll.failures >= SICK_AFTER


def add_source(
    app: App,
    url: str,
    *,
    name: str | None = None,
    kind: Kind = Kind.STORY,
    topics: Sequence[str] = (),
    language: str | None = None,
    every_minutes: int | None = None,
    takes_full_text: bool = True,
    first_items: int = 10,
    mails_first: bool = False,
) -> Poll:
    """Poll the feed at *url* from now on; the first poll is due at once. Rings `POLL_SOURCE`.

    *name*: of the source; None: its host. Of what is there already *first_items* come in, and are not mailed unless
    *mails_first*.

    Raises:
        InvalidError: the address or another value cannot be used.
        NotFoundError: there is no such topic.
        ConflictError: the source, or the address, is polled already.
    """
    if every_minutes is not None and not SHORTEST_EVERY <= every_minutes <= LONGEST_EVERY:
        raise InvalidError(f"a source is polled every {SHORTEST_EVERY} to {LONGEST_EVERY} minutes")
    if not 0 <= first_items <= MOST_FIRST_ITEMS:
        raise InvalidError(f"the first poll takes 0 to {MOST_FIRST_ITEMS} items")
    try:
        check_url(url)
    except PermanentError as error:
        raise InvalidError(f"{url!r} cannot be polled: {error}") from error
    title = name or urlsplit(url).hostname or url
    with app.transaction() as tx:
        slugs = _topic_slugs(tx, topics)
        if (there := storage.find_poll_by_url(tx.session, url)) is not None:
            raise ConflictError(f"{url} is polled already, as {there.slug}")
        source = lock_source(tx.session, source_slug(title), title, now=tx.now)
        new = NewPoll(url, kind, slugs, language, every_minutes, takes_full_text, first_items, mails_first)
        if not storage.add_poll(tx.session, source.id, new):
            raise ConflictError(f"the source {source.slug} is polled already; give another --name, or remove it first")
        record_act(tx, "added", f"source {source.slug}", url=url)
        tx.ring(Doorbell.POLL_SOURCE, source.id)
        return find_source(tx, source.slug)


def _topic_slugs(tx: Transaction, names: Sequence[str]) -> tuple[str, ...]:
    topics = load_topics(tx.session)
    found, unknown = TopicFinder(topics).find(names)
    if unknown:
        raise NotFoundError(f"there is no topic {unknown[0]!r}; `newsletter topics list` shows them")
    slugs = {topic.id: topic.slug for topic in topics}
    return tuple(slugs[each] for each in found)


def list_sources(app: App) -> list[SourceFacts]:
    """Return all sources, polled or not, in order of slug."""
    with app.reading() as tx:
        polls = {poll.source_id: poll for poll in storage.load_polls(tx.session)}
        return [SourceFacts(count, polls.get(count.id)) for count in storage.count_sources(tx.session)]


def show_source(app: App, slug: str) -> SourceFacts:
    """Return one source.

    Raises:
        NotFoundError: there is none of that slug.
    """
    found = next((each for each in list_sources(app) if each.count.slug == slug), None)
    if found is None:
        raise NotFoundError(f"there is no source {slug!r}; `newsletter sources list` shows them")
    return found


def find_source(tx: Transaction, slug: str) -> Poll:
    """Return how the source called *slug* is polled.

    Raises:
        NotFoundError: there is none, or it is not polled; the message says which.
    """
    poll = storage.find_poll(tx.session, slug)
    if poll is None and slug in known_sources(tx.session):
        raise NotFoundError(
            f"the source {slug!r} is not polled: its articles come from files or the API. "
            f"To poll a feed for it: newsletter sources add URL --kind KIND --name {slug}"
        )
    if poll is None:
        raise NotFoundError(f"there is no source {slug!r}; `newsletter sources list` shows them")
    return poll


def pause_source(app: App, slug: str, *, reason: str = "") -> Poll:
    """Poll a source no more until it is resumed; a poll under way ends. Repeating it changes nothing.

    Raises:
        NotFoundError: it is not polled.
    """
    return _set_state(app, slug, SourceState.PAUSED, reason)


def resume_source(app: App, slug: str) -> Poll:
    """Poll a source again, at once, one that its server closed too. Rings `POLL_SOURCE`.

    Raises:
        NotFoundError: it is not polled.
    """
    return _set_state(app, slug, SourceState.ACTIVE, "")


def _set_state(app: App, slug: str, state: SourceState, reason: str) -> Poll:
    with app.transaction() as tx:
        poll = find_source(tx, slug)
        if poll.state is not state:
            storage.set_poll_state(tx.session, poll.source_id, state, reason)
            record_act(tx, "resumed" if state is SourceState.ACTIVE else state.value, f"source {slug}", reason=reason)
            if state is SourceState.ACTIVE:
                tx.ring(Doorbell.POLL_SOURCE, poll.source_id)
        return find_source(tx, slug)


def remove_source(app: App, slug: str) -> None:
    """Poll a source no more and forget how; its articles stay, and what is known of its items.

    Raises:
        NotFoundError: it is not polled.
    """
    with app.transaction() as tx:
        storage.remove_poll(tx.session, find_source(tx, slug).source_id)
        record_act(tx, "removed", f"source {slug}")


def ring_due_sources(app: App) -> int:
    """Ring for each source that is due, a doorbell each, so that none waits for another; return how many."""
    with app.transaction() as tx:
        due = storage.due_polls(tx.session, limit=MOST_RUNG)
        for source_id in due:
            tx.ring(Doorbell.POLL_SOURCE, source_id)
    return len(due)
