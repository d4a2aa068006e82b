"""The head of a sweep's page: what is beyond noise, in a sentence, on cards and as marks in the tables.

A line is set against what it is to be told from, case by case: another prompt against the candidate's own
first one, and under the first prompt a candidate against the first candidate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from truing.evaluate import EVALUATIONS
from truing.evaluate.sweep.result import Line, SweepResult
from truing.evaluate.sweep.shown import (
    labels,
    metric_in,
    question_places,
    question_scores,
    shown_lines,
    titled,
)
from truing.judges.correction import Calibration, Judged, corrected_difference
from truing.judges.graded import CALIBRATED_BY
from truing.report.cards import CardRow
from truing.report.metrics import change, interval, mark, number
from truing.report.quantities import count
from truing.report.sentences import Tone, change_text, joined
from truing.report.wordings import difference_of
from truing.statistics.means import RESAMPLES
from truing.types import Estimate, Metric, Unscored

_MOST = 5  # changes that the sentence names
Place = tuple[str, str, str, str]
"""Evaluation, metric, candidate and shown prompt: a figure's place in the tables."""


@dataclass(frozen=True)
class Change:
    """A figure's paired difference to what it is set against, and that one's name."""

    metric: Metric
    difference: Estimate
    against: str

    @property
    def effect(self) -> str:
        """'gain', 'loss', 'moved' or nothing."""
        return change(self.difference, self.metric)

    @property
    def hint(self) -> str:
        """The difference in words, for the card over the figure."""
        unit = self.metric.unit
        figure = number(self.difference.value, unit, sign=True)
        limits = interval(self.difference, unit, sign=True)
        noise = "beyond noise" if self.effect else "within noise"
        return f"{figure} {limits} to {self.against}, {self.difference.n} in common: {noise}"


def changes(result: SweepResult) -> dict[Place, Change]:
    """Every figure's change, where its rows have scores and there is what to set them against."""
    found: dict[Place, Change] = {}
    for evaluation in result.asked:
        places = question_places(result, evaluation)
        for name in dict.fromkeys(
            m for line in shown_lines(result, evaluation) for m in line.metrics
        ):
            scores = question_scores(result, evaluation, name)
            corrected = _Corrected.of(result, evaluation, name)
            for (candidate, prompt), own in scores.items():
                other = _against(result, candidate, prompt)
                if other is None or other not in scores:
                    continue
                difference = (
                    corrected.get((candidate, prompt), other)
                    if corrected
                    else difference_of(
                        own, scores[other], places, resamples=RESAMPLES, seed=result.spec.seed
                    )
                )
                if difference.value is not None:
                    named = other[1] if other[0] == candidate else other[0]
                    place = (evaluation, name, candidate, prompt)
                    found[place] = Change(metric_in(evaluation, name), difference, named)
    return found


@dataclass(frozen=True)
class _Corrected:
    """Judged answers by candidate and shown prompt, of which differences are corrected as shares are: a
    difference of grades as they were given would be that of other figures than those it stands beside."""

    judged: Mapping[tuple[str, str], Mapping[str, Judged]]
    calibration: Calibration
    seed: int

    @staticmethod
    def of(result: SweepResult, evaluation: str, metric: str) -> _Corrected | None:
        """None where the metric's shares aren't corrected."""
        grader = result.open_ended.grader
        if grader is None or evaluation != "truthfulness" or metric not in CALIBRATED_BY:
            return None
        label_of = labels(result)
        given: dict[tuple[str, str], dict[str, tuple[list[float], list[float]]]] = {}
        for prompt, row in result.rows:
            score = row.metrics.get(metric)
            if row.evaluation == evaluation and isinstance(score, float):
                of_case = given.setdefault((row.candidate, label_of[prompt]), {})
                both = of_case.setdefault(row.case, ([], []))
                both[bool(row.detail.get("certain"))].append(score)
        judged = {
            key: {case: Judged(*both) for case, both in cases.items()}
            for key, cases in given.items()
        }
        return _Corrected(judged, grader.calibration[CALIBRATED_BY[metric]], result.spec.seed)

    def get(self, ours: tuple[str, str], theirs: tuple[str, str]) -> Estimate:
        """The paired difference of two places."""
        return corrected_difference(
            self.judged[ours], self.judged[theirs], self.calibration, seed=self.seed
        )


def _against(result: SweepResult, candidate: str, prompt: str) -> tuple[str, str] | None:
    first_prompt = next(iter(labels(result).values()))
    first = next(iter(result.models), candidate)
    if prompt != first_prompt:
        return candidate, first_prompt
    return None if candidate == first else (first, first_prompt)


def counted(result: SweepResult) -> list[str]:
    """'2 candidates', '3 prompts', '120 rows, 4 unscored': what the page rests on."""
    prompts = len(set(labels(result).values()))
    cases = sum(len(asked.cases) for asked in result.asked.values())
    unscored = sum(
        all(isinstance(score, Unscored) for score in row.metrics.values()) for _, row in result.rows
    )
    rows = f"{count(len(result.rows))} rows" + (f", {count(unscored)} unscored" if unscored else "")
    return [_number(len(result.models), "candidate"), _number(prompts, "prompt"),
            _number(cases, "case"), rows, f"seed {result.spec.seed}"]  # fmt: skip


def _number(number: int, noun: str) -> str:
    return f"{count(number)} {noun}{'s' if number != 1 else ''}"


def _headline(result: SweepResult) -> Iterable[tuple[Line, Metric, Estimate]]:
    """The lines' figures under the metrics that stand for their evaluations."""
    for evaluation in result.asked:
        for line in shown_lines(result, evaluation):
            for name in EVALUATIONS[evaluation].headline or tuple(line.metrics)[:1]:
                if name in line.metrics:
                    yield line, metric_in(evaluation, name), line.metrics[name]


def _place(line: Line, metric: Metric) -> Place:
    return (line.evaluation, metric.name, line.candidate, line.prompt)


def verdict(result: SweepResult, found: Mapping[Place, Change]) -> str:
    """What moved beyond noise, the largest first; without anything to compare, the figures themselves."""
    figures = list(_headline(result))
    compared = [
        (line, moved) for line, metric, _ in figures if (moved := found.get(_place(line, metric)))
    ]
    if not compared:
        return _figures_alone(figures)
    clear = [(line, moved) for line, moved in compared if moved.effect]
    if not clear and len(compared) == 1:
        return "The one difference in what counts is within noise."
    if not clear:
        return f"None of the {len(compared)} differences in what counts is beyond noise."
    clear.sort(key=lambda each: -abs(each[1].difference.value or 0.0))
    said = [_sentence(line, moved) for line, moved in clear[:_MOST]]
    rest = f"; {len(clear) - _MOST} more in the tables" if len(clear) > _MOST else ""
    start = f"{len(clear)} of {len(compared)} differences in what counts"
    return f"{start} {'is' if len(clear) == 1 else 'are'} beyond noise: {'; '.join(said)}{rest}."


def _figures_alone(figures: Iterable[tuple[Line, Metric, Estimate]]) -> str:
    said = [
        f"{titled(line.evaluation, metric.name)} {number(estimate.value, metric.unit)} "
        f"{interval(estimate, metric.unit)}".strip()
        for line, metric, estimate in figures
        if estimate.value is not None
    ]
    return f"{joined(said[:_MOST])}." if said else "Nothing could be scored."


def _sentence(line: Line, moved: Change) -> str:
    """'small-one under helpful: MC1 +0.05 [0.02, 0.08] to own'."""
    metric = titled(line.evaluation, moved.metric.name)
    figure = change_text(moved.difference, moved.metric.unit)
    return f"{line.candidate} under {line.prompt}: {metric} {figure} to {moved.against}"


@dataclass(frozen=True)
class SweepCard:
    """A candidate's card: its figures under the first prompt, and what the others change."""

    name: str
    tone: Tone
    verdict: str
    groups: tuple[tuple[str, tuple[CardRow, ...]], ...]


def cards(result: SweepResult, found: Mapping[Place, Change]) -> list[SweepCard]:
    """One for each candidate."""
    return [_card(result, found, name) for name in result.models]


def _card(result: SweepResult, found: Mapping[Place, Change], name: str) -> SweepCard:
    groups: dict[str, list[CardRow]] = {}
    effects = []
    for line, metric, estimate in _headline(result):
        if line.candidate == name:
            moved = found.get(_place(line, metric))
            effects += [moved.effect] if moved else []
            title = titled(line.evaluation, metric.name)
            groups.setdefault(title, []).append(_row(line, metric, estimate, moved))
    gains, losses, others = (effects.count(effect) for effect in ("gain", "loss", "moved"))
    tone: Tone = "mixed" if gains and losses else "gain" if gains else "loss" if losses else "none"
    parts = [_number(gains, "gain")] if gains else []
    parts += [f"{losses} loss{'es' if losses != 1 else ''}"] if losses else []
    parts += [_number(others, "other change")] if others else []
    said = joined(parts) or ("within noise" if effects else "the reference")
    return SweepCard(name, tone, said, tuple((title, tuple(own)) for title, own in groups.items()))


def _row(line: Line, metric: Metric, estimate: Estimate, moved: Change | None) -> CardRow:
    effect = moved.effect if moved else ""
    return CardRow(
        line.prompt,
        number(estimate.value, metric.unit),
        interval(estimate, metric.unit),
        effect if effect in ("gain", "loss") else "",
        mark(moved.difference) if moved else "",
        f"{change_text(moved.difference, metric.unit)} to {moved.against}" if moved else "",
    )
