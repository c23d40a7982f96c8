"""Alembic's entry: runs what it was asked for on the connection that `newsletter.storage.migrate` hands over."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, BigInteger
from sqlalchemy.dialects import registry

from newsletter.storage.base import UTCDateTime
from newsletter.storage.schema import metadata


def render_item(kind: str, item: Any, _autogen: AutogenContext) -> str | Literal[False]:
    """Write types plainly: a revision must go on meaning the same when the package's own types change."""
    if kind != "type":
        return False
    if isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if isinstance(item, BigInteger) and item.compile(registry.load("sqlite")()) == "INTEGER":
        return "IDENTIFIER"
    if isinstance(item, JSON) and item.compile(registry.load("postgresql")()) == "JSONB":
        return "JSON"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()
