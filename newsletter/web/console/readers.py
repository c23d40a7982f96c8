"""Readers in the console: how many each list has, gains and loses, and how many follow its feeds."""

from starlette.responses import Response

from newsletter.domain.staff import Role
from newsletter.domain.subscriptions import EndReason
from newsletter.rendering.languages import Language
from newsletter.services.feed_readers import estimate_readers
from newsletter.services.growth import Week, measure_growth
from newsletter.web.console.charts import columns, reader_bars
from newsletter.web.console.desk import Desk, Place


def _lists(desk: Desk) -> Response:
    language = desk.visit.language
    grown = measure_growth(desk.app)
    return desk.page(
        "lists",
        lists=[
            (
                each,
                each.titles.get(language.code) or next(iter(each.titles.values()), each.list_slug),
                columns([(_day(language, week), week.gained, week.lost) for week in each.weeks]),
                [(_why(language, reason), count) for reason, count in sorted(each.reasons.items())],
            )
            for each in grown
        ],
    )


def _day(language: Language, week: Week) -> str:
    return language.format_day(week.begins_on, near=week.begins_on)


def _why(language: Language, reason: str) -> str:
    return {
        EndReason.UNSUBSCRIBED: language.gettext("unsubscribed"),
        EndReason.BOUNCED: language.gettext("the mailbox refuses mail"),
        EndReason.COMPLAINED: language.gettext("reported as spam"),
        EndReason.REMOVED: language.gettext("removed by staff"),
        EndReason.ERASED: language.gettext("erased"),
    }[EndReason(reason)]


def _feeds(desk: Desk) -> Response:
    return desk.page("feeds", feeds=reader_bars(estimate_readers(desk.app)))


PLACES = (
    Place("GET", "/lists", Role.EDITOR, _lists, "lists"),
    Place("GET", "/feeds", Role.EDITOR, _feeds, "feeds"),
)
