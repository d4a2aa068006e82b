"""Groups of a survey that a respondent is steered to, and the ways of steering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from truing.data.surveys.question import Survey
from truing.types import InputError, did_you_mean

Way = Literal["question", "biography", "portrayal"]
WAYS: tuple[Way, ...] = get_args(Way)
_MOST_NAMED = 12


@dataclass(frozen=True)
class SteeredTo:
    """A group of people: the value (Spain) of a dimension (country)."""

    dimension: str
    value: str

    @property
    def name(self) -> str:
        """As the command line takes it: 'country=Spain'."""
        return f"{self.dimension}={self.value}"


def steered_groups(survey: Survey, names: Sequence[str]) -> tuple[SteeredTo, ...]:
    """The groups of these names, each once. Raises InputError for one that no question has."""
    known = {
        group.name: group
        for question in survey.questions
        for dimension, values in question.groups.items()
        for group in (SteeredTo(dimension, value) for value in values)
    }
    for name in names:
        if name not in known:
            raise InputError(f"--steer {name}: {_unknown(survey, name, list(known))}")
    return tuple(known[name] for name in dict.fromkeys(names))


def _unknown(survey: Survey, name: str, known: Sequence[str]) -> str:
    """What is wrong with a name, and what would be right."""
    if not known:
        return f"{survey.source} has no groups of people"
    wrong = "no question has this group" if "=" in name else "give a group as DIMENSION=VALUE"
    listed = ", ".join(known[:_MOST_NAMED])
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    return f"{wrong}; {did_you_mean(name, known)}known: {listed}{more}"
