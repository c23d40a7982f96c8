"""The database's schema, as staff bring it up to date."""

from functools import partial

from newsletter.services.audit import note_act
from newsletter.services.context import App
from newsletter.services.guard import begin_lineage
from newsletter.storage.migrate import current, is_current, upgrade


def upgrade_schema(app: App) -> str:
    """Bring the database up to this release and return its revision. Safe to repeat, and from several processes."""
    upgrade(app.database, begin=partial(begin_lineage, home=app.settings.home))
    revision = current(app.database) or ""
    note_act(app, "upgraded", "database", revision=revision)
    return revision


def is_schema_current(app: App) -> bool:
    """Say whether the database has exactly the tables that this release expects."""
    return is_current(app.database)
