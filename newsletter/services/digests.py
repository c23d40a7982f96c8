"""Digests: turns an edition's articles into rendered blocks, and items into variants, in one language at a time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from newsletter.config import Settings
from newsletter.domain.announcements import Letter
from newsletter.domain.articles import Article, Kind
from newsletter.domain.compositions import Content, Placed, arrange_placed, digest_of, place
from newsletter.domain.edition_edits import NO_EDITS, Edits
from newsletter.domain.editions import Edition, Item, is_upcoming, section_of
from newsletter.domain.filters import Filter
from newsletter.domain.lists import MailingList, SectionsBy
from newsletter.domain.schedule import Slot, days_covered
from newsletter.domain.topics import Topic
from newsletter.domain.variants import Block
from newsletter.rendering.digest import Digest, DigestItem, Image, Section
from newsletter.rendering.email import render_digest
from newsletter.rendering.languages import Language, available_languages, load_language
from newsletter.rendering.sentences import render_intro, render_more, render_preheader, render_subject, render_why
from newsletter.rendering.words import kinds_name, others_name
from newsletter.storage.variants import NewVariant

VIEW_KEY_LENGTH = 16
"""Hex digits of a variant's digest in its address; of a hidden list as many of the edition's own random number."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """An edition in one language: all that it may show, its blocks, their bytes of HTML by key, and where items stand.

    What variants have in common is worked out once: there may be a hundred thousand of them.
    """

    digest: Digest
    items: Mapping[str, DigestItem]
    blocks: Mapping[str, Block]
    sizes: Mapping[str, int]
    placed: dict[Item, Placed] = field(default_factory=dict)
    subjects: dict[tuple[str, int], str] = field(default_factory=dict)
    intros: dict[tuple[int, int], str] = field(default_factory=dict)
    more: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DigestMaker:
    """Renders one edition and lays out its variants; *articles* are in the order of the edition, *edits* are staff's.

    *rendered* holds, by language, what has been rendered or was stored before.
    """

    settings: Settings
    mailing_list: MailingList
    edition: Edition
    topics: tuple[Topic, ...]
    articles: Mapping[int, Article]
    edits: Edits = NO_EDITS
    rendered: dict[str, Rendered] = field(default_factory=dict)

    def shown_in(self, language: str) -> str:
        """Return the language in which a reader of *language* gets the edition: their own, if the list speaks it."""
        speaks = language in self.mailing_list.languages and language in available_languages(self.settings.home)
        return language if speaks else self.mailing_list.default_language

    def why(self, language: str, choice: Filter) -> str:
        """Say to readers of *language* with this filter why they get the list."""
        spoken = self._language(self.shown_in(language))
        return render_why(
            spoken,
            self.mailing_list.title(spoken.code),
            self.edition.cadence,
            topics=[each.label(spoken.code) for each in self.topics if each.id in choice.topics],
            kinds=[kinds_name(spoken, kind) for kind in choice.kinds],
        )

    def render(self, contents: Iterable[Content]) -> None:
        """Render the blocks of every item that *contents* hold, once per language."""
        needed: dict[str, dict[Item, None]] = {}
        for language, items in contents:
            needed.setdefault(language, {}).update(dict.fromkeys(items))
        places = {article_id: place for place, article_id in enumerate(self.articles)}
        for language, shown in needed.items():
            digest = self._digest(language, sorted(shown, key=lambda item: (places[item.article_id], item.language)))
            blocks = render_digest(digest, self.edition.nonce, home=self.settings.home)
            self.rendered[language] = _rendered(digest, blocks)

    def reuse(self, language: str, items: Iterable[Item], blocks: Mapping[str, Block]) -> None:
        """Take blocks that were rendered before, with the items that are to be laid out from them."""
        self.rendered[language] = _rendered(self._digest(language, items), blocks)

    def letter(self, code: str, letter: Letter) -> Digest:
        """Return an announcement as templates are given it: no article, and what staff wrote."""
        return replace(self._digest(code, ()), letter=letter)

    def variant(self, content: Content) -> NewVariant:
        """Lay out the variant of *content* from rendered blocks; its subject and its readers' common holes with it."""
        language, items = content
        rendered = self.rendered[language]
        placed = self._placed(rendered, items)
        arranged = arrange_placed(items, placed, sizes=rendered.sizes, wanted_lead=self.edits.lead)
        shown = [rendered.items[placed[item].key] for item in items]
        lead = rendered.items[placed[arranged.lead].key] if arranged.lead else None
        event_count = sum(item.event is not None for item in shown)
        fingerprint = digest_of(language, items)
        page = f"{self.settings.base_url}/archive/{self.mailing_list.slug}/{self.edition.slot_key}"
        return NewVariant(
            language=language,
            digest=fingerprint,
            subject=self._subject(rendered, lead.title if lead else "", len(shown)),
            blocks=arranged.layout.blocks,
            holes={
                "preheader": render_preheader(
                    (lead or shown[0]).summary, [item.title for item in shown if item is not lead]
                ),
                "intro": _intro(rendered, len(shown) - event_count, event_count),
                "view_url": f"{page}/{language}/{view_key(self.mailing_list, self.edition, fingerprint)}",
                "more": _more(rendered, arranged.layout.left_out_count),
            },
            html_bytes=arranged.layout.html_bytes,
            items=items,
        )

    def _placed(self, rendered: Rendered, items: Iterable[Item]) -> Mapping[Item, Placed]:
        for item in items:
            if item not in rendered.placed:
                rendered.placed[item] = place(
                    item,
                    self.articles[item.article_id],
                    self.mailing_list.sections,
                    self._topic_order,
                    cut_at=self.edition.cut_at,
                    sizes=rendered.sizes,
                )
        return rendered.placed

    def _subject(self, rendered: Rendered, lead_title: str, item_count: int) -> str:
        key = lead_title, item_count
        if key not in rendered.subjects:
            rendered.subjects[key] = render_subject(rendered.digest, *key, home=self.settings.home)
        return rendered.subjects[key]

    @cached_property
    def _topic_order(self) -> dict[int, int]:
        return {topic.id: place for place, topic in enumerate(self.topics)}

    def _language(self, code: str) -> Language:
        return load_language(code, self.settings.home)

    def _digest(self, code: str, items: Iterable[Item]) -> Digest:
        language, zone = self._language(code), self.mailing_list.schedule.zone_info
        slot = Slot(self.edition.slot_at, self.edition.slot_key)
        items = tuple(items)
        return Digest(
            language=language,
            list_title=self.mailing_list.title(code),
            list_description=self.mailing_list.description(code),
            newsroom=self.settings.name,
            postal_address=self.settings.postal_address,
            cadence=self.edition.cadence,
            slot_on=self.edition.slot_at.astimezone(zone).date(),
            period=days_covered(self.edition.cadence, self.mailing_list.schedule, slot),
            zone=self.mailing_list.schedule.zone,
            sections_by=self.mailing_list.sections,
            sections=self._sections(language, items),
            items=tuple(self._item(item, language) for item in items),
            site_url=self.settings.base_url + "/",
            archive_url=f"{self.settings.base_url}/archive/",
            feed_url=self._feed_url(code),
            intro=self.edits.intros.get(code) or self.mailing_list.intro(code),
            accent_colour=self.settings.accent_colour,
            logo_url=self.settings.logo_url,
        )

    def _feed_url(self, code: str) -> str:
        """Return where the list is a feed in this language; "" for a list that has none."""
        has_feed = self.mailing_list.is_public and code in self.settings.languages
        return f"{self.settings.base_url}/feeds/list-{self.mailing_list.slug}-{code}.atom" if has_feed else ""

    def _sections(self, language: Language, items: Iterable[Item]) -> tuple[Section, ...]:
        used = {self._section(self.articles[item.article_id]) for item in items}
        if self.mailing_list.sections is SectionsBy.KIND:
            return tuple(Section(kind.value, kinds_name(language, kind)) for kind in Kind if kind.value in used)
        labelled = [
            Section(str(topic.id), topic.label(language.code)) for topic in self.topics if str(topic.id) in used
        ]
        return (*labelled, *((Section("", others_name(language)),) if "" in used else ()))

    def _section(self, article: Article) -> str:
        return section_of(article, self.mailing_list.sections, self._topic_order)

    def _item(self, item: Item, language: Language) -> DigestItem:
        article = self.articles[item.article_id]
        shown = article.best_translation(item.language)  # a translation may have been taken away since
        page = f"{self.settings.base_url}/articles/{article.uid}"
        return DigestItem(
            article_id=article.id,
            language=item.language,
            kind=article.kind,
            title=shown.title,
            summary=self.edits.summaries.get((article.id, shown.language), shown.summary),
            mend=item.mend,
            url=shown.url or f"{page}?lang={item.language}",
            published_at=article.published_at,
            section=self._section(article),
            topics=tuple(topic.label(language.code) for topic in self.topics if topic.id in article.topics),
            image=Image(
                article.image_url, shown.image_alt, shown.image_credit, article.image_width, article.image_height
            )
            if article.image_url
            else None,
            event=article.event if is_upcoming(article, self.edition.cut_at) else None,
            ics_url=f"{page}.ics" if article.event else "",
        )


def view_key(mailing_list: MailingList, edition: Edition, digest: str) -> str:
    """Return what names a variant in its address; of a hidden list only who was sent the edition can know it."""
    key = digest[:VIEW_KEY_LENGTH]
    return key if mailing_list.is_public else f"{key}-{edition.nonce[:VIEW_KEY_LENGTH]}"


def _intro(rendered: Rendered, item_count: int, event_count: int) -> str:
    key = item_count, event_count
    if key not in rendered.intros:
        rendered.intros[key] = render_intro(rendered.digest, *key)
    return rendered.intros[key]


def _more(rendered: Rendered, left_out_count: int) -> str:
    if left_out_count not in rendered.more:
        rendered.more[left_out_count] = render_more(rendered.digest.language, left_out_count)
    return rendered.more[left_out_count]


def _rendered(digest: Digest, blocks: Mapping[str, Block]) -> Rendered:
    sizes = {key: len(block.html.encode()) for key, block in blocks.items()}
    return Rendered(digest, {item.key: item for item in digest.items}, blocks, sizes)
