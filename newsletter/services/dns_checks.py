"""DNS checks: what `newsletter doctor` finds out of SPF, DKIM, DMARC and the names of relays."""

from collections.abc import Collection, Iterable, Mapping

from newsletter.config import Settings
from newsletter.domain.addresses import split_address
from newsletter.domain.dns_records import Judgement, is_reserved, judge_dkim, judge_dmarc, judge_spf, parents_of
from newsletter.domain.spf import Policy, read_policy
from newsletter.errors import InvalidError, TransientError
from newsletter.mail.dkim_keys import key_record, load_key
from newsletter.mail.dns import Names
from newsletter.mail.relay import Relay
from newsletter.services.relay_dns_checks import Found, judge_relays
from newsletter.services.signing import signer_of


def judge_dns(settings: Settings, senders: Collection[str], relays: Mapping[Relay, str]) -> Found:
    """Yield the name of each check and what it found.

    *senders*: the From addresses of lists. *relays*: each with the name that it calls itself, empty where unknown.
    Where nobody answers the first question, that is all there is to say: a machine may have no network.

    Raises:
        InvalidError: NEWSLETTER_DNS_SERVER is no address.
    """
    froms = sorted({split_address(each)[1].lower() for each in (settings.sender, *senders)})
    if all(map(is_reserved, froms)):
        yield "DNS", Judgement(f"skipped: {', '.join(froms)} can be nobody's domain")
        return
    try:
        names = Names(settings.dns_server)
    except TransientError as error:
        yield "DNS", Judgement(f"skipped: {error}")
        return
    asking = _Asking(settings, senders, names)
    for check in (*asking.spf(), asking.dkim(), *asking.dmarc(), asking.relays(relays)):
        try:
            yield from check
        except TransientError as error:
            yield "DNS", Judgement(f"skipped: {error}", "look at the domain's name servers" if names.has_answer else "")
            if not names.has_answer:
                return


class _Asking:
    """What there is to look at; each for itself, so that where one gets no answer the next is looked at still."""

    def __init__(self, settings: Settings, senders: Collection[str], names: Names) -> None:
        self._settings = settings
        self._froms = (settings.sender, *senders)
        self._names = names
        self._policies: list[Policy] = []
        try:
            self._signer = signer_of(settings)
        except InvalidError:
            self._signer = None  # a key that cannot be read is told of elsewhere

    def spf(self) -> list[Found]:
        """Look at the domains of envelope senders, as `mailing.MailBuilder.return_path` has them."""
        settings = self._settings
        own = settings.return_base if settings.return_tags else settings.return_path
        return [self._spf(domain) for domain in _domains([own] if own else self._froms)]

    def _spf(self, domain: str) -> Found:
        policy = read_policy(domain, self._names)
        judged = judge_spf(policy)
        if not judged.is_serious:
            self._policies.append(policy)
        yield "SPF", judged

    def dkim(self) -> Found:
        """Look at each key at each domain that signs."""
        if self._signer is None:
            return
        keys = [(selector, load_key(path)) for selector, path in self._settings.dkim_keys]
        for domain in sorted({self._signer.domain_for(each) for each in self._froms}):
            for selector, key in keys:
                record = key_record(key, selector=selector, domain=domain)
                if not is_reserved(domain):
                    yield "DKIM record", judge_dkim(record.name, record.value, self._names.texts(record.name))

    def dmarc(self) -> list[Found]:
        """Look at the domains of From addresses."""
        return [self._dmarc(domain) for domain in _domains(self._froms)]

    def _dmarc(self, domain: str) -> Found:
        signed_by = self._signer.domain_for(f"news@{domain}") if self._signer else None
        for place in parents_of(domain):
            if texts := [text for text in self._names.texts(f"_dmarc.{place}") if text.startswith("v=DMARC1")]:
                yield "DMARC", judge_dmarc(domain, place, texts, signed_by=signed_by)
                return
        yield "DMARC", judge_dmarc(domain, domain, [], signed_by=signed_by)

    def relays(self, relays: Mapping[Relay, str]) -> Found:
        """Look at what mail leaves by, with the policies that `spf` could read."""
        yield from judge_relays(relays, self._policies, self._settings.domain, self._names)


def _domains(addresses: Iterable[str]) -> list[str]:
    """Return the domains of *addresses* that may be somebody's."""
    found = {split_address(each)[1].lower() for each in addresses}
    return sorted(each for each in found if not is_reserved(each))
