"""Decisions about feeds: which there are, what stands in them, how much of it."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.domain.articles import Kind
from newsletter.domain.feeds import (
    FEWEST_ENTRIES,
    LARGEST_DOCUMENT,
    LARGEST_ENTRY,
    LARGEST_WINDOW,
    RETRY_AFTER,
    ROOM_FOR_HEAD,
    WINDOW_ENTRIES,
    Authority,
    Facet,
    Feed,
    FeedPlan,
    Fit,
    choose_window,
    fit_entries,
    next_last_modified,
    plan_feeds,
    still_told,
)
from newsletter.domain.filters import EVERYTHING, choose

NOON = datetime(2026, 3, 16, 12, tzinfo=UTC)


def a_feed(**changes) -> Feed:
    facts = {
        "id": 1,
        "slug": "all-en",
        "facet": Facet.ALL,
        "subject": "",
        "language": "en",
        "filter_id": 1,
        "title": "News",
        "created_at": NOON,
        "change_count": 3,
        "built_count": 3,
        "entry_count": 0,
        "fingerprint": "same",
        "dirty_at": None,
        "due_at": None,
        "rebuilt_at": NOON,
        "failed_at": None,
        "problem": None,
    }
    return Feed(**(facts | changes))


@pytest.mark.parametrize(
    ("facet", "subject", "language", "slug"),
    [
        (Facet.ALL, "", "en", "all-en"),
        (Facet.TOPIC, "climate-action", "ru", "topic-climate-action-ru"),
        (Facet.KIND, "press_release", "ky", "kind-press-release-ky"),
        (Facet.LIST, "weekly", "pt-BR", "list-weekly-pt-br"),
    ],
)
def test_a_slug_says_what_the_feed_holds(facet, subject, language, slug):
    assert slug == FeedPlan(facet, subject, language, EVERYTHING).slug


def test_there_is_a_feed_of_everything_each_topic_kind_and_list_in_each_language():
    weekly = choose(topics=(1,))
    plans = plan_feeds(topics=[(1, "health")], lists=[("weekly", weekly)], languages=("en", "ru"))

    assert 2 * (1 + 1 + len(Kind) + 1) == len(plans) == len({plan.slug for plan in plans})
    assert choose(topics=(1,)) == next(plan.choice for plan in plans if plan.slug == "topic-health-ru")
    assert choose(kinds=("speech",)) == next(plan.choice for plan in plans if plan.slug == "kind-speech-en")
    assert weekly == next(plan.choice for plan in plans if plan.slug == "list-weekly-en")


def test_ids_name_the_authority_and_its_day():
    authority = Authority("news.example.org", date(2026, 3, 1))

    assert "tag:news.example.org,2026-03-01:article/0198" == authority.entry_id("0198")
    assert "tag:news.example.org,2026-03-01:feed/all-en" == authority.feed_id("all-en")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, False, id="nothing changed"),
        pytest.param({"change_count": 4}, True, id="an article changed"),
        pytest.param({"fingerprint": "other"}, True, id="a label or the address changed"),
        pytest.param({"due_at": NOON}, True, id="an embargo passes now"),
        pytest.param({"due_at": NOON + timedelta(seconds=1)}, False, id="an embargo passes soon"),
        pytest.param({"change_count": 4, "failed_at": NOON}, False, id="it just failed"),
        pytest.param({"change_count": 4, "failed_at": NOON - RETRY_AFTER}, True, id="it failed a while ago"),
        pytest.param({"change_count": 4, "failed_at": NOON + timedelta(days=1)}, True, id="the clock was set back"),
    ],
)
def test_a_feed_wants_a_rebuild_when_its_documents_may_be_out_of_date(changes, expected):
    assert expected is a_feed(**changes).wants_rebuild(fingerprint="same", now=NOON)


def test_the_window_holds_the_newest_articles():
    candidates = [(number, NOON - timedelta(days=number)) for number in range(90)]

    assert list(range(WINDOW_ENTRIES)) == choose_window(candidates)


def test_the_window_grows_with_a_busy_day_up_to_a_limit():
    """Counted from the newest article: when the window is chosen makes no difference."""
    hourly = [(number, NOON - timedelta(minutes=number * 30)) for number in range(300)]
    rushed = [(number, NOON - timedelta(minutes=number)) for number in range(300)]

    assert 97 == len(choose_window(hourly))  # 48 hours, both ends
    assert LARGEST_WINDOW == len(choose_window(rushed))
    assert [] == choose_window([])


def test_entries_that_fit_stand_in_full():
    assert [Fit.FULL] * 50 == fit_entries([8000] * 50, [500] * 50)


def test_older_entries_are_told_in_brief_where_articles_are_long():
    fits = fit_entries([40_000] * 50, [1000] * 50)

    assert [Fit.FULL] * 12 + [Fit.BRIEF] * 18 == fits


def test_one_huge_article_is_told_in_brief_and_harms_no_other():
    fits = fit_entries([2000, LARGEST_ENTRY + 1, 2000], [500, 500, 500])

    assert [Fit.FULL, Fit.BRIEF, Fit.FULL] == fits


@given(st.lists(st.tuples(st.integers(100, 300_000), st.integers(100, 3000)), max_size=200))
def test_a_document_never_grows_too_large(sizes):
    full = [whole for whole, _ in sizes]
    brief = [min(whole, short) for whole, short in sizes]
    fits = fit_entries(full, brief)
    taken = sum(full[n] if fit is Fit.FULL else brief[n] for n, fit in enumerate(fits))

    assert taken <= LARGEST_DOCUMENT - ROOM_FOR_HEAD
    assert len(fits) >= min(len(sizes), FEWEST_ENTRIES)


def test_a_removal_is_told_for_thirty_days_after_the_last_change():
    removals = [("old", NOON - timedelta(days=31)), ("new", NOON - timedelta(days=2)), ("edge", NOON - timedelta(30))]

    assert ["new", "edge"] == [ref for ref, _ in still_told(removals, updated=NOON)]
    assert ["new", "edge", "old"] == [ref for ref, _ in still_told(removals, updated=NOON - timedelta(days=60))]
    assert [] == still_told([], updated=NOON)


@pytest.mark.parametrize(
    ("previous", "now", "expected"),
    [
        pytest.param(None, NOON, NOON, id="the first document"),
        pytest.param(None, NOON.replace(microsecond=999_999), NOON, id="whole seconds"),
        pytest.param(NOON - timedelta(hours=1), NOON, NOON, id="later"),
        pytest.param(NOON, NOON, NOON + timedelta(seconds=1), id="twice in a second"),
        pytest.param(NOON + timedelta(days=1), NOON, NOON + timedelta(days=1, seconds=1), id="the clock was set back"),
    ],
)
def test_last_modified_only_grows(previous, now, expected):
    assert expected == next_last_modified(previous, now)
