"""Rewards that are programs: a few built in, and any Python function that the user names.

A program is honest about what it sees: the text alone. A policy will find whatever else raises the
number, so look at the answers (they are shown while training) before believing the curve.

A new one: a class with its options as fields, and a line in `REWARDS`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from truing.rewards.answer_program import Program as Program
from truing.rewards.answer_program import in_column
from truing.rewards.calling import STARS, Parameters
from truing.rewards.patterns import found, not_a_pattern
from truing.rewards.reward import Answered, Reward
from truing.rewards.time_limit import SECONDS, TakesTooLong, at_most
from truing.rewards.unit_tests import UnitTests
from truing.rewards.user_code import imported_function, is_user_function
from truing.rewards.verifiable import Exact, Json, Number
from truing.types import InputError, Score, Unscored, did_you_mean, normalised


class Length(Program):
    """-|words - target| / target: 0 at the target, -1 for an empty answer, lower for twice as long."""

    target: int = Field(ge=1, description="the wanted length in words")

    def score(self, answered: Answered) -> Score:
        """See Program."""
        return -abs(len(answered.answer.split()) - self.target) / self.target


class Words(Program):
    """The share of the answer's words that are in a list, upper and lower case alike."""

    words: tuple[str, ...] = Field(min_length=1, description="the words that count")

    def score(self, answered: Answered) -> Score:
        """See Program; an answer without a word is unscored."""
        wanted = {normalised(word) for word in self.words}
        said = re.findall(r"\w+", normalised(answered.answer))
        if not said:
            return Unscored("the answer has no word")
        return sum(word in wanted for word in said) / len(said)


class Matches(Program):
    """1 where a regular expression (Python's `re.search`) is found in the answer, else 0.

    An expression that takes too long on an answer gives it no score.
    """

    pattern: str = Field("", description="the regular expression, or")
    column: str = Field("", description="the column of the data with each case's own")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        if reason := not_a_pattern(pattern):
            raise ValueError(reason)
        return pattern

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Matches:
        if bool(self.pattern) == bool(self.column):
            raise ValueError("give either pattern or column")
        return self

    @property
    def asks_for(self) -> str:
        """See Program."""
        return self.column

    def score(self, answered: Answered) -> Score:
        """See Program."""
        pattern = in_column(answered, self.column) if self.column else self.pattern
        return pattern if isinstance(pattern, Unscored) else found(str(pattern), answered.answer)


class Contains(Program):
    """1 where the answer contains a text, else 0; case and white space don't matter."""

    text: str = Field(min_length=1, description="the text to look for")

    def score(self, answered: Answered) -> Score:
        """See Program."""
        return float(normalised(self.text) in normalised(answered.answer))


class Lacks(Contains):
    """1 where the answer does not contain a text, else 0; case and white space don't matter."""

    def score(self, answered: Answered) -> Score:
        """See Program."""
        return float(normalised(self.text) not in normalised(answered.answer))


class EndsProperly(Program):
    """1 where the answer ended by itself, with a sentence's last character, else 0."""

    def score(self, answered: Answered) -> Score:
        """See Program."""
        text = answered.answer.rstrip("\"'”’)]»")
        return float(answered.finished and text.endswith((".", "!", "?", "…", "。")))


REWARDS: dict[str, type[Program]] = {
    "length": Length,
    "words": Words,
    "matches": Matches,
    "contains": Contains,
    "lacks": Lacks,
    "ends_properly": EndsProperly,
    "exact": Exact,
    "number": Number,
    "json": Json,
    "unit_tests": UnitTests,
}
"""Every built-in program by name."""


_ONE_ANSWER = {"answer", "completion"}
_MOST_SECONDS = 1_000_000


@dataclass(frozen=True)
class UserFunction:
    """A user's function, and what it asks for by name; None: it is called (prompt, answer) by place.

    `seconds` is how long it may take for an answer.
    """

    name: str
    function: Callable[..., Any]
    asks_for: Parameters | None = None
    seconds: float = SECONDS

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, answers: Sequence[Answered]) -> Any:
        """What the function gave for each answer; `reward.scored` checks it."""
        if self.asks_for is None:
            return [self._called(1, each.case.prompt, each.answer) for each in answers]
        if self.asks_for.takes_lists:
            return self._called(len(answers), **self.asks_for.for_many(answers))
        return [self._called(1, **self.asks_for.for_one(each)) for each in answers]

    def _called(self, answers: int, /, *places: Any, **names: Any) -> Any:
        """What it gives for so many answers. Raises InputError where it doesn't return in time."""
        try:
            with at_most(self.seconds * max(1, answers)):
                return self.function(*places, **names)
        except TakesTooLong:
            raise InputError(
                f"reward: {self.name}: took more than {self.seconds:g} s for an answer; have it give "
                "None where it can't tell, or allow it more as seconds"
            ) from None


def user_function(name: str, columns: Collection[str] = ()) -> UserFunction:
    """The function that `path/to/file.py:function` names. Importing the file runs it.

    `columns` are those of the data. Raises InputError where there is no such file or function, where
    importing fails, or where the function asks for what there isn't.
    """
    function = imported_function(name, "reward")
    if _by_place(function, columns):
        return UserFunction(name, function)
    asks_for = Parameters.of(function, name, "reward")
    if not asks_for.names & _ONE_ANSWER and not asks_for.takes_lists:
        raise InputError(
            f"reward: {name}: must be callable as {name.rpartition(':')[2]}(prompt, answer), or name "
            f"what it asks for: {', '.join(asks_for.given)}, columns of the data; or take lists: "
            "prompts, completions"
        )
    asks_for.check(name, columns, "reward")
    return UserFunction(name, function, asks_for)


def _by_place(function: Callable[..., Any], columns: Collection[str]) -> bool:
    """Whether the function takes a prompt and an answer by place: any two, unless their names say
    something else."""
    try:
        signature = inspect.signature(function)
        signature.bind("prompt", "answer")
    except (TypeError, ValueError):
        return False
    named = [p for p in signature.parameters.values() if p.kind not in STARS]
    if not named or any(p.kind is p.POSITIONAL_ONLY for p in named):
        return True
    asks_for = Parameters.of(function, "", "")
    if asks_for.takes_lists or not asks_for.names & _ONE_ANSWER:
        return not asks_for.takes_lists
    return named[1].name in _ONE_ANSWER and asks_for.unknown(columns) == [named[0].name]


def program(
    name: str, options: Mapping[str, Any], where: str, columns: Collection[str] = ()
) -> Reward:
    """A program by its name, a built-in one or a user's function; `columns` are those of the data.

    Raises InputError naming `where` it stands in the spec and what is wrong with its options.
    """
    if is_user_function(name):
        return replace(user_function(name, columns), seconds=_seconds(options, where))
    return built_in(name, options, where, columns)


def _seconds(options: Mapping[str, Any], where: str) -> float:
    """How long a user's function may take for an answer. Raises InputError for another option."""
    if unknown := sorted({*options} - {"seconds"}):
        raise InputError(
            f"{where}.{unknown[0]}: a function of your own has no such option here, seconds alone"
        )
    seconds = options.get("seconds", SECONDS)
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 < seconds <= _MOST_SECONDS
    ):
        raise InputError(
            f"{where}.seconds: {seconds!r} is no time; give seconds for one answer, above 0 and at most "
            f"{_MOST_SECONDS:,}"
        )
    return float(seconds)


def built_in(
    name: str, options: Mapping[str, Any], where: str, columns: Collection[str]
) -> Program:
    """One of `REWARDS` with its options. Raises InputError as `program` does."""
    if name not in REWARDS:
        known = ", ".join(names := ["truth_probe", "reward_model", *REWARDS, "people", "judge"])
        raise InputError(
            f"{where}.name: unknown reward {name!r}; "
            f"{did_you_mean(name, names)}known: {known}, or path/to/file.py:function"
        )
    try:
        built = REWARDS[name].model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(step) for step in (where, *first["loc"]))
        keys = [field.alias or key for key, field in REWARDS[name].model_fields.items()]
        fields = ", ".join(keys) or "none"
        said = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{key}: {said}; options of {name}: {fields}") from None
    built.check_columns(columns, where)
    return built
