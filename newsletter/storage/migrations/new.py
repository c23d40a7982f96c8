"""Write the next revision for a developer to read and correct: what the models have and the migrations lack.

make migration NAME="adds a colour to lists"
"""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from newsletter.storage import migrate
from newsletter.storage.engine import connect


def write_revision(name: str) -> None:
    """Compare a database of the newest revision with the models; number the revision 0001, 0002 and so on."""
    number = 1 + len(list(ScriptDirectory(str(migrate.MIGRATIONS)).walk_revisions()))
    with tempfile.TemporaryDirectory() as folder:
        database = connect(f"sqlite:///{Path(folder) / 'newest.db'}")
        if number > 1:
            migrate.upgrade(database)
        with database.engine.connect() as connection:
            command.revision(migrate.configuration(connection), name, autogenerate=True, rev_id=f"{number:04}")
        database.dispose()


if __name__ == "__main__":
    write_revision(sys.argv[1])
