"""All tables together, as Alembic and the tests need them."""

from newsletter.storage import articles, deliveries, editions, feeds, heartbeats, lists, subscriptions, topics
from newsletter.storage.base import Base

TABLE_MODULES = (articles, deliveries, editions, feeds, heartbeats, lists, subscriptions, topics)
metadata = Base.metadata
