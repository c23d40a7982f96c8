"""Subjects: what makes one look like spam, to people and to filters, in the languages of the catalogues."""

import re
from collections.abc import Iterator

LONGEST = 90
"""Characters; phones show about half of it, and longer ones are cut everywhere."""

SHORTEST_SHOUT = 8
"""Letters; a name such as UNDP or МСБ in capitals is no shouting."""

MOST_CAPITALS = 0.7
MOST_SIGNS = 2

_FAKE_REPLY = re.compile(r"\s*(?:re|fw|fwd|на|отв|пересл)\s*:", re.IGNORECASE)
_MONEY = re.compile(r"[$€£₽]{2,}|\b\d+\s*%\s*(?:off|скидк|арзандат)", re.IGNORECASE)
_WORDS = re.compile(
    r"\b(?:act now|buy now|click here|earn money|free gift|limited time|risk[- ]free|100 ?% free|winner|"
    r"бесплатно|выиграли|жми(?:те)? сюда|заработок|кликните|срочно|только сегодня|"
    r"акысыз|бекер|шашылыңыз|утуп алдыңыз)\b",
    re.IGNORECASE,
)
_PICTOGRAPH = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")


def doubts(subject: str) -> Iterator[str]:
    """Yield what makes *subject* look like spam, in words; nothing for an honest headline."""
    letters = [letter for letter in subject if letter.isalpha()]
    capitals = sum(letter.isupper() for letter in letters)
    if len(letters) >= SHORTEST_SHOUT and capitals > MOST_CAPITALS * len(letters):
        yield "it shouts: nearly all letters are capitals"
    if subject.count("!") + subject.count("?") > MOST_SIGNS or "!!" in subject:
        yield "it has more exclamation or question marks than a headline"
    if _FAKE_REPLY.match(subject):
        yield "it begins like an answer or a forwarded mail"
    if _MONEY.search(subject):
        yield "it speaks of money as advertisements do"
    if match := _WORDS.search(subject):
        yield f"{match[0]!r} is what filters look for"
    if len(_PICTOGRAPH.findall(subject)) > 1:
        yield "it has several pictographs"
    if len(subject) > LONGEST:
        yield f"it has {len(subject)} characters; mail programs cut it after about {LONGEST}"
