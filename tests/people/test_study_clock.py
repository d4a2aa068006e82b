"""The clock of a study: it goes on whatever the server's does, and no trial takes longer than its limit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from truing.people.study.clock import CLOCK, boot, counter, study_clock

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
LIMIT = dt.timedelta(seconds=180)


class Machine:
    """A machine whose wall clock can be put, and that can be booted anew."""

    def __init__(self) -> None:
        self.wall, self.counted, self.name = NOON, 1000.0, "first"

    def on(self, seconds: float, step: float = 0.0) -> None:
        self.wall += dt.timedelta(seconds=seconds + step)
        self.counted += seconds

    def clock(
        self, folder: Path, latest: dt.datetime | None = None, *, keep: bool = True
    ) -> Callable[[], dt.datetime]:
        return study_clock(
            folder, latest, LIMIT, keep=keep,
            wall=lambda: self.wall, boot=lambda: self.name, counter=lambda: self.counted,
        )  # fmt: skip


def seconds(moment: dt.datetime) -> float:
    return (moment - NOON).total_seconds()


@pytest.mark.parametrize("step", [-7200, -100, 0, 100, 7200])
def test_a_wall_clock_that_steps_changes_nothing(tmp_path: Path, step: float) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path)
    machine.on(60, step)
    assert seconds(clock()) == 60
    again = machine.clock(tmp_path, clock())  # another server on the same machine
    machine.on(30)
    assert seconds(clock()) == seconds(again()) == 90


def test_after_another_boot_the_wall_clock_counts(tmp_path: Path) -> None:
    machine = Machine()
    machine.clock(tmp_path)
    machine.name, machine.counted = "second", 5.0
    machine.on(100)
    assert seconds(machine.clock(tmp_path, NOON)()) == 100


def test_an_earlier_one_ends_what_was_open(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path)
    machine.on(20)
    shown = clock()
    machine.name, machine.counted = "second", 5.0
    machine.on(10, step=-3600)
    assert machine.clock(tmp_path, shown)() > shown + LIMIT


def test_without_a_name_of_the_boot_the_wall_clock_counts_across_servers(tmp_path: Path) -> None:
    machine = Machine()
    machine.name = ""
    machine.clock(tmp_path)
    assert not (tmp_path / CLOCK).exists()
    machine.on(10, step=5)
    assert seconds(machine.clock(tmp_path, NOON)()) == 15


def test_a_reader_keeps_nothing_and_a_broken_file_is_none(tmp_path: Path) -> None:
    machine = Machine()
    machine.clock(tmp_path, keep=False)
    assert not (tmp_path / CLOCK).exists()
    for text in ("", "[]", '{"boot": "first"}', '{"boot": "first", "start": "noon"}', "\x00"):
        (tmp_path / CLOCK).write_text(text)
        assert seconds(machine.clock(tmp_path)()) == 0


def test_this_machine_has_a_counter() -> None:
    first = counter()
    assert counter() >= first > 0 and boot() == boot()
