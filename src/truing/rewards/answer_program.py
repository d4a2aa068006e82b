"""What every program that rewards one answer at a time is, and where it finds what is right."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from truing.rewards.reward import Answered
from truing.types import InputError, Score, Unscored, did_you_mean

REFERENCES = "references"
"""What a program without a column holds answers against: the answers that a case knows to be good."""
_FENCED = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)


class Program(BaseModel, ABC):
    """A reward of one answer at a time; its fields are its options in the spec."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )

    @property
    def asks_for(self) -> str:
        """The column of the data that answers are held against, `references` for a case's good answers;
        empty where nothing but prompt and answer is asked for."""
        return ""

    @abstractmethod
    def score(self, answered: Answered) -> Score:
        """The score of one answer."""

    def __call__(self, answers: Sequence[Answered]) -> list[Score]:
        """See Reward."""
        return [self.score(answered) for answered in answers]

    def check_columns(self, columns: Collection[str], where: str) -> None:
        """Raises InputError, naming `where` it stands in the spec, where the data has no such column."""
        column = self.asks_for
        if column in ("", REFERENCES) or column in columns:
            return
        there = f"columns: {', '.join(sorted(columns))}" if columns else "no columns"
        hint = did_you_mean(column, columns)
        raise InputError(
            f"{where}.column: no column {column!r} in the data; {hint}there are {there}"
        )


def in_column(answered: Answered, column: str) -> Any:
    """What a column of the case's row holds; unscored where it holds nothing."""
    row: Mapping[str, Any] = answered.case.columns
    value = row.get(column)
    if value is None or value == "":
        return Unscored(f"the case has no {column!r}")
    return value


def references_of(answered: Answered, column: str) -> list[Any] | Unscored:
    """What the answer is held against: the entries of a column, or the answers known to be good."""
    if column:
        value = in_column(answered, column)
        if isinstance(value, Unscored):
            return value
        entries = value if isinstance(value, list) else [value]
        return entries or Unscored(f"the case's {column!r} is empty")
    known = list(answered.case.correct_answers)
    return known or Unscored("the case has no references")


def as_text(value: Any) -> str:
    """A reference as an answer would write it: 42 for 42.0 too."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def last_block(answer: str) -> str:
    """The answer's last block between lines of three backticks; all of the answer where there is none."""
    blocks = _FENCED.findall(answer)
    return str(blocks[-1]) if blocks else answer
