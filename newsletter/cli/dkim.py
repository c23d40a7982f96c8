"""`newsletter dkim`: makes keys that sign mails, and says what to tell the DNS."""

from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.output import AsJSON, print_facts
from newsletter.config import load_settings
from newsletter.errors import InvalidError
from newsletter.mail.dkim_keys import KeyKind, KeyRecord, key_record, load_key, make_key, save_key

app = typer.Typer(no_args_is_help=True, help="DKIM: keys that sign mails, and their records in the DNS.")


@app.command()
def keygen(
    selector: Annotated[
        str, typer.Option(metavar="NAME", help="Names the key in the DNS; a new one for each key, such as news2026.")
    ],
    domain: Annotated[str, typer.Option(metavar="DOMAIN", help="The domain of the From addresses, or one above it.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to keep the private key; never overwritten.")],
    ed25519: Annotated[
        bool, typer.Option("--ed25519", help="Make a short Ed25519 key, a second one beside RSA, not instead of it.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Make a private key that only its owner can read; print the DNS record to publish and the setting to add.

    Mails are signed once the setting names the key. Publish the record first, and keep it for two weeks after the key
    was replaced: mails are still on their way.

    Example:  newsletter dkim keygen --selector news2026 --domain example.org --out /etc/newsletter/news2026.pem

    Example:  newsletter dkim keygen --ed25519 --selector news2026e --domain example.org --out news2026e.pem
    """
    key = make_key(KeyKind.ED25519 if ed25519 else KeyKind.RSA)
    made = key_record(key, selector=selector, domain=domain)
    save_key(key, out)
    setting = f"NEWSLETTER_DKIM_KEYS={selector}:{out.resolve()}"
    if as_json:
        print_facts({"file": str(out.resolve()), **_facts(made), "setting": setting}, as_json=True)
        return
    typer.echo(f"The private key is in {out}; nobody else needs it. Publish this record:\n")
    _print_record(made)
    typer.echo(f"\nThen set, after a comma where a key stands already:\n\n  {setting}\n")
    typer.echo(f"and, where From addresses are below {domain}, NEWSLETTER_DKIM_DOMAIN={domain}")


@app.command()
def record(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A private key in PEM form.")],
    selector: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its selector; else what NEWSLETTER_DKIM_KEYS says of the file.")
    ] = None,
    domain: Annotated[
        str | None, typer.Option(metavar="DOMAIN", help="The domain to publish it in; else that of our notices.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Print the DNS record of a key again.

    Example:  newsletter dkim record /etc/newsletter/news2026.pem

    Example:  newsletter dkim record old.pem --selector news2025 --domain example.org
    """
    settings = load_settings()
    known = {path.resolve(): name for name, path in settings.dkim_keys}
    selector = selector or known.get(file.resolve())
    if selector is None:
        raise InvalidError(f"NEWSLETTER_DKIM_KEYS does not name {file}; say its selector with --selector NAME")
    domain = domain or settings.dkim_domain or settings.sender.rpartition("@")[2]
    made = key_record(load_key(file), selector=selector, domain=domain)
    if as_json:
        print_facts(_facts(made), as_json=True)
    else:
        _print_record(made)


def _facts(record: KeyRecord) -> dict[str, object]:
    return {"name": record.name, "type": "TXT", "value": record.value, "strings": record.strings}


def _print_record(record: KeyRecord) -> None:
    """Print *record* in unbroken lines, to be copied."""
    typer.echo(f"  name   {record.name}\n  type   TXT\n  value  {record.value}")
    if len(record.strings) > 1:
        typer.echo(f"\nas a line of a zone file, where a string ends at 255 characters:\n\n  {record.zone_line}")
