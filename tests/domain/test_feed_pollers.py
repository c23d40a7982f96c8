"""Who polls a feed, and how many that makes."""

import hashlib

import pytest

from newsletter.domain.feed_readers import DIRECT, MOST_STATED, OTHERS, DayOfFeed, Poller, Sketch, poller_of, readers_of

FEEDLY = "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 16 subscribers; like FeedFetcher-Google)"


@pytest.mark.parametrize(
    ("agent", "poller"),
    [
        (FEEDLY, Poller("Feedly", 16)),
        ("NewsBlur Feed Fetcher - 5 subscribers - http://www.newsblur.com/site/1", Poller("NewsBlur", 5)),
        ("Feedbin feed-id:1234 - 4 subscribers", Poller("Feedbin", 4)),
        ("Mozilla/5.0 (compatible; theoldreader.com; 1 subscribers; feed-id=9)", Poller("The Old Reader", 1)),
        ("Inoreader/1.0 (+http://www.inoreader.com/feed-fetcher; 12 subscribers; )", Poller("Inoreader", 12)),
        ("Unheard-of/2 (1 subscriber)", Poller(OTHERS, 1)),
        ("Joker/1 (999999999 subscribers)", Poller(OTHERS, MOST_STATED)),
        ("NetNewsWire (RSS Reader; https://netnewswire.com/)", Poller(DIRECT)),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", Poller(DIRECT)),
        ("Feedly/1.0 (discovery)", None),
        ("Googlebot/2.1", None),
        ("curl/8.5.0", None),
        ("", None),
    ],
)
def test_a_poller_is_known_by_its_user_agent(agent, poller):
    assert poller == poller_of(agent)


def hashed(number: int) -> int:
    return int.from_bytes(hashlib.blake2b(str(number).encode(), digest_size=8).digest())


@pytest.mark.parametrize(("count", "off"), [(0, 0), (1, 0), (10, 1), (100, 5), (3000, 300), (100_000, 10_000)])
def test_a_sketch_is_about_right_however_often_each_comes(count, off):
    sketch = Sketch()
    for number in range(count):
        sketch.add(hashed(number))
        sketch.add(hashed(number))

    assert abs(count - sketch.estimate()) <= off


def test_sketches_of_two_processes_count_nobody_twice():
    first, second, both = Sketch(), Sketch(), Sketch()
    for number in range(300):
        (first if number < 200 else second).add(hashed(number))
        second.add(hashed(number % 100))
        both.add(hashed(number))
    first.merge(second)

    assert bytes(both) == bytes(first)
    assert bytes(first) == bytes(Sketch(bytes(first)))


def test_days_of_the_same_readers_are_not_added_up():
    days = [DayOfFeed({"Feedly": 10}), DayOfFeed({"Feedly": 12, "NewsBlur": 3})]
    for day in days:
        for number in range(5):
            day.direct.add(hashed(number))
    found = readers_of("all-en", days)

    assert {"Feedly": 12, "NewsBlur": 3} == found.aggregators
    assert 5 == found.direct
    assert 20 == found.total
