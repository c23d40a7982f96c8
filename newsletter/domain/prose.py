"""Prose: what may be done to a newsroom's words without changing what they say, and what is only pointed out."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser

SUMMARY_LENGTH = 240
LONGEST_FIRST_SENTENCE = 300
SHORTEST_SUMMARY = 60
SHORT_PARAGRAPH = 40
"""A shorter paragraph may rightly stand twice in a text ("* * *", "Yes."), unless the two are neighbours."""
LONGEST_CAPTION = 80
MOST_EXAMPLES = 3
LONGEST_STRAY_WORD = 2

_UNSEEN = {"Cc", "Cf", "Cs", "Co"}
_JOINERS = "\u200c\u200d"  # they shape letters and emoji, and are no noise
_BREAKS = "\t\n\v\f\r\x85\u2028\u2029"
_WORD = re.compile(r"[^\W\d_]+")
_LATIN_LOOKALIKES = frozenset("acoy")  # words of one letter in Russian and Kyrgyz, typed on the wrong keyboard
_SENTENCE_END = re.compile(
    r"""(?P<end>[.!?…]+["'”’»)\]]*)   # the stop and what closes after it
        (?: \s+ (?=["'“‘«(\[—–-]*\s*[^\Wa-zа-яёөүң_])          # and a capital or a figure after a blank,
          | \s*\*{3}\s*                                        # or stars,
          | (?=["“«(]?[A-ZА-ЯЁӨҮҢ][^\W\d_A-ZА-ЯЁӨҮҢ])           # or a capitalised word at once,
          | \s*$ )                                             # or nothing""",
    re.VERBOSE,
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"“«])(?:[^\W\d_]|[A-ZА-Я]\.[A-ZА-Я]|Mr|Mrs|Ms|Dr|Prof|St|No|Nos|vs|Jr|Sr|Gen|Gov|Rep|Sen|Hon|Amb|Art|fig|approx|"
    r"e\.g|i\.e|a\.m|p\.m|ул|им|г|гг|стр|тыс|млн|млрд|руб|др|пр|проф|акад|т\.е|т\.д|т\.п|б\.а)\.$",
    re.IGNORECASE,
)
_RUN_TOGETHER = re.compile(
    r"[^\W\d_A-ZА-ЯЁӨҮҢ]{2}[.!?…]+[\"'”’»)]*(?:\*{3})?[\"“«(]?[A-ZА-ЯЁӨҮҢ][^\W\d_]"
    r"|[^\W\d_]{2}\*{3}[^\W\d_]"
)
_TOKEN = re.compile(r"\S+")


def normalise(text: str) -> str:
    """Return *text* on one line: composed (NFC), single spaces, nothing unseen. Repeating it changes nothing."""
    return " ".join(without_controls(text).split())


def without_controls(text: str) -> str:
    """Return *text* composed (NFC), line breaks as spaces, without control, format and unassigned characters.

    Removes what XML 1.0 forbids, zero-width and bidirectional marks, soft hyphens, private and lone surrogates.
    """
    if not text.isprintable():
        text = text.translate(_SEEN)
    return unicodedata.normalize("NFC", text)


class _Seen(dict[int, str | None]):
    """What becomes of each character, by its code, worked out when it is first met."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        seen: str | None = character
        if character in _BREAKS:
            seen = " "
        elif character not in _JOINERS and _is_unseen(character):
            seen = None
        return self.setdefault(code, seen)


_SEEN = _Seen()


def _is_unseen(character: str) -> bool:
    is_noncharacter = character in "\ufffe\uffff" or "\ufdd0" <= character <= "\ufdef"
    return is_noncharacter or unicodedata.category(character) in _UNSEEN


def fold(text: str) -> str:
    """Return *text* for comparing: words and numbers only, without case."""
    return " ".join(re.findall(r"\w+", normalise(text).casefold()))


def text_of(html: str) -> str:
    """Return the words of sanitised *html*, blocks separated by a space."""
    if "<" not in html and "&" not in html:
        return normalise(html)
    reader = _TextReader()
    reader.feed(html)
    reader.close()
    return normalise("".join(reader.pieces))


class _TextReader(HTMLParser):
    inline = frozenset(
        [
            "a",
            "abbr",
            "b",
            "cite",
            "code",
            "del",
            "em",
            "i",
            "ins",
            "kbd",
            "mark",
            "q",
            "s",
            "small",
            "span",
            "strong",
            "sub",
            "sup",
            "time",
            "u",
        ]
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        if tag not in self.inline:
            self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.inline:
            self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)


def repeats(texts: Sequence[str]) -> set[int]:
    """Return the positions of the paragraphs among *texts* that say again what an earlier one said.

    A short paragraph counts only right after its twin: a refrain or a row of stars may return.
    """
    seen: set[str] = set()
    repeated: set[int] = set()
    previous = ""
    for position, text in enumerate(texts):
        folded = fold(text)
        if folded and folded in seen and (len(text) >= SHORT_PARAGRAPH or folded == previous):
            repeated.add(position)
        seen.add(folded)
        previous = folded
    return repeated


def sentences(text: str) -> list[str]:
    """Split *text* into sentences, those too that were run together without a space between them."""
    found: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        sentence = text[start : match.end("end")].strip()
        if not sentence or _ABBREVIATION.search(sentence):
            continue
        found.append(sentence)
        start = match.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def summarise(texts: Sequence[str], *, title: str = "") -> str:
    """Make a summary of about 240 characters from the first paragraphs, ending where a sentence ends.

    Leaves out a repeated title and, where the text begins in mid-sentence, that sentence's rest. Only a very long
    first sentence is cut, at a word, with an ellipsis.
    """
    told = [text for text in texts if text and fold(text) != fold(title)]
    parts = [sentence for text in told[:5] for sentence in sentences(text[:4000])]
    if len(parts) > 1 and starts_in_mid_sentence(parts[0]):
        del parts[0]
    if not parts:
        return ""
    if len(parts[0]) > LONGEST_FIRST_SENTENCE:
        return shorten(parts[0], SUMMARY_LENGTH)
    summary = parts[0]
    for part in parts[1:]:
        if len(summary) + 1 + len(part) > SUMMARY_LENGTH:
            # A dateline ("Bishkek.") or a greeting alone would say nothing.
            return shorten(f"{summary} {part}", SUMMARY_LENGTH) if len(summary) < SHORTEST_SUMMARY else summary
        summary += " " + part
    return summary


def shorten(text: str, length: int) -> str:
    """Cut *text* to at most *length* characters, at a word, with an ellipsis; a text that fits stays as it is."""
    if len(text) <= length:
        return text
    cut = text[: length - 1]
    at_word = cut.rpartition(" ")[0]
    return (at_word if len(at_word) > length // 2 else cut).rstrip(" ,;:–—-(") + "…"


def starts_in_mid_sentence(text: str) -> bool:
    """Say whether *text* begins with a small letter."""
    return bool(text) and text[0].islower()


def remarks(texts: Sequence[str]) -> list[str]:
    """Return what an editor should look at in a body's paragraphs; none of it is changed."""
    found: list[str] = []
    told = [text for text in texts if text]
    if told and starts_in_mid_sentence(told[0]):
        found.append(f"starts in mid-sentence: {shorten(told[0], 60)}")
    if told and _is_cut_off(told[-1]):
        found.append(f"ends without a full stop: …{told[-1][-40:]}")
    if joined := [example for text in told for example in _run_together(text)]:
        more = f" and {len(joined) - MOST_EXAMPLES} more" if len(joined) > MOST_EXAMPLES else ""
        found.append(f"sentences run together: {', '.join(repr(example) for example in joined[:MOST_EXAMPLES])}{more}")
    return found


def _is_cut_off(text: str) -> bool:
    """Say whether a paragraph, longer than a caption or a signature, stops at a small letter."""
    return len(text) > LONGEST_CAPTION and text[-1].islower() and not _is_address(text.rsplit(maxsplit=1)[-1])


def _is_address(token: str) -> bool:
    return "@" in token or "://" in token or "www." in token


def _run_together(text: str) -> Iterator[str]:
    """Find sentences that meet without a space, but not in addresses; each example is a few letters each side."""
    addresses = [match.span() for match in _TOKEN.finditer(text) if _is_address(match.group())]
    for match in _RUN_TOGETHER.finditer(text):
        if any(start <= match.start() and match.end() <= end for start, end in addresses):
            continue
        before = text[max(0, match.start() - 30) : match.start()].rpartition(" ")[2]
        after = re.match(r"\w*", text[match.end() :])
        yield before + match.group() + (after.group() if after else "")


def mixed_scripts(text: str) -> list[str]:
    """Name what looks typed on the wrong keyboard, each word once and in order; nothing is changed.

    That is a word with Latin and Cyrillic letters in it, and a word in the other script than all around it that is
    too short to be a name: a Cyrillic conjunction in an English sentence.
    """
    words = _WORD.findall(text)
    scripts = [_scripts(word) for word in words]
    found: dict[str, None] = {}
    for position, (word, (latin, cyrillic)) in enumerate(zip(words, scripts, strict=True)):
        if latin and cyrillic:
            found.setdefault(f"{word} ({_stray_letters(latin, cyrillic)})")
        elif _stands_alone(word, position, scripts):
            found.setdefault(f"{word} (a {'Cyrillic' if cyrillic else 'Latin'} word on its own)")
    return list(found)


def _scripts(word: str) -> tuple[str, str]:
    """Return the Latin letters and the Cyrillic letters of *word*."""
    if word.isascii():
        return word, ""
    latin = "".join(letter for letter in word if letter.isascii() or "\u00c0" <= letter <= "\u024f")
    cyrillic = "".join(letter for letter in word if "\u0400" <= letter <= "\u052f")
    return latin, cyrillic


def _stray_letters(latin: str, cyrillic: str) -> str:
    """Name the letters of the script that has fewer of them in a word."""
    letters, script = (cyrillic, "Cyrillic") if len(cyrillic) <= len(latin) else (latin, "Latin")
    return f"{', '.join(dict.fromkeys(letters))}: {script}"


def _stands_alone(word: str, position: int, scripts: Sequence[tuple[str, str]]) -> bool:
    """Say whether a very short word is in one script and the words around it are in the other."""
    if len(word) > LONGEST_STRAY_WORD:
        return False
    _, cyrillic = scripts[position]
    around = [*scripts[max(0, position - 2) : position], *scripts[position + 1 : position + 3]]
    if cyrillic:
        return any(near for near, _ in around) and not any(near for _, near in around)
    return word in _LATIN_LOOKALIKES and any(near for _, near in around) and not any(near for near, _ in around)
