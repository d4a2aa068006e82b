"""How a function of the user's is called: with what it names, one answer at a time or many as lists.

One at a time it may name `answer` (or `completion`), `prompt`, `references`, `case`, `finished`, `row`, and
any column of the data. A function that names `completions` or `answers` gets lists, as TRL calls reward
functions: `prompts`, `completions`, and every column, each a list with an entry for each answer; of a
conversation the prompt is its messages and the completion a list of one message. `**more` takes the
columns that aren't named.

A column that other rows have is None where a row hasn't it; a parameter with a default is left alone where
no row of the call has it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.rewards.reward import Answered
from truing.types import Case, InputError

Get = Callable[[Answered], Any]


def _messages_or_prompt(answered: Answered) -> Any:
    messages = answered.case.messages
    return [{"role": r, "content": text} for r, text in messages] or answered.case.prompt


def _message_or_answer(answered: Answered) -> Any:
    if answered.case.messages:
        return [{"role": "assistant", "content": answered.answer}]
    return answered.answer


GIVEN: dict[str, Get] = {
    "answer": lambda answered: answered.answer,
    "completion": lambda answered: answered.answer,
    "prompt": lambda answered: answered.case.prompt,
    "references": lambda answered: answered.case.correct_answers,
    "case": lambda answered: answered.case,
    "finished": lambda answered: answered.finished,
    "row": lambda answered: answered.case.columns,
}
"""What a function can ask for of one answer beside columns; of two things of one name, this one."""
LISTED: dict[str, Get] = {
    "completions": _message_or_answer,
    "answers": GIVEN["answer"],
    "prompts": _messages_or_prompt,
    "references": GIVEN["references"],
    "cases": GIVEN["case"],
    "finished": GIVEN["finished"],
    "rows": GIVEN["row"],
}
"""The same as lists, for a function that is called with many answers at once."""
STARS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
"""Parameters that take whatever else there is."""
_MANY = {"completions", "answers"}
_AS_TRL_CALLS = ("prompts", "completions")


@dataclass(frozen=True)
class Parameters:
    """What a function names: (name, whether it must be given), and whether it takes further ones."""

    named: tuple[tuple[str, bool], ...]
    takes_more: bool = False

    @staticmethod
    def of(function: Callable[..., Any], name: str, where: str) -> Parameters:
        """Those of a function. Raises InputError, naming `where`, if they can't be passed by name."""
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            raise InputError(f"{where}: {name}: its parameters can't be told; wrap it") from None
        for parameter in parameters:
            if parameter.kind is parameter.POSITIONAL_ONLY:
                raise InputError(
                    f"{where}: {name}: {parameter.name} can't be passed by name; leave out the '/'"
                )
        wanted = tuple((p.name, p.default is p.empty) for p in parameters if p.kind not in STARS)
        return Parameters(wanted, any(p.kind is p.VAR_KEYWORD for p in parameters))

    @property
    def names(self) -> set[str]:
        """All names."""
        return {name for name, _ in self.named}

    @property
    def takes_lists(self) -> bool:
        """Whether the function is called with many answers at once."""
        return bool(self.names & _MANY) or (self.takes_more and not self.names - {"prompts"})

    @property
    def given(self) -> Mapping[str, Get]:
        """What it can ask for beside columns. Beside `completion`, `answer` is a column's name."""
        if self.takes_lists:
            return LISTED
        if "completion" in self.names:
            return {name: get for name, get in GIVEN.items() if name != "answer"}
        return GIVEN

    def unknown(self, columns: Collection[str]) -> list[str]:
        """Parameters that must be given, and are neither given nor one of the columns."""
        known = {*self.given, *columns}
        return [name for name, needed in self.named if needed and name not in known]

    def check(self, name: str, columns: Collection[str], where: str) -> None:
        """Raises InputError where a parameter is neither given nor one of the columns."""
        for parameter in self.unknown(columns):
            there = f"columns: {', '.join(sorted(columns))}" if columns else "no columns"
            raise InputError(
                f"{where}: {name} asks for '{parameter}', which is no column of the data; "
                f"there are {', '.join(self.given)}, and {there}"
            )

    def for_one(self, answered: Answered) -> dict[str, Any]:
        """The arguments for one answer, in lists of one where the function takes lists."""
        if self.takes_lists:
            return self.for_many([answered])
        row, given = answered.case.columns, self.given
        arguments: dict[str, Any] = {}
        for name, needed in self.named:
            if name in given:
                arguments[name] = given[name](answered)
            elif needed or name in row:
                arguments[name] = row.get(name)
        more = self._columns_beside([row]) if self.takes_more else []
        return arguments | {name: row[name] for name in more}

    def for_many(self, answers: Sequence[Answered]) -> dict[str, list[Any]]:
        """The arguments for many answers, each a list."""
        rows = [answered.case.columns for answered in answers]
        there = {name for row in rows for name in row}
        arguments: dict[str, list[Any]] = {}
        for name, needed in self.named:
            if name in LISTED:
                arguments[name] = [LISTED[name](answered) for answered in answers]
            elif needed or name in there:
                arguments[name] = [row.get(name) for row in rows]
        if self.takes_more:
            for name in _AS_TRL_CALLS:
                arguments.setdefault(name, [LISTED[name](answered) for answered in answers])
            for name in self._columns_beside(rows):
                arguments[name] = [row.get(name) for row in rows]
        return arguments

    def _columns_beside(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Columns that aren't named and bear no name of what is given, in their order."""
        taken = {*self.names, *self.given}
        columns = dict.fromkeys(name for row in rows for name in row)
        return [name for name in columns if name not in taken]


def one_of(values: Any) -> Any:
    """The one value of what a function gave for lists of one. Raises ValueError where it isn't one."""
    (value,) = values
    return value


def columns_of(cases: Iterable[Case]) -> list[str]:
    """Every column that any of the cases has, in order."""
    return list(dict.fromkeys(name for case in cases for name in case.columns))
