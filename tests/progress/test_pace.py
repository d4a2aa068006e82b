"""How long the rest will take: against clocks that run as they are told."""

from __future__ import annotations

import pytest

from truing.progress.pace import Pace, clock_time, in_words


def test_after_the_first_pass_the_rest_takes_as_long_a_pass() -> None:
    pace = Pace(100.0)
    assert pace.left(130.0, 10) is None
    pace.saw(130.0, 1)
    assert pace.left(130.0, 10) == pytest.approx(9 * 30)
    assert pace.left(140.0, 10) == pytest.approx(9 * 30 - 10)


def test_what_an_interrupted_run_had_done_is_not_counted() -> None:
    pace = Pace(0.0)
    pace.saw(0.2, 60)  # where the checkpoint is
    pace.saw(30.2, 61)
    assert pace.left(30.2, 100) == pytest.approx(39 * 30, rel=0.01)


def test_what_comes_from_the_disk_is_not_taken_for_speed() -> None:
    pace = Pace(0.0)
    pace.saw(0.1, 300)
    assert pace.left(5.0, 400) is None  # by that speed all would be done by now
    for second in range(1, 11):
        pace.saw(float(second), 300 + second)
    assert pace.left(10.0, 400) == pytest.approx(90, rel=0.02)


def test_a_pace_that_changes_is_followed() -> None:
    pace = Pace(0.0)
    for second in range(1, 101):
        pace.saw(float(second), second)
    for done in range(101, 121):  # each takes ten times as long from here on
        pace.saw(100.0 + 10 * (done - 100), done)
    assert pace.left(300.0, 130) == pytest.approx(100, rel=0.05)


def test_without_a_total_nothing_is_said() -> None:
    pace = Pace(0.0)
    pace.saw(1.0, 3)
    assert pace.left(1.0, None) is None
    assert in_words(None) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "about 5 s left"),
        (23.0, "about 25 s left"),
        (57.0, "about 1 min left"),
        (29 * 60, "about 29 min left"),
        (5400.0, "about 1.5 h left"),
    ],
)
def test_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_clock_times() -> None:
    assert [clock_time(s) for s in (5, 65.9, 3600, 36061)] == [
        "0:05",
        "1:05",
        "1:00:00",
        "10:01:01",
    ]
