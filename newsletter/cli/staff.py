"""`newsletter staff`: who may use the console."""

from typing import Annotated

import typer

from newsletter.cli.output import AsJSON, console, get_app, local, print_facts, table_of
from newsletter.services import staff as service
from newsletter.services.staff import NewPassword, Role

app = typer.Typer(no_args_is_help=True, help="Staff: accounts for the console, at /console of the pages.")

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The person's address, by which they sign in.")]
RoleOption = Annotated[
    Role,
    typer.Option(
        help="editor: drafts, their checks, approval, announcements. operator: also stops, resumes, mails, limits."
    ),
]


@app.command()
def add(context: typer.Context, email: Email, role: RoleOption = Role.EDITOR, as_json: AsJSON = False) -> None:
    """Make an account; its password is shown this once, and its owner can change it in the console.

    Example:  newsletter staff add aida@example.org --role editor
    """
    parts = get_app(context)
    _print_password(service.add_account(parts, email, role), parts.settings.base_url, as_json=as_json)


@app.command("list")
def list_all(context: typer.Context, as_json: AsJSON = False) -> None:
    """List all accounts, disabled ones too."""
    found = service.list_accounts(get_app(context))
    rows = [
        [
            each.email,
            each.role.value,
            *(local(context, at) for at in (each.created_at, each.signed_in_at, each.disabled_at)),
        ]
        for each in found
    ]
    columns = ["account", "role", "added", "signed in last", "disabled"]
    print_facts(found, as_json=as_json, table=table_of(columns, rows, spare=["added"]))


@app.command()
def reset(context: typer.Context, email: Email, as_json: AsJSON = False) -> None:
    """Make an account a new password, shown this once; whoever is signed in with it is signed out.

    Example:  newsletter staff reset aida@example.org
    """
    parts = get_app(context)
    _print_password(service.reset_password(parts, email), parts.settings.base_url, as_json=as_json)


@app.command()
def role(context: typer.Context, email: Email, role: Annotated[Role, typer.Argument(help="The new role.")]) -> None:
    """Give an account another role.

    Example:  newsletter staff role aida@example.org operator
    """
    service.change_role(get_app(context), email, role)
    console.print(f"{email} is {role.value} now.")


@app.command()
def disable(context: typer.Context, email: Email) -> None:
    """Let an account in no more, from now on; what it did stays on record.

    Example:  newsletter staff disable aida@example.org
    """
    service.disable_account(get_app(context), email)
    console.print(f"{email} is not let in any more.")


@app.command()
def enable(context: typer.Context, email: Email) -> None:
    """Let a disabled account in again.

    Example:  newsletter staff enable aida@example.org
    """
    service.enable_account(get_app(context), email)
    console.print(f"{email} may sign in again.")


@app.command("sign-out")
def sign_out(context: typer.Context, email: Email) -> None:
    """End all sessions of an account, on every browser.

    Example:  newsletter staff sign-out aida@example.org
    """
    ended = service.sign_out_everywhere(get_app(context), email)
    console.print(f"Sessions of {email} that were ended: {ended}.")


def _print_password(made: NewPassword, base_url: str, *, as_json: bool) -> None:
    if as_json:
        print_facts(made, as_json=True)
        return
    console.print(
        f"{made.email} may sign in as {made.role.value} at {base_url}/console\nThe password, shown this once:\n"
    )
    console.print(made.password, soft_wrap=True)
