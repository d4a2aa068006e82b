"""Programs as judges: built-in checks and the user's own functions, called with what they ask for.

A program names what it wants in its parameters: `answer`, `prompt`, `references`, `case`, `finished`,
`row` (the whole row of the data file), or any column of it. A parameter with a default is left alone
where a row has nothing of that name.

A mistake of a program never becomes a grade: where it raises, the answer is unscored; where it raises
on every answer that is made up for it, it is refused before any time is spent.
"""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.hints import did_you_mean
from truing.judges.checks import CHECKS, Check
from truing.rewards.reward import Answered
from truing.rewards.user_code import imported_function, is_user_function
from truing.types import Case, InputError, Score, Unscored

GIVEN: dict[str, Callable[[Answered], Any]] = {
    "answer": lambda answered: answered.answer,
    "prompt": lambda answered: answered.case.prompt,
    "references": lambda answered: answered.case.correct_answers,
    "case": lambda answered: answered.case,
    "finished": lambda answered: answered.finished,
    "row": lambda answered: answered.case.columns,
}
"""What a program can ask for beside columns; of two things of one name, this one."""

TRIED = 5
"""Cases that a program is tried on before it is believed."""


class _Raised(Exception):
    """A program raised; the message is what, in one line."""


@dataclass(frozen=True)
class Program:
    """A program by name, and the parameters that it has: (name, whether it must be given)."""

    name: str
    function: Check
    parameters: tuple[tuple[str, bool], ...]

    @staticmethod
    def of(name: str, function: Check, where: str) -> Program:
        """A program of a function. Raises InputError, naming `where`, if names can't be passed."""
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            raise InputError(f"{where}: {name}: its parameters can't be told; wrap it") from None
        for parameter in parameters:
            if parameter.kind is parameter.POSITIONAL_ONLY:
                raise InputError(
                    f"{where}: {name}: {parameter.name} can't be passed by name; leave out the '/'"
                )
        stars = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        wanted = [(p.name, p.default is p.empty) for p in parameters if p.kind not in stars]
        return Program(name, function, tuple(wanted))

    def check_columns(self, columns: Collection[str], where: str) -> None:
        """Raises InputError where a parameter is neither given nor one of the columns."""
        for parameter, needed in self.parameters:
            if needed and parameter not in GIVEN and parameter not in columns:
                there = f"columns: {', '.join(sorted(columns))}" if columns else "no columns"
                raise InputError(
                    f"{where}: {self.name} asks for '{parameter}', which is no column of the data; "
                    f"there are {', '.join(GIVEN)}, and {there}"
                )

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
            return self.function(**self._arguments(answered))
        except (Exception, SystemExit) as error:
            raise _Raised(f"{type(error).__name__}: {_one_line(error)}") from error

    def _arguments(self, answered: Answered) -> dict[str, Any]:
        row = answered.case.columns
        arguments: dict[str, Any] = {}
        for name, needed in self.parameters:
            if name in GIVEN:
                arguments[name] = GIVEN[name](answered)
            elif needed or name in row:
                arguments[name] = row.get(name)
        return arguments

    def _score(self, value: Any) -> Score:
        if value is None:
            return Unscored("program: gave None")
        if getattr(value, "ndim", None) == 0:  # a tensor or array that holds one number
            value = value.item()
        if not isinstance(value, numbers.Real):
            raise InputError(
                f"program {self.name} gave a {type(value).__name__}; "
                "a grade is a number, true or false, or None where there is none"
            )
        if math.isnan(value):
            return Unscored("program: gave NaN")
        if math.isinf(value):
            raise InputError(f"program {self.name} gave {value}; a grade must be finite")
        return float(value)

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
