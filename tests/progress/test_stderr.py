"""Progress on standard error, on a clock that goes when it is told to."""

from __future__ import annotations

import io
import sys

import pytest

from truing.progress import StderrProgress


class Clock:
    """Seconds that pass by being added."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def after(seconds: float, clock: Clock, progress: StderrProgress) -> float:
    clock.now += seconds
    return progress.beat()


def test_a_line_a_minute_says_stage_place_and_what_is_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = StderrProgress(clock, beats_itself=False)
    with (
        progress.stage("Stage 3 of 9: Measuring sft, seed 0"),
        progress.task("sft: answers", 100) as advance,
    ):
        assert lines(capsys) == ["Stage 3 of 9: Measuring sft, seed 0 ..."]
        assert after(1, clock, progress) == pytest.approx(1)  # until two seconds are over
        assert after(1, clock, progress) == pytest.approx(60)
        assert lines(capsys) == ["sft: answers ..."]
        assert after(59, clock, progress) == pytest.approx(1)
        assert lines(capsys) == []
        advance(10, "going well")
        assert after(1, clock, progress) == pytest.approx(60)
        assert lines(capsys) == [
            "Stage 3 of 9: Measuring sft, seed 0: sft: answers: 10 of 100 after 1:02; "
            "about 9 min left; going well"
        ]
        after(60, clock, progress)
        [line] = lines(capsys)
        assert "10 of 100 after 2:02; about 8 min left" in line


def test_quick_work_says_nothing_and_a_quiet_stage_comes_with_the_first_slow_one(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = StderrProgress(clock, beats_itself=False)
    with progress.stage("Stage 1 of 2", at_once=False):
        with progress.task("Quick"):
            after(1.9, clock, progress)
        with progress.task("Slow"):
            after(2, clock, progress)
    with progress.task("Outside"):
        after(2, clock, progress)
    assert lines(capsys) == ["Stage 1 of 2: Slow ...", "Outside ..."]


def test_the_innermost_operation_is_the_one_that_is_spoken_of(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = StderrProgress(clock, beats_itself=False)
    with progress.task("Outer"), progress.task("Inner", 4_000_000, in_bytes=True) as advance:
        advance(1_000_000)
        after(2, clock, progress)
        after(60, clock, progress)
    assert lines(capsys)[-1].startswith("Inner: 1 of 4 MB after 1:02")


def test_on_a_terminal_bars_of_nested_work_and_what_is_left(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    progress = StderrProgress(clock, beats_itself=False)
    with (
        progress.task("[red]Outer[/red] \x1b[31m"),
        progress.task("Inner", 4) as advance,
    ):
        clock.now += 60
        advance(1)
        progress.beat()
        assert progress.beat() > 1  # no lines between bars
    text = screen.getvalue()
    assert "[red]Outer[/red] \\x1b[31m" in text
    assert "1/4" in text and "1:00 about 3 min left" in text


def test_names_and_notes_are_harmless(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = StderrProgress(clock, beats_itself=False)
    progress.note("[bold]an answer[/bold] :smile: \x1b[2J\u202e")
    with progress.task("[x] \x07"):
        after(2, clock, progress)
    assert lines(capsys) == ["[bold]an answer[/bold] :smile: \\x1b[2J\\u202e", "[x] \\x07 ..."]


def test_a_stage_ends_where_its_work_fails(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = StderrProgress(clock, beats_itself=False)
    with pytest.raises(ValueError), progress.stage("Stage 1 of 1"), progress.task("Work", 3):
        raise ValueError
    with progress.task("Other"):
        after(2, clock, progress)
    assert lines(capsys) == ["Stage 1 of 1 ...", "Other ..."]
