"""The order of a run: nothing is lost, stretches are equal, long tests come first, and who shares stays together."""

from collections import Counter
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st
from running_order import in_stretches

# A test here is (is it long, where it lives, which one of all it is).
TESTS = st.lists(st.tuples(st.booleans(), st.integers(0, 5))).map(
    lambda found: [(*each, number) for number, each in enumerate(found)]
)


def ordered(tests, count):
    return in_stretches(tests, count, is_long=lambda test: test[0], home=lambda test: test[1])


@given(TESTS, st.integers(1, 5))
def test_every_test_comes_once(tests, count):
    assert Counter(tests) == Counter(ordered(tests, count))


@given(TESTS)
def test_in_one_process_the_long_ones_come_first_and_who_shares_a_home_together(tests):
    found = ordered(tests, 1)
    long = [each for each in found if each[0]]
    homes = [home for _, home, _ in long]

    assert found[: len(long)] == long
    assert list(dict.fromkeys(homes)) == [home for home, _ in groupby(homes)]
    assert [each for each in tests if not each[0]] == found[len(long) :]


def test_each_of_several_processes_begins_with_long_tests_and_ends_with_short_ones():
    long = [(True, home, number) for home in "abc" for number in range(2)]
    short = [(False, "z", number) for number in range(14)]
    found = ordered([*short, *long], 2)

    assert [*long[:2], *long[4:], *short[:6]] == found[:10]
    assert [*long[2:4], *short[6:]] == found[10:]
