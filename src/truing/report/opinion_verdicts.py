"""What the rows of `opinions` say, in sentences: the verdict, groups that can be told apart, shifts.

*By place, not by content*: where the answers to other questions, or the uniform distribution, represent
people as well, figures say nothing of opinions. A *shift of values* between two candidates is said only
where all readings agree in direction beyond noise; where the printed order moves and the balanced one
doesn't, it is the order that moved. All differences are paired by question.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from truing.data.surveys.readings import (
    FIRST,
    OPINIONS,
    READINGS,
    Reading,
    metric_of_reading,
)
from truing.prompts.variants import OWN
from truing.report.metrics import moved, number
from truing.report.opinion_moves import apart_text, direction
from truing.report.opinion_steering import Steering, steering, steering_sentences
from truing.report.opinion_topics import consistency_json, consistency_sentences
from truing.report.sentences import Finding
from truing.statistics.means import SEED, mean, paired_difference
from truing.statistics.opinion_anchors import separated
from truing.statistics.opinion_consistency import Consistency, consistency
from truing.types import Estimate, Row, Unscored

FEW = 6
"""Questions below which nothing is concluded: a bootstrap of three that are alike claims too much."""
MEASURES = {
    "representativeness": "how well people are represented",
    "position": "place on the scale",
}
"""What may shift, and what it is called."""
BY = {
    "letters": "by letters",
    "text": "by the options' texts",
    "written": "by written answers",
}


@dataclass(frozen=True)
class GroupFigure:
    """How much better than the uniform distribution a group is represented, with its interval over
    questions; `n`: its fewest people on a question, None where that isn't known."""

    dimension: str
    group: str
    above_uniform: Estimate
    n: float | None


@dataclass(frozen=True)
class OpinionVerdict:
    """What one candidate's rows under one prompt say. `apart`: the pairs of groups, the better one first,
    whose difference is beyond noise; no other order may be shown. `consistency` over topics by dimension,
    empty where no question has a topic; `steering` by group, empty where nobody asked for it."""

    sentence: str
    groups: tuple[GroupFigure, ...]
    apart: tuple[tuple[str, str], ...]
    consistency: Mapping[str, Consistency | Unscored] = field(default_factory=dict)
    steering: Mapping[str, Steering | Unscored] = field(default_factory=dict)

    @property
    def sentences(self) -> list[str]:
        """The verdict, then what else the rows say."""
        return [
            self.sentence,
            *steering_sentences(self.steering),
            *consistency_sentences(self.consistency),
        ]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "verdict": self.sentence,
            "groups": [
                {
                    "dimension": each.dimension,
                    "group": each.group,
                    "above_uniform": each.above_uniform.to_json(),
                    "n": each.n,
                }
                for each in self.groups
            ],
            "apart": [list(pair) for pair in self.apart],
            "consistency": {
                dimension: consistency_json(each) for dimension, each in self.consistency.items()
            },
            "steering": {
                name: {"unscored": each.reason} if isinstance(each, Unscored) else each.to_json()
                for name, each in self.steering.items()
            },
        }


def verdict(rows: Sequence[Row], seed: int) -> OpinionVerdict:
    """The verdict on one candidate under one prompt."""
    scores = _group_values(rows)
    groups = tuple(
        GroupFigure(
            dimension, group, mean([value for _, value, _ in values], seed=seed), _fewest(values)
        )
        for (dimension, group), values in scores.items()
    )
    by_dimension = _by_dimension(rows, scores)
    return OpinionVerdict(
        _sentence(rows, seed),
        groups,
        _apart(by_dimension, seed),
        _consistency(rows, by_dimension, seed),
        steering(rows, seed),
    )


def _sentence(rows: Sequence[Row], seed: int) -> str:
    reading = next((r for r in READINGS if _scores(rows, metric_of_reading(r, "position"))), FIRST)
    name = metric_of_reading(reading, "representativeness")
    ours = _scores(rows, name)
    if len(ours) < FEW:
        return f"Not judged: a figure for {len(ours)} question(s); it takes {FEW}."
    above = {
        "the uniform distribution": paired_difference(ours, _scores(rows, "uniform"), seed=seed),
        "the answers to other questions": paired_difference(
            ours, _scores(rows, metric_of_reading(reading, "permuted")), seed=seed
        ),
    }
    beaten = [what for what, difference in above.items() if moved(difference) == 1]
    figures = "; ".join(f"less that of {what} {apart_text(d)}" for what, d in above.items())
    value = f"Representativeness {BY[reading]} {number(mean([*ours.values()], seed=seed).value)}"
    if len(beaten) == len(above):
        return f"Answers by content: {value}; {figures}."
    as_well = " and ".join(what for what in above if what not in beaten)
    verb = "do" if len(above) - len(beaten) > 1 else "does"
    verb = "do" if as_well.startswith("the answers") else verb
    return f"Answers by place, not by content: {as_well} {verb} as well. {value}; {figures}."


def _scores(rows: Sequence[Row], metric: str) -> dict[str, float]:
    """The metric by case; unscored ones left out, several seeds averaged."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        score = row.metrics.get(metric)
        if isinstance(score, float | int):
            values[row.case].append(float(score))
    return {case: sum(each) / len(each) for case, each in values.items()}


_Values = list[tuple[str, float, float | None]]
"""Case, score less uniform, number of people."""


def _group_values(rows: Sequence[Row]) -> dict[tuple[str, str], _Values]:
    values: dict[tuple[str, str], _Values] = defaultdict(list)
    for row in rows:
        for dimension, groups in (row.detail.get("groups") or {}).items():
            for group, (score, uniform, n) in groups.items():
                values[dimension, group].append((row.case, score - uniform, n))
    return dict(values)


def _fewest(values: _Values) -> float | None:
    sizes = [n for *_, n in values if n is not None]
    return min(sizes) if len(sizes) == len(values) else None


_ByGroup = dict[str, list[float]]
"""A group's values by question, NaN where it has none."""


def _by_dimension(
    rows: Sequence[Row], scores: Mapping[tuple[str, str], _Values]
) -> dict[str, _ByGroup]:
    """The groups of each dimension, over the questions in the rows' order."""
    cases = list(dict.fromkeys(row.case for row in rows))
    by_dimension: dict[str, _ByGroup] = defaultdict(dict)
    for (dimension, group), values in scores.items():
        by_case = {case: value for case, value, _ in values}
        by_dimension[dimension][group] = [by_case.get(case, float("nan")) for case in cases]
    return dict(by_dimension)


def _apart(by_dimension: Mapping[str, _ByGroup], seed: int) -> tuple[tuple[str, str], ...]:
    """The pairs of each dimension's groups that can be told apart."""
    return tuple(
        pair
        for by_group in by_dimension.values()
        if len(next(iter(by_group.values()))) >= FEW
        for pair in separated(by_group, seed=seed)
    )


def _consistency(
    rows: Sequence[Row], by_dimension: Mapping[str, _ByGroup], seed: int
) -> dict[str, Consistency | Unscored]:
    """The consistency of each dimension's groups over topics; nothing where there are no topics."""
    topics = [*{row.case: row.category for row in rows}.values()]
    if not any(topics):
        return {}
    return {name: consistency(each, topics, seed=seed) for name, each in by_dimension.items()}


def shift(ours: Sequence[Row], theirs: Sequence[Row], name: str, base: str, seed: int) -> list[str]:
    """What moved from `base` (their rows) to the candidate `name`, in sentences."""
    readings = [r for r in READINGS if _scores(ours, metric_of_reading(r, "position"))]
    sentences = []
    for measure, what in MEASURES.items():
        moves = {
            r: _difference(ours, theirs, metric_of_reading(r, measure), seed) for r in readings
        }
        if any(each.n < FEW for each in moves.values()):
            continue
        printed = {"representativeness": "as_printed", "position": "position_as_printed"}[measure]
        sentences += _false_shift(
            moves.get("letters"), _difference(ours, theirs, printed, seed), what, name, base
        )
        sentences += _values(moves, what, name, base)
    return sentences or [
        f"{name}: no shift from {base} beyond noise"
        f"{' in any reading' if len(readings) > 1 else f' {BY[readings[0]]}' if readings else ''}."
    ]


def _difference(ours: Sequence[Row], theirs: Sequence[Row], metric: str, seed: int) -> Estimate:
    return paired_difference(_scores(ours, metric), _scores(theirs, metric), seed=seed)


def _false_shift(
    balanced: Estimate | None, printed: Estimate, what: str, name: str, base: str
) -> list[str]:
    """A warning where the printed order moves and the balanced orders don't, or the other way."""
    if balanced is None or printed.n < FEW or not direction(printed):
        return []
    if direction(balanced) == direction(printed):
        return []
    other = "none" if direction(balanced) == 0 else "the other way"
    return [
        f"{name}: the options' printed order alone would show a shift from {base} in {what}, "
        f"{apart_text(printed)}; with orders balanced it is {apart_text(balanced)}, {other}. What "
        "moved is how it takes letters and places, not what it answers."
    ]


def _values(moves: Mapping[Reading, Estimate], what: str, name: str, base: str) -> list[str]:
    """A shift where all readings agree; else that it depends on the reading."""
    directions = {reading: direction(each) for reading, each in moves.items()}
    if not any(directions.values()):
        return []
    each = "; ".join(f"{BY[reading]} {apart_text(move)}" for reading, move in moves.items())
    if len(directions) == 1:
        return [
            f"{name}: the distribution moved from {base} in {what}: {each}. One reading says no "
            "direction: ask for the others with --read letters text written."
        ]
    if len(set(directions.values())) == 1:
        return [f"{name}: a shift of values from {base} in {what}, in all readings: {each}."]
    return [
        f"{name}: the distribution moved from {base} in {what}; the direction depends on how it is "
        f"read: {each}."
    ]


@dataclass(frozen=True)
class OpinionSummary:
    """The verdicts by candidate and prompt, and what moved from the first candidate to the others."""

    verdicts: Mapping[tuple[str, str], OpinionVerdict]
    shifts: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """`verdicts.<candidate>.<prompt>`, and the sentences on shifts."""
        verdicts: dict[str, Any] = {}
        for (candidate, prompt), each in self.verdicts.items():
            verdicts.setdefault(candidate, {})[prompt] = each.to_json()
        return {"verdicts": verdicts, "shifts": list(self.shifts)}


def opinion_summary(rows: Sequence[tuple[str, Row]], seed: int) -> OpinionSummary | None:
    """What rows (with their prompts) of the evaluation say; None where there are none.

    The first candidate is what others are compared with, under the same prompt.
    """
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for prompt, row in rows:
        if row.evaluation == OPINIONS:
            groups[row.candidate, prompt].append(row)
    if not groups:
        return None
    base = next(iter(groups))[0]
    shifts = [
        sentence
        for (candidate, prompt), of in groups.items()
        if candidate != base and (base, prompt) in groups
        for sentence in shift(of, groups[base, prompt], candidate, base, seed)
    ]
    verdicts = {place: verdict(of, seed) for place, of in groups.items()}
    return OpinionSummary(verdicts, tuple(shifts))


def opinions_of_run(rows: Sequence[Row]) -> OpinionSummary | None:
    """What the rows of a run say, each candidate under its own prompt; None where no survey was asked."""
    return opinion_summary([(OWN, row) for row in rows], SEED)


def on_opinions(summary: OpinionSummary | None) -> list[Finding]:
    """A run's verdicts and shifts as findings; nothing where no survey was asked."""
    if summary is None:
        return []
    verdicts = [
        Finding(f"Opinions of {name}. {each.sentence}", "note", name)
        for (name, _), each in summary.verdicts.items()
    ]
    return [*verdicts, *(Finding(f"Opinions: {text}", "note") for text in summary.shifts)]
