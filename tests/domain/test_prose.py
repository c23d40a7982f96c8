"""Words are tidied without being changed, and what is odd about them is pointed out."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.domain.prose import (
    SUMMARY_LENGTH,
    fold,
    mixed_scripts,
    normalise,
    remarks,
    repeats,
    sentences,
    shorten,
    summarise,
    text_of,
)

ANY_TEXT = st.text(st.characters(codec=None), max_size=200)
"""Lone surrogates included, as JSON can hold them."""


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        pytest.param("two  blanks\tand\u00a0more ", "two blanks and more", id="blanks"),
        pytest.param("first\r\nsecond\u2028third", "first second third", id="line breaks"),
        pytest.param("Cafe\u0301", "Caf\u00e9", id="composed"),
        pytest.param("a\x00b\x1bc\x7f", "abc", id="control characters"),
        pytest.param("zero\u200bwidth\ufeff soft\u00adhyphen", "zerowidth softhyphen", id="unseen"),
        pytest.param("safe\u202egnp.exe", "safegnp.exe", id="direction override"),
        pytest.param("half \ud83d a pair", "half a pair", id="lone surrogate"),
        pytest.param("\U0001f469\u200d\U0001f33e", "\U0001f469\u200d\U0001f33e", id="joined emoji stays"),
        pytest.param("Subject: x\r\nBcc: all@example.org", "Subject: x Bcc: all@example.org", id="header injection"),
        pytest.param("Кыргызча: өүң ӨҮҢ", "Кыргызча: өүң ӨҮҢ", id="Kyrgyz stays"),
    ],
)
def test_text_is_normalised(given_text, kept):
    assert kept == normalise(given_text)


@given(ANY_TEXT)
def test_normalised_text_is_one_printable_line_and_stays_so(text):
    once = normalise(text)

    assert once == normalise(once)
    assert unicodedata.is_normalized("NFC", once)
    assert not any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in once)
    assert "  " not in once
    once.encode()


def test_folding_ignores_case_punctuation_and_blanks():
    assert fold("INVISIBLE  no more!") == fold("Invisible “no” more")


def test_text_of_html_separates_blocks_and_keeps_words_whole():
    html = "<p>One <b>t</b>wo</p><ul><li>three</li><li>four &amp; five</li></ul>"

    assert "One two three four & five" == text_of(html)


class TestRepeats:
    LONG = "The council met on Monday and decided about the roads of the valley."

    def test_a_long_paragraph_counts_wherever_it_returns(self):
        assert {2} == repeats([self.LONG, "Something else was said in between, and at length.", self.LONG.upper()])

    def test_a_short_one_counts_only_beside_its_twin(self):
        assert {3} == repeats(["* * * Yes.", "No.", "Yes.", "Yes."])

    def test_a_paragraph_without_words_never_counts(self):
        assert set() == repeats(["* * *", "* * *"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("One ends. Two begins! Three?", ["One ends.", "Two begins!", "Three?"], id="plain"),
        pytest.param("One ends.Two begins.", ["One ends.", "Two begins."], id="run together"),
        pytest.param("The end.***For media: us", ["The end.", "For media: us"], id="stars between"),
        pytest.param("Ms. A. Grawe met Dr. B. today. They spoke.", ["Ms. A. Grawe met Dr. B. today.", "They spoke."],
                     id="titles and initials"),
        pytest.param("At 11.30 a.m. local time. Then", ["At 11.30 a.m. local time.", "Then"], id="times"),
        pytest.param("“It works,” she said. “Yes.” He left.", ["“It works,” she said.", "“Yes.”", "He left."],
                     id="quotes"),
        pytest.param("В 2024 г. Бишкек вырос. Это много.", ["В 2024 г. Бишкек вырос.", "Это много."], id="Russian"),
        pytest.param("Visit example.org now", ["Visit example.org now"], id="an address"),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_would_end_them(text, found):
    assert found == sentences(text)


class TestSummary:
    def test_ends_where_a_sentence_ends(self):
        first, second = "A short beginning that says what happened in the valley today.", "B" + "b" * 200 + "."

        assert first == summarise([f"{first} {second}"])

    def test_takes_several_short_sentences(self):
        assert "One came to the town hall. Two followed. Three." == summarise(
            ["One came to the town hall.Two followed.", "Three."]
        )

    def test_leaves_out_the_title_when_the_body_repeats_it(self):
        assert "The text begins here." == summarise(["A TITLE", "The text begins here."], title="A title")

    def test_skips_the_rest_of_a_sentence_that_was_cut_off(self):
        assert "Here is a whole sentence." == summarise(["of the centre, he said. Here is a whole sentence."])

    def test_a_dateline_alone_is_no_summary(self):
        summary = summarise(["Bishkek. " + "The ministry and its partners " * 12 + "met."])

        assert summary.startswith("Bishkek. The ministry")
        assert len(summary) <= SUMMARY_LENGTH

    def test_of_nothing_is_nothing(self):
        assert "" == summarise(["", "A title"], title="A title")

    @given(st.lists(st.text(max_size=600), max_size=4))
    def test_is_never_much_longer_than_asked_for(self, texts):
        assert len(summarise([normalise(text) for text in texts])) <= 300


@given(st.text(max_size=100), st.integers(min_value=2, max_value=50))
def test_shortening_never_exceeds_the_length(text, length):
    assert len(shorten(text, length)) <= length


class TestMixedScripts:
    @pytest.mark.parametrize(
        ("text", "reported"),
        [
            pytest.param("said Sam\u0430ganovna", ["Sam\u0430ganovna (\u0430: Cyrillic)"], id="one Cyrillic letter"),
            pytest.param("the session\u044b, too", ["session\u044b (\u044b: Cyrillic)"], id="Cyrillic ending"),
            pytest.param("ка\u0063са открыта", ["ка\u0063са (\u0063: Latin)"], id="one Latin letter"),
            pytest.param("call 0554 \u0438 0779 now", ["\u0438 (a Cyrillic word on its own)"], id="lone conjunction"),
            pytest.param("вода c гор течёт", ["c (a Latin word on its own)"], id="lone Latin preposition"),
        ],
    )
    def test_reports_the_word_and_the_letters(self, text, reported):
        assert reported == mixed_scripts(text)

    @pytest.mark.parametrize(
        "text",
        [
            "Plain English with Wi-Fi and COVID-19.",
            "IT-компания открыла офис в ЦУР",
            "Суу үчүн күрөш: өзөндөр жана көлдөр",
            "The newspaper Слово и дело wrote about it",
            "Витамин C и план B",
            "",
        ],
    )
    def test_is_silent_about_honest_text(self, text):
        assert [] == mixed_scripts(text)

    def test_names_each_word_once(self):
        assert 1 == len(mixed_scripts("Sam\u0430ra and Sam\u0430ra again"))


class TestRemarks:
    def test_points_out_sentences_run_together(self):
        (remark,) = remarks(["All seven regions.***For media inquiries, call. He spoke.She left."])

        assert "regions.***For" in remark
        assert "spoke.She" in remark

    def test_says_nothing_of_addresses(self):
        assert [] == remarks(["Write to press.Office@example.org or see www.example.Org/News now, and you will hear."])

    @pytest.mark.parametrize("run", ["x", ".", "a.", "aа", "***", "- "])
    def test_a_text_without_end_takes_no_time_without_end(self, run):
        """A pattern that tries every start of a long run would take hours here."""
        text = normalise(run * (400_000 // len(run)))

        assert len(remarks([text])) <= 2
        assert len(summarise([text])) <= 300

    def test_points_out_a_beginning_and_an_end_in_mid_sentence(self):
        begins, ends = remarks(
            ["of the centre that supplies schools. " + "It grew and grew over the years" + " and years" * 6]
        )

        assert "starts in mid-sentence" in begins
        assert "ends without a full stop" in ends
