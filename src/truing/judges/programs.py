"""Programs as judges: built-in checks and the user's own functions, called with what they ask for.

A program names what it wants in its parameters: `answer`, `prompt`, `references`, `case`, `finished`,
`row` (the whole row of the data file), or any column of it; or it takes lists, as rewards may (see
rewards/calling.py). A parameter with a default is left alone where a row has nothing of that name.

A mistake of a program never becomes a grade: where it raises, the answer is unscored; where it raises
on every answer that is made up for it, it is refused before any time is spent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.judges.checks import CHECKS, Check
from truing.rewards.calling import Parameters, one_of
from truing.rewards.reward import Answered, as_score
from truing.rewards.user_code import imported_function, is_user_function
from truing.types import Case, InputError, Score, Unscored, did_you_mean

TRIED = 5
"""Cases that a program is tried on before it is believed."""


class _Raised(Exception):
    """A program raised; the message is what, in one line."""


@dataclass(frozen=True)
class Program:
    """A program by name, and what it asks for."""

    name: str
    function: Check
    asks_for: Parameters

    @staticmethod
    def of(name: str, function: Check, where: str) -> Program:
        """A program of a function. Raises InputError, naming `where`, if names can't be passed."""
        return Program(name, function, Parameters.of(function, name, where))

    def check_columns(self, columns: Collection[str], where: str) -> None:
        """Raises InputError where a parameter is neither given nor one of the columns."""
        self.asks_for.check(self.name, columns, where)

    def __call__(self, answered: Answered) -> Score:
        """The grade of one answer; unscored where the program raises or gives None.

        Raises InputError where it gives anything but a number, true, false or None.
        """
        try:
            value = self._value(answered)
        except _Raised as error:
            return Unscored(f"program: {error}")
        return self._score(value)

    def _value(self, answered: Answered) -> Any:
        try:
            value = self.function(**self.asks_for.for_one(answered))
            return one_of(value) if self.asks_for.takes_lists else value
        except (Exception, SystemExit) as error:
            raise _Raised(f"{type(error).__name__}: {_one_line(error)}") from error

    def _score(self, value: Any) -> Score:
        return as_score(value, "program:", f"program {self.name}", kind="grade")

    def failure(self, answers: Sequence[Answered]) -> str:
        """Why the program graded none of the answers; nothing where it graded one.

        Raises InputError as grading does.
        """
        message = ""
        for answered in answers:
            try:
                grade = self._score(self._value(answered))
            except _Raised as error:
                message = f"raised on each of {len(answers)} made-up answers ({error})"
            else:
                if not isinstance(grade, Unscored):
                    return ""
                message = f"graded none of {len(answers)} made-up answers ({grade.reason})"
        return message


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def program(
    name: str, where: str, columns: Collection[str], known: Mapping[str, Check] = CHECKS
) -> Program:
    """A program by its name: one of those known, or a function in a file of the user's.

    Raises InputError, naming `where` it stands, if there is none of that name, its file can't be
    imported, or it asks for something that is neither given nor a column.
    """
    if is_user_function(name):
        found = Program.of(name, imported_function(name, where), where)
    elif name in known:
        found = Program.of(name, known[name], where)
    else:
        raise InputError(
            f"{where}: unknown program {name!r}; {did_you_mean(name, known)}"
            f"known: {', '.join(known)}, or "
            "path/to/file.py:function"
        )
    found.check_columns(columns, where)
    return found


def _made_up(cases: Sequence[Case]) -> Iterator[Answered]:
    for case in cases[:TRIED]:
        for answer in ("", "An answer.", *case.correct_answers[:1]):
            yield Answered(case, answer)


def try_out(programs: Mapping[str, Program], cases: Sequence[Case]) -> None:
    """Runs each program, by the place where it is named, on made-up answers to the first cases.

    Raises InputError where one raised on all of them, or gave something that is no grade; or gave none
    at all, though good answers were among them.
    """
    answers = list(_made_up(cases))
    with_good_ones = any(case.correct_answers for case in cases[:TRIED])
    for where, tried in programs.items():
        message = tried.failure(answers)
        if message and (with_good_ones or message.startswith("raised")):
            raise InputError(
                f"{where}: {tried.name} {message}; it must grade any text, an empty one as well"
            )
