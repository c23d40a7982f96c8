"""What each command prints with `--json`, and the command that tells it as JSON Schema."""

import json
import sys
from datetime import datetime
from typing import Annotated

import typer

from newsletter.cli.json_schemas import Shape, kind_of, schema_of, schema_of_one
from newsletter.demo.run import DemoFacts
from newsletter.domain.api_clients import ApiClient
from newsletter.domain.audit import Act
from newsletter.domain.feed_readers import FeedReaders
from newsletter.domain.feeds import Facet, FeedFormat
from newsletter.domain.lists import Cadence, MailingList
from newsletter.domain.resends import Hindrance
from newsletter.domain.staff import Account
from newsletter.domain.suppressions import SuppressionReason
from newsletter.errors import NotFoundError
from newsletter.mail.reports import ReportKind
from newsletter.services.api import NewClient
from newsletter.services.article_imports import ImportOutcome, ImportResult
from newsletter.services.articles import ArticleFacts
from newsletter.services.checks import Finding
from newsletter.services.doubts import Settled
from newsletter.services.edition_checks import CheckFinding
from newsletter.services.edition_desk import Span
from newsletter.services.edition_edits import EditionDiff
from newsletter.services.editions import Progress
from newsletter.services.explaining import ArticleStory, Explanation
from newsletter.services.exports import ExportReport
from newsletter.services.feed_rebuilding import FeedBuilt
from newsletter.services.filters import NamedFilter
from newsletter.services.folder_watch import WatchedFile
from newsletter.services.growth import ListGrowth
from newsletter.services.inquiries import Story
from newsletter.services.limits import LimitFacts
from newsletter.services.polling import PollReport
from newsletter.services.progress import EditionStatus
from newsletter.services.relays import RelayFacts
from newsletter.services.resending import ResendPlan
from newsletter.services.restores import Restore
from newsletter.services.sending_status import SendingStatus
from newsletter.services.sends import ArticlesPlan, SendPlan
from newsletter.services.sources import SourceFacts
from newsletter.services.staff import NewPassword
from newsletter.services.subscriber_imports import Refusal, RowOutcome
from newsletter.services.subscriber_moves import MoveReport
from newsletter.services.subscribers import ListedSubscriber, SubscriberFacts
from newsletter.services.topics import TopicsLoaded

_ACCOUNTS = Shape("Accounts", {"adds_up": bool}, like=Progress)
_COMPOSED = Shape("Composed", {"edition_id": int, "readers": int, "findings": list[CheckFinding]})
_RECORD = {"name": str, "type": str, "value": str, "strings": list[str]}
_LIST = Shape(
    "List",
    {
        "filter": NamedFilter,
        "readers": int,
        "waiting": int,
        "readers_by_cadence": dict[Cadence, int],
        "readers_by_language": dict[str, int],
    },
    like=MailingList,
    without={"filter_id"},
)
_POLL = Shape(
    "Poll",
    like=kind_of(SourceFacts, "poll"),
    without={"source_id", "slug", "title", "window", "skipped", "missing", "body_digest", "hub_name"},
)
_SOURCE = Shape(
    "Source",
    {
        "slug": str,
        "title": str,
        "articles": int,
        "last_received_at": datetime | None,
        "state": str,
        "is_sick": bool,
        "poll": (_POLL, None),
    },
)
_IMPORTED = Shape("Imported", {"items": list[ImportOutcome], "counts": dict[ImportResult, int]})
_ARTICLES = Shape("Articles", {"articles": list[ArticleFacts], "next_before": str | None})
_ARTICLE = Shape("Article", {"editions": kind_of(ArticleStory, "editions")}, like=ArticleFacts)
_TOPIC = Shape(
    "Topic",
    {
        "slug": str,
        "parent": str | None,
        "scheme": str | None,
        "labels": dict[str, str],
        "rules": dict[str, list[str]],
        "apply": bool,
    },
)
_READERS = Shape(
    "ReadersImported",
    {
        **{outcome.value: int for outcome in RowOutcome},
        "refusals": list[Refusal],
        "encoding": str,
        "ignored_columns": list[str],
    },
)
_FEED = Shape(
    "Feed",
    {
        "slug": str,
        "title": str,
        "facet": Facet,
        "subject": str,
        "language": str,
        "addresses": dict[FeedFormat, str],
        "entries": int,
        "size": int,
        "changed_at": datetime | None,
        "rebuilt_at": datetime | None,
        "state": str,
    },
)
_FOLLOWER = Shape(
    "Follower",
    {
        "topic": str,
        "callback": str,
        "lease_until": datetime,
        "pushed_at": datetime | None,
        "failing_since": datetime | None,
        "problem": str | None,
    },
)

PRINTED: dict[str, object] = {
    "api-clients add": NewClient,
    "api-clients list": list[ApiClient],
    "articles import": (_IMPORTED, WatchedFile),
    "articles list": _ARTICLES,
    "articles publish": ArticleFacts,
    "articles retag": ArticleFacts,
    "articles show": _ARTICLE,
    "articles withdraw": ArticleFacts,
    "audit": list[Act],
    "compose": _COMPOSED,
    "db acknowledge-restore": Restore,
    "db upgrade": Shape("Upgraded", {"revision": str}),
    "deliveries list": [kind_of(Story, "mail")],
    "deliveries settle": (
        Settled,
        Shape("LogCompared", {"in_doubt": int, "taken": int, "absent": int, "mails_in_log": int}),
        Shape("SettledByLog", {"accepted": int, "sent_again": int, "left": int}),
    ),
    "deliveries show": list[Story],
    "demo": DemoFacts,
    "dkim keygen": Shape("KeyMade", {"file": str, **_RECORD, "setting": str}),
    "dkim record": Shape("KeyRecord", _RECORD),
    "doctor": list[Finding],
    "editions check": list[CheckFinding],
    "editions correct": _COMPOSED,
    "editions diff": EditionDiff,
    "editions edit": EditionDiff,
    "editions list": list[Progress],
    "editions mend": Shape("Mended", {"edition_id": int, "article": str, "mails_changed": int}),
    "editions resend": Shape(
        "ResendReport",
        {"failed": int, "sendable": int, "away": dict[Hindrance, int], "queued": int},
        like=ResendPlan,
    ),
    "editions show": _ACCOUNTS,
    "editions status": EditionStatus,
    "editions test-send": Shape("TestSent", {"edition_id": int, "sent_to": list[str]}),
    "editions timeline": list[Span],
    "explain": Explanation,
    "export": ExportReport,
    "feeds followers": [_FOLLOWER],
    "feeds list": [_FEED],
    "feeds readers": list[FeedReaders],
    "feeds rebuild": list[FeedBuilt],
    "limits list": list[LimitFacts],
    "lists add": _LIST,
    "lists growth": list[ListGrowth],
    "lists list": [_LIST],
    "lists set": _LIST,
    "lists show": _LIST,
    "relays list": list[RelayFacts],
    "reports read": dict[ReportKind, int],
    "send": (_ACCOUNTS, SendPlan, ArticlesPlan, list[Progress]),
    "sending status": SendingStatus,
    "sources add": _SOURCE,
    "sources list": [_SOURCE],
    "sources pause": _SOURCE,
    "sources poll": PollReport,
    "sources resume": _SOURCE,
    "sources show": _SOURCE,
    "staff add": NewPassword,
    "staff list": list[Account],
    "staff reset": NewPassword,
    "subscribers add": Shape("SubscriberAdded", {"address": str, "list": str, "outcome": RowOutcome}),
    "subscribers erase": Shape("Erased", {"erased": bool, "subscriptions_ended": int}),
    "subscribers export": (SubscriberFacts, Shape("Exported", {"address": str, "file": str})),
    "subscribers import": (_READERS, MoveReport),
    "subscribers list": list[ListedSubscriber],
    "subscribers release": Shape("Released", {"address": str, "released": bool}),
    "subscribers show": SubscriberFacts,
    "subscribers suppress": Shape("Suppressed", {"address": str, "reason": SuppressionReason, "since": datetime}),
    "topics list": [_TOPIC],
    "topics load": TopicsLoaded,
}
"""What each command prints: a type, `[shape]` for a list of shapes, or several in brackets where it depends."""


def json_schema(
    command: Annotated[
        list[str] | None, typer.Argument(help="The words of a command, such as editions list; without them, of all.")
    ] = None,
) -> None:
    """Print the JSON Schema of what a command prints with --json; nothing that it does not name is ever printed.

    Example:  newsletter json-schema editions list
    """
    words = " ".join(command or ())
    if words and words not in PRINTED:
        raise NotFoundError(f"no command {words!r} prints JSON; `newsletter json-schema` without words has all that do")
    found = schema_of_one(PRINTED[words]) if words else schema_of(PRINTED)
    sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
