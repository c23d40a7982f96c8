"""What feeds say: titles, labels, addresses and event details, from the newsroom's settings, topics and lists."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import TypeVar

from newsletter.config import Settings
from newsletter.domain.articles import Article, Event, Kind
from newsletter.domain.feeds import (
    Authority,
    Facet,
    Feed,
    FeedPlan,
    FeedQuery,
    archive_stem,
    period_span,
    plan_feeds,
)
from newsletter.domain.filters import EVERYTHING, Filter, choose
from newsletter.domain.lists import MailingList
from newsletter.domain.topics import Topic, ancestors
from newsletter.errors import InvalidError, NotFoundError
from newsletter.feeds.document import Category, Entry, Guide, Head, Sibling, clean_line
from newsletter.feeds.entries import make_entry
from newsletter.feeds.opml import Outline
from newsletter.rendering.languages import Language, load_language
from newsletter.rendering.words import kind_name, kinds_name
from newsletter.services.article_memory import ArticleMemory

FORM = 3
"""Grows when documents of the same articles are to look different, so that all feeds are built anew."""
MOST_SAID = 10_000
"""Feeds whose title, head and fingerprint are kept: more than there may be, and 20 MB."""
MOST_ENTRIES = 10_000
"""Entries that are kept, before all are forgotten: three languages of more articles than `ArticleMemory` keeps."""
NEVER = datetime(1970, 1, 1, tzinfo=UTC)

Said = TypeVar("Said")
_facts_of: Callable[[Article], object] = attrgetter(
    *(each.name for each in fields(Article) if each.name != "translations")
)


@dataclass(slots=True)
class FeedWriter:
    """Knows the newsroom's words at one moment and writes heads and entries with them.

    *topics* and *lists*, hidden ones too, are in their order; *choices*: the filter of each list, by filter id.
    *closed*: slugs of feeds that staff closed or moved. What was said once is kept; equal writers say the same, and of
    the same articles, since settings say which database they are in.
    """

    settings: Settings
    authority: Authority
    topics: Sequence[Topic]
    lists: Sequence[MailingList]
    choices: Mapping[int, Filter]
    sources: Collection[str] = ()
    closed: Collection[str] = ()
    memory: ArticleMemory = field(default_factory=ArticleMemory, compare=False)
    _plans: dict[str, FeedPlan] = field(default_factory=dict, compare=False)
    _entries: dict[tuple[int, str], tuple[Article, Entry]] = field(default_factory=dict, compare=False)
    _titles: dict[FeedPlan, str] = field(default_factory=dict, compare=False)
    _heads: dict[FeedPlan, Head] = field(default_factory=dict, compare=False)
    _fingerprints: dict[FeedPlan, str] = field(default_factory=dict, compare=False)
    _categories: dict[str, dict[int | Kind, Category]] = field(default_factory=dict, compare=False)
    _digests: dict[str, str] = field(default_factory=dict, compare=False)

    def plans(self) -> Mapping[str, FeedPlan]:
        """Return by slug the named feeds that there should be."""
        if not self._plans:
            self._plans = {plan.slug: plan for plan in self._planned()}
        return self._plans

    def _planned(self) -> list[FeedPlan]:
        planned = plan_feeds(
            topics=[(topic.id, topic.slug) for topic in self.topics],
            lists=[(each.slug, self.choices[each.filter_id]) for each in self.lists if each.is_public],
            languages=self.settings.languages,
        )
        return [plan for plan in planned if plan.slug not in self.closed]

    def plan_of(self, feed: Feed, choice: Filter) -> FeedPlan | None:
        """Return the plan of a feed that somebody asked for, as it is now; None: what it is made of is gone.

        *choice* is the filter that it is stored with.
        """
        if feed.facet is Facet.CUSTOM:
            try:
                plan = self.combination(FeedQuery.parse(feed.subject, default_language=self.settings.default_language))
            except (ValueError, NotFoundError):
                return None
        else:
            mailing_list = next((each for each in self.lists if each.slug == feed.subject), None)
            if mailing_list is None:
                return None
            plan = self.choice(mailing_list, feed.language, choice)
        return plan if plan.slug == feed.slug else None

    def combination(self, query: FeedQuery) -> FeedPlan:
        """Return the plan of a combination.

        Raises:
            NotFoundError: it names something that there is not; the message says what.
        """
        topics = {topic.slug: topic.id for topic in self.topics}
        kinds = {kind.value.replace("_", "-"): kind for kind in Kind}
        lists = {each.slug: self.choices[each.filter_id] for each in self.lists if each.is_public}
        languages = {code.lower(): code for code in self.settings.languages}
        for what, given, known in (
            ("topic", query.topics, topics),
            ("kind", query.kinds, kinds),
            ("source", query.sources, self.sources),
            ("list", query.lists, lists),
            ("language", (query.language,), languages),
        ):
            if unknown := [value for value in given if value not in known]:
                raise NotFoundError(f"there is no {what} {', '.join(map(repr, unknown))}")
        return FeedPlan(
            Facet.CUSTOM,
            query.text,
            languages[query.language],
            choose(
                topics=(topics[slug] for slug in query.topics),
                kinds=(kinds[kind] for kind in query.kinds),
                sources=query.sources,
            ),
            lists[query.lists[0]] if query.lists else EVERYTHING,
        )

    def simplest(self, query: FeedQuery) -> FeedQuery:
        """Return the shortest query that means the same: without topics under others of it, without all kinds."""
        slugs = {topic.id: topic.slug for topic in self.topics}
        line = {slugs[topic_id]: {slugs[each] for each in above} for topic_id, above in ancestors(self.topics).items()}
        chosen = set(query.topics)
        return replace(
            query,
            topics=tuple(slug for slug in query.topics if chosen.isdisjoint(line.get(slug, ()))),
            kinds=() if len(query.kinds) == len(Kind) else query.kinds,
        )

    def choice(self, mailing_list: MailingList, language: str, choice: Filter) -> FeedPlan:
        """Return the plan of the feed that readers of a list share who chose the same."""
        return FeedPlan(Facet.CHOICE, mailing_list.slug, language, choice, self.choices[mailing_list.filter_id])

    def title(self, plan: FeedPlan) -> str:
        """Return a feed's title: whose news, and on what; where it has no subject, its language tells it apart."""
        return _kept(self._titles, plan, self._titled)

    def _titled(self, plan: FeedPlan) -> str:
        name, subject = self.settings.name, self._subject(plan)
        if not subject and plan.language != self.settings.default_language:
            return clean_line(f"{name} ({self._language_name(plan.language)})")
        return clean_line(f"{name}: {subject}" if subject else name)

    def head(
        self,
        plan: FeedPlan,
        *,
        created_at: datetime,
        entries: Sequence[Entry] = (),
        gone: Sequence[tuple[str, datetime]] = (),
        older: str | None = None,
    ) -> Head:
        """Return what the feed says of itself; it was updated when an entry was or was removed, else when made.

        *older*: the month whose archive goes on where it ends.
        """
        changes = [*(entry.updated for entry in entries), *(when for _, when in gone)]
        return _kept(self._heads, plan, self._lasting_head)._replace(
            updated=max(changes, default=created_at).replace(microsecond=0),
            gone=tuple((self.authority.entry_id(uid), when.replace(microsecond=0)) for uid, when in gone),
            older=archive_stem(older, plan.stem) if older else "",
        )

    def _lasting_head(self, plan: FeedPlan) -> Head:
        """Return what the feed says of itself whatever stands in it."""
        is_public = plan.facet is not Facet.CHOICE
        return Head(
            id=self.authority.feed_id(plan.slug),
            slug=plan.stem,
            query=plan.query,
            title=self.title(plan),
            description=self._description(plan),
            language=plan.language,
            base_url=self.settings.base_url,
            home_url=self.home_url(plan),
            author=clean_line(self.settings.name),
            updated=NEVER,
            logo_url=self.settings.logo_url,
            siblings=tuple(
                Sibling(each.stem, each.language, self.title(each), each.query) for each in self.siblings(plan)
            ),
            hubs=(self.settings.hub_url,) if is_public and self.settings.hub_url else (),
            guide=self._guide(plan.language),
        )

    def archive_head(
        self, plan: FeedPlan, period: str, *, entries: Sequence[Entry], older: str | None, newer: str | None
    ) -> Head:
        """Return what the archive of a month says of itself; *older* and *newer* are the months of those beside it."""
        begins, _ = period_span(period)
        head = self.head(plan, created_at=begins, entries=entries, older=older)
        return head._replace(
            slug=archive_stem(period, plan.stem),
            current=plan.stem,
            newer=archive_stem(newer, plan.stem) if newer else "",
            siblings=(),
            hubs=(),
        )

    def siblings(self, plan: FeedPlan) -> list[FeedPlan]:
        """Return the same feed in the newsroom's other languages; a reader's choice has none."""
        others = [code for code in self.settings.languages if code != plan.language]
        if plan.facet is Facet.CHOICE:
            return []
        if plan.facet is not Facet.CUSTOM:
            plans = [replace(plan, language=code) for code in others]
            return [each for each in plans if each.slug not in self.closed]
        query = FeedQuery.parse(plan.subject, default_language=self.settings.default_language)
        return [replace(plan, subject=replace(query, language=code.lower()).text, language=code) for code in others]

    def entry(self, article: Article, language: str) -> Entry:
        """Return *article* as an entry in *language*; as long as it is the same article it is the same entry.

        Raises:
            ValueError: it cannot stand in a feed; the message says why.
        """
        known = self._entries.get((article.id, language))
        if known is not None and known[0] is article:
            return known[1]
        if known is not None and _said(known[0], language) == _said(article, language):
            entry = known[1]
        else:
            entry = self._make_entry(article, language)
        if len(self._entries) >= MOST_ENTRIES:
            self._entries.clear()
        # What was compared stands for it from now on: other feeds ask for the very same object, which is seen at once.
        self._entries[article.id, language] = (article, entry)
        return entry

    def _make_entry(self, article: Article, language: str) -> Entry:
        labels, words = self._labels(language), self._language(language)
        about: tuple[int | Kind, ...] = (*article.topics, article.kind)
        return make_entry(
            article,
            language,
            entry_id=self.authority.entry_id(article.uid),
            url=article.translations[language].url
            or f"{self.settings.base_url}/articles/{article.uid}?lang={language}",
            author=self.settings.name,
            day=words.format_date(article.visible_at.astimezone(self.settings.zone_info)),
            categories=[labels[each] for each in about if each in labels],
            facts=event_facts(article.event, words) if article.event else (),
        )

    def fingerprint(self, plan: FeedPlan) -> str:
        """Return what changes when anything but articles changes what the feed's documents say."""
        return _kept(self._fingerprints, plan, self._fingerprint)

    def _fingerprint(self, plan: FeedPlan) -> str:
        head = self.head(plan, created_at=NEVER)
        return _digest((FORM, head, self._words_digest(plan.language)))

    def _words_digest(self, language: str) -> str:
        if language not in self._digests:
            labels = sorted(self._labels(language).items(), key=str)
            self._digests[language] = _digest(
                (self.authority, labels, _labels_of_facts(self._language(language)), self.settings.zone)
            )
        return self._digests[language]

    def home_url(self, plan: FeedPlan) -> str:
        """Return the page for people that a feed belongs to."""
        if plan.facet is Facet.CUSTOM:
            return f"{self.settings.base_url}/feeds?{plan.subject}"
        page = f"/topics/{plan.subject}" if plan.facet is Facet.TOPIC else "/"
        language = "" if plan.language == self.settings.default_language else f"?lang={plan.language}"
        return f"{self.settings.base_url}{page}{language}"

    def groups(self, feeds: Iterable[tuple[FeedPlan, str]]) -> list[tuple[str, list[Outline]]]:
        """Return plans with their titles and addresses, under headings in the newsroom's language."""
        words = self._language(self.settings.default_language)
        headings = {
            Facet.ALL: words.gettext("Everything"),
            Facet.TOPIC: words.gettext("Topics"),
            Facet.KIND: words.gettext("Kinds"),
            Facet.LIST: words.gettext("Newsletters"),
        }
        groups: dict[Facet, list[Outline]] = {facet: [] for facet in headings}
        for plan, address in feeds:
            groups[plan.facet].append(Outline(self.title(plan), address, self.home_url(plan), plan.language))
        return [(headings[facet], outlines) for facet, outlines in groups.items()]

    def _subject(self, plan: FeedPlan) -> str:
        if plan.facet is Facet.TOPIC:
            topic = next(topic for topic in self.topics if topic.slug == plan.subject)
            return topic.label(plan.language, self.settings.default_language)
        if plan.facet is Facet.KIND:
            return kinds_name(self._language(plan.language), Kind(plan.subject))
        if plan.facet in (Facet.LIST, Facet.CHOICE):
            return self._list(plan).title(plan.language)
        if plan.facet is Facet.CUSTOM:
            return self._combined(plan)
        return ""

    def _combined(self, plan: FeedPlan) -> str:
        """Say what a combination is of: Health, Gender · Stories."""
        labels = self._labels(plan.language)
        words = self._language(plan.language)
        query = FeedQuery.parse(plan.subject, default_language=self.settings.default_language)
        lists = {each.slug: each for each in self.lists}
        facets = (
            [labels[topic.id].label for topic in self.topics if topic.id in plan.choice.topics],
            [kinds_name(words, kind) for kind in plan.choice.kinds],
            plan.choice.sources,
            [lists[slug].title(plan.language) for slug in query.lists],
        )
        return " · ".join(", ".join(names) for names in facets if names)

    def _guide(self, language: str) -> Guide:
        words = self._language(language)
        text = words.gettext(
            "This is a feed. Copy its address from the address bar into a feed reader, and news will come to you "
            "there as it is published."
        )
        return Guide(text, words.gettext("The same for people"), f"{self.settings.base_url}/feeds/style.css")

    def _language_name(self, code: str) -> str:
        language = self._language(code)
        return language.name if language.code == code else code

    def _description(self, plan: FeedPlan) -> str:
        if plan.facet in (Facet.LIST, Facet.CHOICE) and (description := self._list(plan).description(plan.language)):
            return clean_line(description)
        words, subject = self._language(plan.language), self._subject(plan)
        if subject:
            return clean_line(
                words.gettext("News from %(newsroom)s: %(subject)s", newsroom=self.settings.name, subject=subject)
            )
        return clean_line(words.gettext("All news from %(newsroom)s", newsroom=self.settings.name))

    def _list(self, plan: FeedPlan) -> MailingList:
        return next(each for each in self.lists if each.slug == plan.subject)

    def _labels(self, language: str) -> dict[int | Kind, Category]:
        if language not in self._categories:
            words = self._language(language)
            labels: dict[int | Kind, Category] = {
                topic.id: Category(
                    topic.slug,
                    topic.scheme or self.authority.tag("topics"),
                    topic.label(language, self.settings.default_language),
                )
                for topic in self.topics
            }
            labels |= {kind: Category(kind.value, self.authority.tag("kinds"), kind_name(words, kind)) for kind in Kind}
            self._categories[language] = labels
        return self._categories[language]

    def _language(self, code: str) -> Language:
        """Return the language; one without messages speaks English, as single messages do that it lacks."""
        try:
            return load_language(code, self.settings.home)
        except InvalidError:
            return load_language("en", self.settings.home)


def event_facts(event: Event, language: Language) -> tuple[tuple[str, str], ...]:
    """Return when and where an event takes place and whom to ask, with labels; what is not known is left out."""
    when, where, contact = _labels_of_facts(language)
    place = ", ".join(part for part in (event.venue, event.address) if part)
    facts = (
        (when, language.format_event(event.starts_at, event.ends_at, event.zone)),
        (where, place),
        (contact, event.contact),
    )
    return tuple((label, value) for label, value in facts if value)


def _said(article: Article, language: str) -> tuple[object, object]:
    """Return all that an entry in *language* is made of."""
    return article.translations[language], _facts_of(article)


def _labels_of_facts(language: Language) -> tuple[str, str, str]:
    return language.gettext("When"), language.gettext("Where"), language.gettext("Contact")


def _kept(said: dict[FeedPlan, Said], plan: FeedPlan, say: Callable[[FeedPlan], Said]) -> Said:
    """Return what is *said* of *plan*, or *say* it; of combinations there is no end, so that some are forgotten."""
    found = said.get(plan)
    if found is None:
        if len(said) >= MOST_SAID:
            said.clear()
        found = said[plan] = say(plan)
    return found


def _digest(said: object) -> str:
    return hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).hexdigest()
