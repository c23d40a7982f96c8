"""DNS checks: what `newsletter doctor` finds out of SPF, DKIM, DMARC and reverse addresses."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import ip_address

from newsletter.config import Settings
from newsletter.domain.addresses import split_address
from newsletter.domain.dns_records import (
    Judgement,
    is_reserved,
    judge_dkim,
    judge_dmarc,
    judge_reverse,
    judge_spf,
    parents_of,
)
from newsletter.errors import InvalidError, TransientError
from newsletter.mail.dkim_keys import key_record, load_key
from newsletter.mail.dns import Names
from newsletter.mail.relay import Relay
from newsletter.services.signing import signer_of


def judge_dns(settings: Settings, senders: Collection[str], relays: Sequence[Relay]) -> Iterator[tuple[str, Judgement]]:
    """Yield the name of each check and what it found; *senders*: the From addresses of lists.

    Where nobody answers the first question, that is all there is to say: a machine may have no network.

    Raises:
        InvalidError: NEWSLETTER_DNS_SERVER is no address.
    """
    froms = sorted({split_address(each)[1].lower() for each in (settings.sender, *senders)})
    if all(map(is_reserved, froms)):
        yield "DNS", Judgement(f"skipped: {', '.join(froms)} can be nobody's domain")
        return
    has_network = False
    try:
        names = Names(settings.dns_server)
        for each in _questions(settings, senders, relays, names):
            yield each
            has_network = True
    except TransientError as error:
        yield "DNS", Judgement(f"skipped: {error}", "look at the domain's name servers" if has_network else "")


def _questions(
    settings: Settings, senders: Collection[str], relays: Sequence[Relay], names: Names
) -> Iterator[tuple[str, Judgement]]:
    yield from _spf(settings, senders, names)
    yield from _dkim(settings, senders, names)
    for domain in _domains((settings.sender, *senders)):
        yield "DMARC", _dmarc(settings, domain, names)
    for relay in relays:
        yield from _reverse(settings, relay, names)


def _domains(addresses: Iterable[str]) -> list[str]:
    """Return the domains of *addresses* that may be somebody's."""
    found = {split_address(each)[1].lower() for each in addresses}
    return sorted(each for each in found if not is_reserved(each))


def _spf(settings: Settings, senders: Collection[str], names: Names) -> Iterator[tuple[str, Judgement]]:
    """Ask for the domains of envelope senders, as `mailing.MailBuilder.return_path` has them."""
    own = settings.return_base if settings.return_tags else settings.return_path
    for domain in _domains([own] if own else (settings.sender, *senders)):
        yield "SPF", judge_spf(domain, names.texts(domain))


def _dkim(settings: Settings, senders: Collection[str], names: Names) -> Iterator[tuple[str, Judgement]]:
    """Ask for each key at each domain that signs; a key that cannot be read is told of elsewhere."""
    try:
        signer = signer_of(settings)
        keys = [(selector, load_key(path)) for selector, path in settings.dkim_keys]
    except InvalidError:
        return
    domains = sorted({signer.domain_for(each) for each in (settings.sender, *senders)}) if signer else []
    for domain in domains:
        for selector, key in keys:
            record = key_record(key, selector=selector, domain=domain)
            if not is_reserved(domain):
                yield "DKIM record", judge_dkim(record.name, record.value, names.texts(record.name))


def _dmarc(settings: Settings, domain: str, names: Names) -> Judgement:
    try:
        signer = signer_of(settings)
    except InvalidError:
        signer = None
    signed_by = signer.domain_for(f"news@{domain}") if signer else None
    for place in parents_of(domain):
        if texts := [text for text in names.texts(f"_dmarc.{place}") if text.startswith("v=DMARC1")]:
            return judge_dmarc(domain, place, texts, signed_by=signed_by)
    return judge_dmarc(domain, domain, [], signed_by=signed_by)


def _reverse(settings: Settings, relay: Relay, names: Names) -> Iterator[tuple[str, Judgement]]:
    """Ask for the names of a relay that is ours; another's hands mail on from addresses that it sees to itself."""
    ours = parents_of(settings.domain)[-1]
    if relay.host != ours and not relay.host.endswith(f".{ours}"):
        yield "reverse address", Judgement(f"skipped: {relay.host} is no host of {ours}; who runs it sees to that")
        return
    for address in names.addresses(relay.host):
        if ip_address(address).is_global:
            found = names.names(address)
            back = [each for name in found for each in names.addresses(name)]
            yield "reverse address", judge_reverse(relay.host, address, found, back)
        else:
            yield "reverse address", Judgement(f"skipped: {address} of {relay.host} is a private address")
