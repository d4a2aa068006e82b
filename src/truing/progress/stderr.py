"""Progress on standard error: bars, or lines."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

from truing.progress.notebook import NotebookBar
from truing.progress.operation import Operation
from truing.progress.pace import Pace
from truing.progress.reporting import Advance
from truing.terminal import harmless
from truing.terminal.console import TerminalConsole, error_console

DELAY_SECONDS = 2.0
"""Operations that end sooner show nothing."""
LINE_SECONDS = 60.0
"""Between lines where there is no terminal to draw a bar on."""


@dataclass(eq=False)
class _Shown(Operation):
    """An operation, and how it is shown."""

    shown: bool = False
    row: TaskID | None = None
    page: NotebookBar | None = None


class _CountColumn(ProgressColumn):
    """How much of how much, of operations that know it."""

    def __init__(self) -> None:
        super().__init__()
        self._plain, self._in_bytes = MofNCompleteColumn(), DownloadColumn()

    def render(self, task: Task) -> Text:
        """See rich."""
        if task.total is None:
            return Text()
        return (self._in_bytes if task.fields["operation"].in_bytes else self._plain).render(task)


class _TimeColumn(ProgressColumn):
    """How long it has taken, and how long the rest will take."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock

    def render(self, task: Task) -> Text:
        """See rich."""
        operation: _Shown = task.fields["operation"]
        now = self._clock()
        return Text(f"{operation.spent(now)} {operation.left(now)}".rstrip(), style="yellow")


class _Pulse(threading.Thread):
    """Calls `beat` whenever it is due until it is stopped; `beat` gives the seconds to the next."""

    def __init__(self, beat: Callable[[], float]) -> None:
        super().__init__(daemon=True)
        self._beat, self._stopped = beat, threading.Event()

    def run(self) -> None:
        """See threading. Whoever closed standard error needs no progress."""
        with suppress(OSError, ValueError):
            while not self._stopped.wait(self._beat()):
                pass

    def stop(self) -> None:
        """No beat begins after this but one that is due now."""
        self._stopped.set()


class StderrProgress:
    """A bar on a terminal or in a notebook, lines in a log file; standard error only."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, beats_itself: bool = True
    ) -> None:
        """`clock` gives seconds. Who doesn't let it beat by itself calls `beat`."""
        self._clock, self._beats_itself = clock, beats_itself
        self._lock = threading.RLock()
        self._open: list[_Shown] = []
        self._stage, self._stage_said = "", True
        self._console: TerminalConsole = error_console()
        self._bar: RichProgress | None = None
        self._pulse: _Pulse | None = None
        self._last_line = clock()

    @contextmanager
    def stage(self, name: str, *, at_once: bool = True) -> Iterator[None]:
        """See Progress."""
        if at_once:
            self.note(f"{name} ...")
        outer = self._stage, self._stage_said
        self._stage, self._stage_said = name, at_once
        try:
            yield
        finally:
            self._stage, self._stage_said = outer

    @contextmanager
    def task(
        self, what: str, total: int | None = None, *, in_bytes: bool = False
    ) -> Iterator[Advance]:
        """Show a bar from the third second on; it disappears when the operation ends."""
        operation = self._begin(what, total, in_bytes)

        def advance(done: int, note: str = "") -> None:
            self._advance(operation, done, note)

        try:
            yield advance
        finally:
            self._end(operation)

    def note(self, text: str) -> None:
        """Print the line on standard error."""
        error_console().print(text, soft_wrap=True)

    def _begin(self, what: str, total: int | None, in_bytes: bool) -> _Shown:
        now = self._clock()
        operation = _Shown(harmless(what), total, in_bytes, now, Pace(now))
        with self._lock:
            if not self._open:
                self._console = error_console()
            self._open.append(operation)
            if self._console.is_jupyter:
                operation.page = NotebookBar(operation)
            if self._beats_itself:
                self._wake()
        return operation

    def _wake(self) -> None:
        if self._pulse:
            self._pulse.stop()
        self._pulse = _Pulse(self.beat)
        self._pulse.start()

    def _advance(self, operation: _Shown, done: int, note: str) -> None:
        with self._lock:
            operation.done, operation.note = done, harmless(note)
            now = self._clock()
            operation.pace.saw(now, done)
            if operation.page:
                operation.page.update(now)
            elif self._bar and operation.row is not None:
                self._bar.update(operation.row, completed=done, note=operation.note)

    def _end(self, operation: _Shown) -> None:
        with self._lock:
            self._open.remove(operation)
            if operation.page:
                operation.page.stop()
            if self._bar and operation.row is not None:
                self._bar.remove_task(operation.row)
            if not self._open:
                self._rest()

    def _rest(self) -> None:
        if self._pulse:
            self._pulse.stop()
        if self._bar:
            self._bar.stop()
        self._pulse = self._bar = None

    def beat(self) -> float:
        """Shows what takes long by now, and says a line where one is due; the seconds to the next time."""
        with self._lock:
            now = self._clock()
            for operation in self._open:
                if not operation.shown and now - operation.begun >= DELAY_SECONDS:
                    self._show(operation, now)
            shown = [operation for operation in self._open if operation.shown]
            if shown and self._writes_lines and now - self._last_line >= LINE_SECONDS:
                self._say(self._in_stage(shown[-1].line(now)), now)
            due = [each.begun + DELAY_SECONDS for each in self._open if not each.shown]
            if shown and self._writes_lines:
                due.append(self._last_line + LINE_SECONDS)
            return max(0.01, min(due, default=now + LINE_SECONDS) - now)

    @property
    def _writes_lines(self) -> bool:
        return not (self._console.is_jupyter or self._console.is_terminal)

    def _in_stage(self, text: str) -> str:
        return f"{self._stage}: {text}" if self._stage else text

    def _say(self, line: str, now: float) -> None:
        self._last_line = now
        self._console.print(line, soft_wrap=True)

    def _show(self, operation: _Shown, now: float) -> None:
        operation.shown = True
        name = operation.what if self._stage_said else self._in_stage(operation.what)
        if operation.page:
            operation.page.start(now)
        elif self._console.is_terminal:
            self._add_row(operation, name)
        else:
            self._say(f"{name} ...", now)

    def _add_row(self, operation: _Shown, name: str) -> None:
        if self._bar is None:
            self._bar = RichProgress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                _CountColumn(),
                _TimeColumn(self._clock),
                TextColumn("{task.fields[note]}", markup=False),
                console=self._console,
                transient=True,
            )
            self._bar.start()
        operation.row = self._bar.add_task(
            name,
            total=operation.total,
            completed=operation.done,
            note=operation.note,
            operation=operation,
        )
