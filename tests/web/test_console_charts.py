"""Charts as numbers: what fills a bar, and where columns stand."""

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.feed_readers import FeedReaders
from newsletter.web.console.charts import HEIGHT, LEAST_HEIGHT, WIDTH, columns, provider_bars, reader_bars


def test_bars_are_as_long_as_their_share_of_the_longest_and_hold_every_mail():
    by_provider = {
        "gmail": {DeliveryState.ACCEPTED: 70, DeliveryState.FAILED: 10, DeliveryState.QUEUED: 20},
        "yandex": {DeliveryState.ACCEPTED: 20, DeliveryState.IN_DOUBT: 5, DeliveryState.SENDING: 25},
    }
    gmail, yandex = provider_bars(by_provider)

    assert [("accepted", 70), ("failed", 10), ("rest", 20)] == [(part.name, part.count) for part in gmail.parts]
    assert [("accepted", 20), ("doubt", 5), ("rest", 25)] == [(part.name, part.count) for part in yandex.parts]
    assert WIDTH == sum(part.width for part in gmail.parts)
    assert WIDTH / 2 == sum(part.width for part in yandex.parts)
    assert [80, 25] == [gmail.done, yandex.done]


def test_no_mails_make_no_bar():
    assert [] == provider_bars({})
    assert () == provider_bars({"gmail": {}})[0].parts


def test_columns_share_one_scale_above_and_below_the_line():
    chart = columns([("9 March", 6, 0), ("16 March", 2, 2)])

    unit = (HEIGHT - 2 * LEAST_HEIGHT) / 8
    assert LEAST_HEIGHT + 6 * unit == chart.line
    assert [LEAST_HEIGHT + 6 * unit, LEAST_HEIGHT + 2 * unit] == [each.up_height for each in chart.columns]
    assert [0, LEAST_HEIGHT + 2 * unit] == [each.down_height for each in chart.columns]
    assert HEIGHT == chart.line + max(each.down_height for each in chart.columns)
    assert (6, 2) == (chart.most_up, chart.most_down)
    assert all(0 <= each.x < each.x + each.width <= WIDTH for each in chart.columns)


def test_a_single_failure_beside_a_million_is_seen():
    [column] = columns([("9 March", 1_000_000, 1)]).columns

    assert LEAST_HEIGHT <= column.down_height < 2 * LEAST_HEIGHT


def test_where_nothing_happened_a_line_is_left():
    chart = columns([("9 March", 0, 0)])

    assert (0, 0, 0, 0) == (chart.line, chart.height, chart.most_up, chart.most_down)
    assert () == columns([]).columns


def test_readers_of_feeds_come_by_services_or_directly():
    (_, longest), (_, shorter) = reader_bars(
        [FeedReaders("all-en", {"Feedly": 16, "Inoreader": 4}, 20), FeedReaders("all-ru", {}, 10)]
    )

    assert [("services", 20), ("direct", 20)] == [(part.name, part.count) for part in longest]
    assert [("direct", 10)] == [(part.name, part.count) for part in shorter]
    assert [WIDTH, WIDTH / 4] == [sum(part.width for part in bar) for bar in (longest, shorter)]
