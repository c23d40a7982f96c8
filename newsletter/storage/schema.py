"""All tables together, as Alembic and the tests need them."""

from newsletter.storage import (
    announcements,
    articles,
    audiences,
    audit,
    deliveries,
    edition_edits,
    editions,
    feeds,
    heartbeats,
    lists,
    requests,
    retention,
    search,
    sign_ups,
    stops,
    subscribers,
    subscriptions,
    suppressions,
    topics,
    variants,
)
from newsletter.storage.base import Base

TABLE_MODULES = (
    announcements,
    articles,
    audiences,
    audit,
    deliveries,
    edition_edits,
    editions,
    feeds,
    heartbeats,
    lists,
    requests,
    retention,
    search,
    sign_ups,
    stops,
    subscribers,
    subscriptions,
    suppressions,
    topics,
    variants,
)
metadata = Base.metadata
