"""A newsroom to replay: its articles, one list, readers with random wishes; written by the real services."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from mailboxes import Mail, read_mail
from oracle import Wish, expect

from newsletter.bootstrap import build_app
from newsletter.config import Settings
from newsletter.demo.mailserver import MailServer
from newsletter.domain.articles import Kind
from newsletter.domain.lists import Cadence
from newsletter.embedded import run_until_idle
from newsletter.ingest.subscriber_csv import read_subscriber_file
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.services.article_imports import ImportOutcome, import_articles
from newsletter.services.context import App
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.subscriber_imports import import_subscribers
from newsletter.services.topics import load_topic_file
from newsletter.storage.articles import visible_articles
from newsletter.storage.subscribers import load_subscribers
from newsletter.storage.subscriptions import load_subscription
from newsletter.storage.topics import load_topics

ROOT = Path(__file__).resolve().parents[2]
TOPICS = ROOT / "newsletter/data/sdg-topics.yaml"
ZONE = ZoneInfo("Asia/Bishkek")
LIST = "news"
LANGUAGES = ("en", "ru", "ky")


@dataclass(frozen=True, slots=True)
class Story:
    """Which files to replay, and from when until when; both at 08:00 in Bishkek."""

    files: tuple[Path, ...]
    since: datetime
    until: datetime


class MovingClock:
    """A newsroom clock that stands where it is put."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def make_app(settings: Settings, server: MailServer, clock: MovingClock) -> App:
    """Return the service as `newsletter up` runs it, in this process, with *server* as its relay."""
    changed = settings.model_copy(update={"smtp_url": server.url, "broker_url": ""})
    return build_app(changed, clock=clock)


def bring_in(app: App, story: Story) -> list[ImportOutcome]:
    """Load the topics, the list and every article of the story; what is dated later shows when its time comes."""
    load_topic_file(app, TOPICS)
    add_list(
        app,
        ListDraft(
            slug=LIST,
            titles={"en": "News", "ru": "Новости", "ky": "Жаңылыктар"},
            from_name="The newsroom",
            from_address="news@newsroom.example",
            cadences=(Cadence.WEEKLY, Cadence.DAILY),
            since=story.since,
        ),
    )
    return import_all(app, story)


def import_all(app: App, story: Story) -> list[ImportOutcome]:
    """Import every file of the story, as staff would by name."""
    return [outcome for path in story.files for outcome in import_articles(app, path, source=path.stem)]


def invent_wishes(count: int, *, cadences: Sequence[str], seed: int) -> list[Wish]:
    """Return readers with random filters, some of which choose everything and some nothing there is."""
    chance = random.Random(seed)
    slugs = [line.split(":", 1)[1].strip() for line in TOPICS.read_text().splitlines() if "slug:" in line]

    def some(values: Sequence[str], most: int) -> tuple[str, ...]:
        return tuple(chance.sample(list(values), chance.randint(0, most)))

    return [
        Wish(
            address=f"{chance.choice(('Anna', 'bek.t', 'o+news'))}.{number}@readers.example",
            language=chance.choice(LANGUAGES),
            cadence=chance.choice(list(cadences)),
            topics=some(slugs, 4),
            kinds=some([kind.value for kind in Kind], 3),
            languages=some(LANGUAGES, 2),
        )
        for number in range(count)
    ]


def subscribe(app: App, wishes: Iterable[Wish]) -> None:
    """Import the readers as staff would, from a CSV file."""
    rows = ["address,language,cadence,topics,kinds,languages"]
    rows += [
        f"{w.address},{w.language},{w.cadence},{'|'.join(w.topics)},{'|'.join(w.kinds)},{'|'.join(w.languages)}"
        for w in wishes
    ]
    file = read_subscriber_file("\n".join(rows).encode(), name="readers.csv")
    report = import_subscribers(app, LIST, file, name="readers.csv", basis="signed up at the front desk")
    assert [] == report.refusals


def replay(app: App, clock: MovingClock, story: Story) -> None:
    """Let the days go by, with a tick each morning a minute after eight."""
    clock.now = story.since
    while clock.now <= story.until:
        clock.now += timedelta(minutes=1)
        run_until_idle(app)
        clock.now += timedelta(days=1, minutes=-1)


def check_mailboxes(app: App, mails: Sequence[Mail], wishes: Sequence[Wish], story: Story) -> None:
    """Hold every mailbox against the naive computation, and every mail against the promises about readers."""
    with app.reading() as tx:
        articles = visible_articles(tx.session, now=story.until)
        slugs = {topic.id: topic.slug for topic in load_topics(tx.session)}
    expected = expect(wishes, articles, slugs=slugs, since=story.since, until=story.until, zone=ZONE)
    found = {(mail.to, mail.slot_key): mail.articles for mail in mails}

    assert len(found) == len(mails), "a reader got an edition twice"
    assert expected == found
    assert len({mail.message_id for mail in mails}) == len(mails)
    for mail in mails:
        assert {mail.to} == mail.addresses
        assert {mail.to} == _owners(app, mail.tokens)


def _owners(app: App, tokens: Iterable[str]) -> set[str]:
    """Return whose links a mail holds; a link of nobody fails."""
    signer = TokenSigner(app.settings.secret)
    with app.reading() as tx:
        uids = {signer.read(purpose, token) for token in tokens for purpose in TokenPurpose} - {None}
        subscriptions = [load_subscription(tx.session, uid) for uid in sorted(uids)]
        ids = {each.subscriber_id for each in subscriptions}
        addresses = {each.address for each in load_subscribers(tx.session, ids).values()}
    assert tokens
    assert all(any(signer.read(purpose, token) for purpose in TokenPurpose) for token in tokens)
    return addresses


def received(app: App, server: MailServer) -> list[Mail]:
    """Read back all mails that the server took."""
    with app.reading() as tx:
        articles = visible_articles(tx.session, now=datetime.max.replace(tzinfo=UTC))
    uid_of = {
        told.url or f"{app.settings.base_url}/articles/{article.uid}?lang={told.language}": article.uid
        for article in articles
        for told in article.translations.values()
    }
    return [read_mail(each.content, uid_of) for each in server.mails]
