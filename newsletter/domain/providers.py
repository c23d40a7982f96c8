"""Receiving providers: the groups of mail domains that one operator runs and throttles as one."""

import re
from types import MappingProxyType

from newsletter.domain.addresses import split_address

OTHER = "other"

_DOMAINS = {
    "gmail": "gmail.com googlemail.com",
    "microsoft": "msn.com passport.com windowslive.com",
    "yahoo": "ymail.com rocketmail.com myyahoo.com aim.com verizon.net",
    "yahoo_japan": "yahoo.co.jp ybb.ne.jp",
    "apple": "icloud.com me.com mac.com privaterelay.appleid.com",
    "mailru": "mail.ru bk.ru list.ru inbox.ru internet.ru xmail.ru",
    "yandex": "ya.ru narod.ru",
    "rambler": "rambler.ru lenta.ru autorambler.ru myrambler.ru ro.ru rambler.ua",
    "gmx": "web.de",
    "proton": "proton.me protonmail.com protonmail.ch pm.me",
    "comcast": "comcast.net",
    "orange": "orange.fr wanadoo.fr",
    "free": "free.fr",
    "telekom": "t-online.de magenta.de",
    "qq": "qq.com vip.qq.com foxmail.com",
    "netease": "163.com vip.163.com 126.com vip.126.com yeah.net 188.com",
    "naver": "naver.com",
}
_FAMILIES = {
    "microsoft": "hotmail outlook live",
    "yahoo": "yahoo aol",
    "yandex": "yandex",
    "gmx": "gmx",
}
"""Names that an operator has under many countries' domains: hotmail.fr, yahoo.co.uk, yandex.kz."""

_PROVIDER_OF = MappingProxyType({domain: name for name, domains in _DOMAINS.items() for domain in domains.split()})
_FAMILY_OF = MappingProxyType({family: name for name, families in _FAMILIES.items() for family in families.split()})
_OF_A_COUNTRY = re.compile(r"([a-z]+)\.(?:com|net|org|[a-z]{2}|(?:com|co|net|org)\.[a-z]{2})", re.ASCII)

PROVIDERS = (*sorted(_DOMAINS), OTHER)
"""Every group that there is; `other` holds whoever is in none of the rest."""


def provider_of(address: str) -> str:
    """Return the group of the provider that receives *address*'s mail; `other` where none is known.

    Judged by its domain alone, and nobody is asked: a company's own domain is `other`, whoever hosts it.
    """
    domain = split_address(address)[1].rstrip(".").lower()
    if known := _PROVIDER_OF.get(domain):
        return known
    family = _OF_A_COUNTRY.fullmatch(domain)
    return _FAMILY_OF.get(family[1], OTHER) if family else OTHER
