"""Whether steering to a group moves answers towards that group more than towards others.

Whoever answers less one-sidedly when steered represents everybody better; so the other groups' gain is
taken off. There are several ways of steering, of which the best one would look good by chance: it is
chosen on half of the questions, by a stable hash, and its gain is that on the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.data.surveys.steering import WAYS, Way
from truing.report.opinion_moves import apart_text, direction
from truing.statistics.means import mean, paired_difference
from truing.types import Estimate, Row, Unscored, stable_hash

FEWEST = 10
"""Questions on either side: to choose the way on, and to score it on."""


@dataclass(frozen=True)
class Steering:
    """What steering to a `group` by a `way` gains: the group's `own` gain of representativeness, the
    `others`' mean gain in the same dimension, and how much `more` the own one is, paired by question.

    `by_way`: how much more each way gained on the `chosen_on` questions that the way was chosen on.
    """

    group: str
    way: Way
    own: Estimate
    others: Estimate
    more: Estimate
    by_way: Mapping[Way, float]
    chosen_on: int

    @property
    def sentence(self) -> str:
        """What it does, with its figures."""
        return (
            f"Steering to {self.group} by {self.way} {_effect(self)}: {apart_text(self.more)} "
            f"(own gain {apart_text(self.own)}, the other groups' {apart_text(self.others)}; the way "
            f"chosen on {self.chosen_on} questions, scored on {self.more.n} others)."
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "way": self.way,
            "more_than_others": self.more.to_json(),
            "own": self.own.to_json(),
            "others": self.others.to_json(),
            "by_way": dict(self.by_way),
            "chosen_on": self.chosen_on,
            "verdict": self.sentence,
        }


def _effect(steering: Steering) -> str:
    group, own, others = steering.group, direction(steering.own), direction(steering.others)
    match direction(steering.more):
        case 1 if own == 1:
            return f"moves answers towards {group} more than towards others"
        case 1:
            return f"moves answers away from others more than from {group}, not towards {group}"
        case -1:
            return f"serves other groups better than {group}"
    if own == others == 1:
        return "moves answers towards everybody alike"
    if own == others == -1:
        return "moves answers away from everybody alike"
    return "is within noise"


def steering_sentences(steered: Mapping[str, Steering | Unscored]) -> list[str]:
    """A sentence on each group that was steered to."""
    return [
        f"Steering to {name}: not judged; {each.reason}."
        if isinstance(each, Unscored)
        else each.sentence
        for name, each in steered.items()
    ]


def steering(rows: Sequence[Row], seed: int) -> dict[str, Steering | Unscored]:
    """What steering gains by the group that is steered to; empty where nobody asked for it."""
    gains: dict[str, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for name, ways in (row.detail.get("steered") or {}).items():
            gains[name][row.case].append(ways)
    return {name: _steering(name, by_case, seed) for name, by_case in gains.items()}


_Gain = tuple[float, float]
"""Own, others'."""


def _steering(
    name: str, by_case: Mapping[str, Sequence[Mapping[str, Any]]], seed: int
) -> Steering | Unscored:
    cases = sorted(by_case, key=lambda case: stable_hash("half that steering is chosen on", case))
    scored = {case: gain for case in cases if (gain := _by_way(by_case[case]))}
    middle = len(cases) // 2
    choosing, scoring = (
        [case for case in half if case in scored] for half in (cases[:middle], cases[middle:])
    )
    if min(len(choosing), len(scoring)) < FEWEST:
        return Unscored(
            f"{len(choosing)} questions with a gain to choose the way on and {len(scoring)} to score "
            f"it on; it takes {FEWEST} of each{_first_reason(by_case)}"
        )
    by_way = {
        way: sum(own - others for own, others in (scored[case][way] for case in choosing))
        / len(choosing)
        for way in WAYS
    }
    way = max(by_way, key=lambda each: by_way[each])
    own = {case: scored[case][way][0] for case in scoring}
    others = {case: scored[case][way][1] for case in scoring}
    return Steering(
        name,
        way,
        mean([*own.values()], seed=seed),
        mean([*others.values()], seed=seed),
        paired_difference(own, others, seed=seed),
        by_way,
        len(choosing),
    )


def _by_way(asked: Sequence[Mapping[str, Any]]) -> dict[Way, _Gain] | None:
    """A question's gain by way, its mean over seeds; None where one is unscored: ways are compared on the
    same questions."""
    if any("unscored" in ways[way] for ways in asked for way in WAYS):
        return None
    return {
        way: (
            sum(ways[way]["own"] for ways in asked) / len(asked),
            sum(ways[way]["others"] for ways in asked) / len(asked),
        )
        for way in WAYS
    }


def _first_reason(by_case: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """'; the first without one: its options have no declared order'."""
    reasons = (
        of_way["unscored"]
        for asked in by_case.values()
        for ways in asked
        for of_way in ways.values()
        if "unscored" in of_way
    )
    first = next(reasons, "")
    return f"; the first without one: {first}" if first else ""
