"""Rewards that can be verified: an answer is held against what the case says is right.

Each gives 1 where the answer is right, else 0, and no score where the case says nothing. What is right
stands in a column of the data, or is the case's references.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal

from pydantic import Field, field_validator

from truing.rewards.answer_program import (
    REFERENCES,
    Program,
    as_text,
    in_column,
    last_block,
    references_of,
)
from truing.rewards.json_values import check_schema, fits, parsed_json, same_value
from truing.rewards.numbers_in_text import numbers_in
from truing.rewards.reward import Answered
from truing.types import Score, Unscored, answer_key, normalised


class AgainstReference(Program):
    """A reward that holds answers against a column, or against the case's references."""

    column: str = Field(
        "",
        description="the column of the data that says what is right; without it, the case's references",
    )

    @property
    def asks_for(self) -> str:
        """See Program."""
        return self.column or REFERENCES


class Exact(AgainstReference):
    """1 where the answer is the reference, letter case, white space and a last full stop aside, else 0."""

    strict: bool = Field(False, description="letter case and a last full stop count, too")

    def score(self, answered: Answered) -> Score:
        """See Program; of several references any will do."""
        references = references_of(answered, self.column)
        if isinstance(references, Unscored):
            return references
        wanted = {self._key(as_text(reference)) for reference in references}
        return float(self._key(answered.answer) in wanted)

    def _key(self, text: str) -> str:
        return answer_key(text) if self.strict else normalised(text).removesuffix(".").rstrip()


class Number(AgainstReference):
    """1 where the answer's number is the reference's, within a tolerance, else 0."""

    take: Literal["last", "only"] = Field(
        "last",
        description="the answer's last number; or its only one, so that two different ones are wrong",
    )
    tolerance: float = Field(0.0, ge=0, description="how far off it may be")
    relative: float = Field(
        0.0, ge=0, lt=1, description="the same as a share of the reference; the larger one counts"
    )

    def score(self, answered: Answered) -> Score:
        """See Program; of a reference with several numbers the last one counts."""
        references = references_of(answered, self.column)
        if isinstance(references, Unscored):
            return references
        wanted = [numbers[-1] for each in references if (numbers := numbers_in(as_text(each)))]
        if not wanted:
            return Unscored("the case's reference holds no number")
        given = numbers_in(answered.answer)
        if not given or (self.take == "only" and len(set(given)) > 1):
            return 0.0
        return float(any(self._near(given[-1], number) for number in wanted))

    def _near(self, given: Fraction, wanted: Fraction) -> bool:
        """Exactly, as decimals are written: 0.3 is within 0.1 of 0.2."""
        absolute, share = Fraction(str(self.tolerance)), Fraction(str(self.relative))
        return abs(given - wanted) <= max(absolute, share * abs(wanted))


class Json(Program):
    """1 where the answer is one JSON value that has the keys, fits the schema and is the reference, else 0.

    What isn't asked for isn't checked; without any option an answer that is JSON has 1.
    """

    fenced: bool = Field(
        False,
        description="the last block between lines of three backticks counts, not the whole answer",
    )
    required: tuple[str, ...] = Field((), description="keys that the object must have")
    json_schema: Mapping[str, Any] | None = Field(
        None, alias="schema", description="a JSON schema that it must fit"
    )
    column: str = Field("", description="the column with the value that it must be")

    @field_validator("json_schema")
    @classmethod
    def _understood(cls, schema: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if schema is not None:
            check_schema(schema)
        return schema

    @property
    def asks_for(self) -> str:
        """See Program."""
        return self.column

    def score(self, answered: Answered) -> Score:
        """See Program; the order of keys doesn't matter, and 1 is 1.0."""
        wanted = in_column(answered, self.column) if self.column else None
        if isinstance(wanted, Unscored):
            return wanted
        if isinstance(wanted, str):
            try:
                wanted = parsed_json(wanted)
            except ValueError as error:
                return Unscored(f"the case's {self.column!r} is no JSON ({error})")
        try:
            value = parsed_json(last_block(answered.answer) if self.fenced else answered.answer)
        except ValueError:
            return 0.0
        return float(self._has_keys(value) and self._fits(value) and self._equals(value, wanted))

    def _has_keys(self, value: Any) -> bool:
        return not self.required or (isinstance(value, dict) and value.keys() >= set(self.required))

    def _fits(self, value: Any) -> bool:
        return self.json_schema is None or fits(value, self.json_schema)

    def _equals(self, value: Any, wanted: Any) -> bool:
        return not self.column or same_value(value, wanted)
