"""The demo's desk: an account for the staff console, so that it can be tried like everything else."""

from newsletter.domain.staff import Role
from newsletter.errors import ConflictError
from newsletter.services.context import App
from newsletter.services.staff import NewPassword, add_account, reset_password

ADDRESS = "desk@press.karlygach.example"


def open_desk(app: App) -> NewPassword:
    """Return an operator's account with a password made now; where a home is used again, the old one is void."""
    try:
        return add_account(app, ADDRESS, Role.OPERATOR)
    except ConflictError:
        return reset_password(app, ADDRESS)
