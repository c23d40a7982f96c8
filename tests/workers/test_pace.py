"""The pace at which a process ticks, however many ticks have piled up."""

from workers.pace import Pace


def test_of_many_ticks_at_once_one_is_answered():
    now = [0.0]
    pace = Pace(5, clock=lambda: now[0])
    answered = []
    for now[0] in (0, 0, 1, 4.9, 5, 5, 9.9, 30, 31):
        if pace.allows():
            answered.append(now[0])

    assert [0, 5, 30] == answered
