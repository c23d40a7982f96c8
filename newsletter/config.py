"""Settings from the environment (NEWSLETTER_*), checked once; the only reader of the environment."""

import os
import secrets
import tempfile
from contextlib import suppress
from functools import cache, cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from newsletter.errors import InvalidError

MINIMUM_SECRET_LENGTH = 32
LONGEST_TAGGED = 31
"""Characters before the @ that leave room for a + and a token: 64 in all (RFC 5321)."""


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())  # a walk through hundreds of files, 10 ms


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError(f"{name!r} is no time zone; use a name such as Asia/Bishkek")
    return name


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} must be like https://news.example.org, without query or fragment")
    if not url.isascii():
        raise ValueError(f"{url!r} must be ASCII, since mails carry it; write its host as xn--…")
    return url.rstrip("/")


def _make_secret(path: Path) -> None:
    """Write a new key to *path*, complete from the moment it is there; if another process is first, its key stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # readable by its owner alone
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(MINIMUM_SECRET_LENGTH))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink()


def _key_files(value: object) -> object:
    """Split `selector:path,selector:path`; what else *value* may be is for the field's type to judge."""
    if not isinstance(value, str):
        return value
    files = [each.strip().partition(":") for each in value.split(",") if each.strip()]
    if not all(selector and path for selector, _, path in files):
        raise ValueError("write selector:path, such as news2026:/etc/newsletter/dkim.pem; commas separate several")
    selectors = [selector for selector, _, _ in files]
    if repeated := {each for each in selectors if selectors.count(each) > 1}:
        raise ValueError(f"a selector names one key; {', '.join(sorted(repeated))} stands here twice")
    return tuple((selector, Path(path)) for selector, _, path in files)


def _hub(value: str) -> str:
    if value not in ("own", "none") and urlsplit(value).scheme not in ("http", "https"):
        raise ValueError(f"{value!r} must be own, none or the address of a hub")
    return value


def _networks(value: object) -> object:
    """Split `network,network` and check each; what else *value* may be is for the field's type to judge."""
    if not isinstance(value, str):
        return value
    return tuple(str(ip_network(name.strip())) for name in value.split(",") if name.strip())


def _domains(value: object) -> object:
    """Split a list of domains; what else *value* may be is for the field's type to judge."""
    if not isinstance(value, str):
        return value
    return frozenset(each.strip().lower().lstrip("@.") for each in value.split(",") if each.strip())


def _addresses(value: object) -> object:
    """Split a list of addresses; what else *value* may be is for the field's type to judge."""
    if not isinstance(value, str):
        return value
    addresses = tuple(each.strip() for each in value.split(",") if each.strip())
    for each in addresses:
        local, at, domain = each.rpartition("@")
        if not (local and at and domain) or any(letter.isspace() for letter in each):
            raise ValueError(f"{each!r} is no e-mail address; write it like desk@example.org")
    return addresses


def _words(value: object) -> object:
    """Split what stands between spaces; what else *value* may be is for the field's type to judge."""
    return tuple(value.split()) if isinstance(value, str) else value


class Settings(BaseSettings):
    """One installation's settings; each field is the variable NEWSLETTER_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="NEWSLETTER_", extra="ignore", frozen=True, hide_input_in_errors=True)

    home: Path = Field(
        default_factory=lambda: Path.home() / ".local/share/newsletter",
        description="folder of the embedded database, the secret key and files",
    )
    database_url: str = Field(
        default="", repr=False, description="postgresql://user@host/name; empty: SQLite in the home folder"
    )
    broker_url: str = Field(default="", repr=False, description="redis://host:port/0; empty: everything in one process")
    smtp_url: str = Field(
        default="",
        repr=False,
        description="smtp://user:pass@host:port?tls=off|starttls|implicit, spaces between several; empty: hold mail",
    )
    wait_factor: float = Field(
        default=1, gt=0, le=1, description="shortens leases, retries and ticks where faults are rehearsed; else 1"
    )
    reachable_networks: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)] = Field(
        default=(),
        description="networks that are not public and yet asked, on any port, such as 10.1.0.0/16; commas between them",
    )
    hub: Annotated[str, AfterValidator(_hub)] = Field(
        default="own",
        description="the WebSub hub that pushes feeds: own, none, or another's address, which is told of changes",
    )
    base_url: Annotated[str, AfterValidator(_web_address)] = Field(
        default="http://localhost:8000", description="the public address of the web pages"
    )
    secret_key: str = Field(
        default="",
        repr=False,
        description="signs links, keys address hashes; 32 characters or more; empty: in the home folder",
    )
    retired_keys: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        default=(),
        repr=False,
        description="earlier secret keys, the newest first, spaces between: their links work on; never drop the last",
    )
    name: str = Field(default="Newsroom", description="the newsroom's name, in mails, pages and feeds")
    postal_address: str = Field(default="", description="one line; every digest must carry it")
    mail_domain: str = Field(default="", description="domain of Message-IDs and List-Ids; empty: the base URL's host")
    from_address: str = Field(
        default="", description="sender of confirmations and notices; empty: news@ the mail domain"
    )
    return_path: str = Field(
        default="", description="envelope sender that gets bounces; empty: the list's From address"
    )
    dkim_keys: Annotated[tuple[tuple[str, Path], ...], NoDecode, BeforeValidator(_key_files)] = Field(
        default=(), description="keys that sign mails, selector:path separated by commas; empty: mails go out unsigned"
    )
    dkim_domain: str = Field(
        default="", description="domain that signs for From addresses in it and below; empty: each address's own"
    )
    zone: Annotated[str, AfterValidator(_known_zone)] = Field(default="UTC", description="the newsroom's time zone")
    languages: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("en", "ru", "ky"),
        description="offered languages, the first is the default; separated by commas",
    )
    accent_colour: str = Field(
        default="#0b5394", pattern=r"^#[0-9a-fA-F]{6}$", description="colour of mastheads, links"
    )
    refuse_disposable: bool = Field(default=True, description="take no sign-ups from mailboxes that last minutes")
    refuse_roles: bool = Field(default=False, description="take no sign-ups from mailboxes such as info@ or office@")
    refused_domains: Annotated[frozenset[str], NoDecode, BeforeValidator(_domains)] = Field(
        default=frozenset(), description="more domains to take no sign-ups from, with those below; separated by commas"
    )
    sign_ups_per_network: int = Field(default=30, ge=1, description="most sign-ups of one network in an hour")
    sign_ups_overall: int = Field(default=2000, ge=1, description="most sign-ups of all networks together in an hour")
    consent_network: Literal["truncated", "hashed", "none"] = Field(
        default="truncated", description="truncated, hashed or none: what the record of consent keeps of a network"
    )
    keep_addresses_days: int = Field(default=180, ge=14, description="days until sent mails lose their address")
    keep_ended_days: int = Field(default=400, ge=1, description="days until who left every list is erased")
    reports_address: str = Field(
        default="", description="mailbox that `newsletter reports read` is fed from: unsubscribes by mail; empty: none"
    )
    review_addresses: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_addresses)] = Field(
        default=(), description="who is told by mail when an edition waits for review; separated by commas"
    )
    dns_server: str = Field(
        default="", description="IP address, with :port if it is not 53, that `doctor` asks; empty: the machine's own"
    )
    return_tags: bool = Field(
        default=False,
        description="envelope senders carry +token, so that a bounce names its mail; for a mailbox that takes +tags",
    )
    logo_url: str = Field(default="", description="PNG shown in mastheads; empty: the name in letters")

    @model_validator(mode="before")
    @classmethod
    def _split_languages(cls, values: dict[str, object]) -> dict[str, object]:
        languages = values.get("languages")
        if isinstance(languages, str):
            values["languages"] = tuple(code.strip() for code in languages.split(",") if code.strip())
        return values

    @model_validator(mode="after")
    def _production_needs_a_secret(self) -> Self:
        if self.secret_key and len(self.secret_key) < MINIMUM_SECRET_LENGTH:
            raise ValueError(f"NEWSLETTER_SECRET_KEY needs at least {MINIMUM_SECRET_LENGTH} characters")
        if any(len(each) < MINIMUM_SECRET_LENGTH for each in self.retired_keys):
            raise ValueError(f"NEWSLETTER_RETIRED_KEYS needs at least {MINIMUM_SECRET_LENGTH} characters in each key")
        if self.retired_keys and not self.secret_key:
            raise ValueError("NEWSLETTER_RETIRED_KEYS needs NEWSLETTER_SECRET_KEY beside it: the one in force")
        if self.database_url and not self.secret_key:
            raise ValueError("NEWSLETTER_DATABASE_URL needs NEWSLETTER_SECRET_KEY beside it, the same for each process")
        if self.broker_url and not self.database_url:
            raise ValueError("NEWSLETTER_BROKER_URL needs NEWSLETTER_DATABASE_URL: workers cannot share a SQLite file")
        return self

    @model_validator(mode="after")
    def _return_tags_need_room(self) -> Self:
        local, _, domain = self.return_base.partition("@")
        if self.return_tags and not (domain and self.return_base.isascii() and 0 < len(local) <= LONGEST_TAGGED):
            raise ValueError(
                f"NEWSLETTER_RETURN_TAGS needs a plain address of at most {LONGEST_TAGGED} characters before the @,"
                f" and {self.return_base!r} is none: set NEWSLETTER_RETURN_PATH or NEWSLETTER_REPORTS_ADDRESS"
            )
        return self

    @property
    def return_base(self) -> str:
        """The envelope sender that return tags are put into."""
        return self.return_path or self.reports_address or self.sender

    @property
    def hub_url(self) -> str:
        """The address of the hub that feeds name; empty: they name none."""
        return {"own": f"{self.base_url}/feeds/hub", "none": ""}.get(self.hub, self.hub)

    @property
    def is_embedded(self) -> bool:
        """Whether everything runs in this process, without a broker."""
        return not self.broker_url

    @property
    def domain(self) -> str:
        """The right-hand side of Message-IDs and List-Ids."""
        return self.mail_domain or urlsplit(self.base_url).hostname or "localhost"

    @property
    def sender(self) -> str:
        """The From address of transactional mail, and of lists that name none."""
        return self.from_address or f"news@{self.domain}"

    @property
    def default_language(self) -> str:
        """The language used where nobody chose one."""
        return self.languages[0]

    @property
    def zone_info(self) -> ZoneInfo:
        """The newsroom's zone."""
        return ZoneInfo(self.zone)

    @property
    def database(self) -> str:
        """The SQLAlchemy URL; embedded by default, PostgreSQL always by psycopg 3."""
        if not self.database_url:
            return f"sqlite:///{self.home / 'newsletter.db'}"
        scheme, _, rest = self.database_url.partition("://")
        return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else self.database_url

    @property
    def retired_secrets(self) -> tuple[bytes, ...]:
        """Keys that sign nothing any more, and whose links still work."""
        return tuple(each.encode() for each in self.retired_keys)

    @property
    def lasting_secret(self) -> bytes:
        """The key of what is kept under it and cannot be made anew: the first there ever was.

        Suppressed and erased addresses are known by their keyed hash alone; private feeds and the secrets shared with
        hubs have to stay what they are.
        """
        return self.retired_secrets[-1] if self.retired_keys else self.secret

    @cached_property
    def secret(self) -> bytes:
        """The secret key; the embedded default makes one in the home folder on first use, for its owner's eyes only.

        Raises:
            InvalidError: the file of the key does not hold one.
        """
        if self.secret_key:
            return self.secret_key.encode()
        path = self.home / "secret.key"
        if not path.exists():
            _make_secret(path)
        key = path.read_bytes().strip()
        if len(key) < MINIMUM_SECRET_LENGTH:
            raise InvalidError(
                f"the key file {path} holds {len(key)} characters and needs {MINIMUM_SECRET_LENGTH} or more: restore "
                "it from a backup; after removing it a new key is made, and links in mails sent so far stop working"
            )
        return key


def load_settings(**overrides: object) -> Settings:
    """Read the environment; *overrides* win over it.

    Raises:
        InvalidError: a variable has a value that cannot be used; the message names each one.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # values are checked by the model itself
    except ValidationError as error:
        lines = [
            f"{'NEWSLETTER_' + '_'.join(map(str, e['loc'])).upper() if e['loc'] else 'settings'}: "
            f"{e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise InvalidError("; ".join(lines)) from error
