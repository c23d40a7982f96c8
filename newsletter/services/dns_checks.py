"""DNS checks: what `newsletter doctor` finds out of SPF, DKIM, DMARC and reverse addresses."""

from collections.abc import Collection, Iterator, Sequence
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

    Where nobody answers the first question, that is all there is to say: no check here makes mail wait.

    Raises:
        InvalidError: NEWSLETTER_DNS_SERVER is no address.
    """
    froms = sorted({split_address(each)[1].lower() for each in (settings.sender, *senders)})
    asked = [domain for domain in froms if not is_reserved(domain)]
    if not asked:
        yield "DNS", Judgement(f"skipped: {', '.join(froms)} can be nobody's domain")
        return
    try:
        names = Names(settings.dns_server)
        yield from _spf(settings, names)
        yield from _dkim(settings, senders, names)
        for domain in asked:
            yield "DMARC", _dmarc(settings, domain, names)
        for relay in relays:
            yield from _reverse(settings, relay, names)
    except TransientError as error:
        yield "DNS", Judgement(f"skipped: {error}")


def _spf(settings: Settings, names: Names) -> Iterator[tuple[str, Judgement]]:
    domain = split_address(settings.return_base)[1].lower()
    if not is_reserved(domain):
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
