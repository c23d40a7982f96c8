"""Subjects: an honest headline raises no doubt, in any of the languages; what spam does raises one."""

import pytest

from newsletter.domain.subjects import doubts


@pytest.mark.parametrize(
    "subject",
    [
        "The week: Glacier lakes are mapped for the first time",
        "UNDP and WHO open 12 rural clinics",
        "Неделя: новые дороги в Нарыне",
        "Апта: Ысык-Көлдө жаңы мектеп ачылды",
        "What does the new water code change?",
        "100 % renewable by 2035: a plan 🌱",
        "ЮНИСЕФ",
    ],
)
def test_an_honest_headline_raises_no_doubt(subject):
    assert [] == list(doubts(subject))


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("READ THIS RIGHT NOW", "shouts"),
        ("НОВОСТИ НЕДЕЛИ УЖЕ ЗДЕСЬ", "shouts"),
        ("New schools!!", "question marks"),
        ("Who? What? When?", "question marks"),
        ("Re: our meeting", "answer"),
        ("Fwd: our meeting", "answer"),
        ("Отв: встреча", "answer"),
        ("Win $$$ with us", "money"),
        ("Скоро: 50 % скидки", "money"),
        ("Click here for the report", "filters"),
        ("Срочно: важная новость", "filters"),
        ("Акысыз китептер", "filters"),
        ("🔥🔥 news", "pictographs"),
        ("x " * 60, "120 characters"),
    ],
)
def test_what_spam_does_raises_a_doubt(subject, words):
    assert any(words in doubt for doubt in doubts(subject))
