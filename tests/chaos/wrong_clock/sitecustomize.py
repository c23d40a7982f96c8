"""Python's clock, wrong by CHAOS_CLOCK_SECONDS, for whoever has this folder in PYTHONPATH; monotonic time is right."""

import datetime as dt
import os
import time

WRONG_BY = float(os.environ["CHAOS_CLOCK_SECONDS"])

right_datetime, right_time, right_time_ns = dt.datetime, time.time, time.time_ns


class _LikeTheRightOne(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, right_datetime)


class WrongDatetime(right_datetime, metaclass=_LikeTheRightOne):
    """Tells the wrong time; what it makes are ordinary datetimes."""

    def __new__(cls, *arguments, **options):
        return right_datetime(*arguments, **options)

    @classmethod
    def now(cls, tz=None):
        return right_datetime.now(tz) + dt.timedelta(seconds=WRONG_BY)

    @classmethod
    def utcnow(cls):
        return cls.now(dt.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls):
        return cls.now()


dt.datetime = WrongDatetime
time.time = lambda: right_time() + WRONG_BY
time.time_ns = lambda: right_time_ns() + round(WRONG_BY * 1e9)
