"""How well people agree, all of them and in groups, and where groups differ rather than err."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from truing.people.observations import QUESTIONS
from truing.people.tables import Annotator
from truing.statistics.agreement import Column, Scale, krippendorff_alpha
from truing.statistics.means import paired_difference
from truing.types import Estimate

SMALLEST_GROUP = 2
"""A group of fewer people isn't shown: it would be a person, not a group."""


class Alphas:
    """Krippendorff's alpha by question, of everybody or of some; each is computed once."""

    def __init__(
        self,
        columns: Mapping[str, Column],
        types: Mapping[str, tuple[str, Scale]] = QUESTIONS,
    ) -> None:
        self.columns = columns
        self._types = types
        self._everybody = {
            question: frozenset(np.unique(column.annotators).tolist())
            for question, column in columns.items()
        }
        self._found: dict[tuple[str, frozenset[int]], Estimate] = {}

    def of(self, question: str, people: Set[int] | None = None) -> Estimate:
        """Of these people's answers to a question that somebody answered."""
        everybody = self._everybody[question]
        chosen = everybody if people is None else everybody & people
        key = question, chosen
        if key not in self._found:
            column = self.columns[question]
            column = column if chosen == everybody else column.among(chosen)
            self._found[key] = krippendorff_alpha(column, self._types[question][1])
        return self._found[key]

    def by_question(self) -> list[tuple[str, Estimate]]:
        """Of everybody."""
        return [(question, self.of(question)) for question in self.columns]


@dataclass(frozen=True)
class GroupContrast:
    """Two groups on one question: agreement inside each, of both together, and how they differ.

    Groups *differ* where both agree among themselves better than all do together; they *err* where
    they don't agree among themselves either.
    """

    dimension: str
    groups: tuple[str, str]
    question: str
    inside: tuple[Estimate, Estimate]
    together: Estimate
    difference: Estimate
    """First group's mean minus the second's over units both judged; ratings only."""

    @property
    def differ(self) -> bool:
        """Whether the groups hold different views rather than make different mistakes."""
        inside = [each.value for each in self.inside]
        whole = self.together.value
        if whole is None or any(value is None for value in inside):
            return False
        apart = self.difference.low is None or not (
            self.difference.low <= 0 <= (self.difference.high or 0)
        )
        return apart and all(value is not None and value > whole + 0.1 for value in inside)


def _unit_means(column: Column) -> dict[str, float]:
    units, unit_of, raters = np.unique(column.units, return_inverse=True, return_counts=True)
    points = np.array(column.values, np.float64)[column.codes]
    means = np.bincount(unit_of, points) / raters
    return {str(unit): value for unit, value in zip(units.tolist(), means.tolist(), strict=True)}


def group_contrasts(people: Sequence[Annotator], alphas: Alphas) -> list[GroupContrast]:
    """Every pair of groups of a dimension with enough people, on every question both answered."""
    members: dict[tuple[str, str], set[int]] = defaultdict(set)
    for person in people:
        for group in person.groups:
            members[group.dimension, group.value].add(person.id)
    large = sorted(key for key, ids in members.items() if len(ids) >= SMALLEST_GROUP)
    contrasts = []
    for first, second in combinations(large, 2):
        if first[0] != second[0]:
            continue
        for question in alphas.columns:
            made = _contrast(question, alphas, (first, second), members)
            if made:
                contrasts.append(made)
    return contrasts


def _contrast(
    question: str,
    alphas: Alphas,
    groups: tuple[tuple[str, str], tuple[str, str]],
    members: Mapping[tuple[str, str], set[int]],
) -> GroupContrast | None:
    ours, theirs = (members[group] for group in groups)
    together = alphas.of(question, ours | theirs)
    if together.value is None:  # all alike: nothing to tell the groups apart by
        return None
    inside = alphas.of(question, ours), alphas.of(question, theirs)
    if any(each.n + each.unscored == 0 for each in inside):  # nobody of a group was asked this
        return None
    difference = Estimate(None, None, None, 0)
    if question == "rating":
        column = alphas.columns[question]
        difference = paired_difference(
            _unit_means(column.among(ours)), _unit_means(column.among(theirs))
        )
    return GroupContrast(
        dimension=groups[0][0],
        groups=(groups[0][1], groups[1][1]),
        question=question,
        inside=inside,
        together=together,
        difference=difference,
    )
