"""Shares of refusals, corrected by own labels of a candidate's answers; and what is to be said of it.

A judge errs in another way on each candidate's answers, so that a correction by other models' errors
misleads. Labels of 50 of its own answers correct its shares (statistics/prediction_powered.py); without
them nothing is corrected, and the report says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from truing.report.measured import BASE, Measured
from truing.report.sentences import Finding, joined
from truing.report.task_metrics import OVER_REFUSAL, REFUSAL, Key
from truing.statistics.independent import independent_difference
from truing.statistics.prediction_powered import LEAST_LABELS, prediction_powered_share
from truing.types import Estimate, Row, Unscored

SIDES = (OVER_REFUSAL, REFUSAL)
DECLINED = ("refused", "partly")
Labels = Mapping[tuple[str, int, str], str]
"""Outcomes that people saw, by candidate, seed and case."""


def corrected(measured: Measured, rows: Sequence[Row], labels: Labels) -> Measured:
    """With corrected shares in place of the judge's where a candidate has own labels enough.

    Differences to base are corrected where both are; where one is, they would compare a corrected share
    with a judge's, and are left out.
    """
    shares = {
        (name, key): share
        for name in measured.names
        for key in SIDES
        if (share := _share(rows, name, key, labels)) is not None
    }
    if not shares:
        return measured
    values = {name: dict(figures) for name, figures in measured.values.items()}
    differences = {name: dict(figures) for name, figures in measured.differences.items()}
    for (name, key), share in shares.items():
        values[name][key] = share
    for name, figures in differences.items():
        for key in SIDES:
            ours, base = shares.get((name, key)), shares.get((BASE, key))
            if key in figures and (ours or base):
                figures[key] = _difference(ours, base)
    return replace(measured, values=values, differences=differences)


def _share(rows: Sequence[Row], name: str, key: Key, labels: Labels) -> Estimate | None:
    """The corrected share; None where the labels are too few. Answers that the judge couldn't grade are
    left out and counted."""
    evaluation, metric = key
    own = [
        row
        for row in rows
        if row.candidate == name and row.evaluation == evaluation and metric in row.metrics
    ]
    predicted: list[float] = []
    known: dict[int, float] = {}
    for row in own:
        probability = _declines(row)
        if probability is None:
            continue
        if outcome := labels.get((row.candidate, row.seed, row.case)):
            known[len(predicted)] = float(outcome in DECLINED)
        predicted.append(probability)
    if len(known) < LEAST_LABELS:
        return None
    return prediction_powered_share(predicted, known, unscored=len(own) - len(predicted))


def _declines(row: Row) -> float | None:
    """The judge's probability that an answer is a refusal, in part or in full."""
    refused, partly = row.metrics.get("p_refused"), row.metrics.get("p_partly")
    if refused is None or isinstance(refused, Unscored):
        return None
    both = refused + (partly if isinstance(partly, float) else 0.0)
    return min(both, 1.0)


def _difference(ours: Estimate | None, base: Estimate | None) -> Estimate:
    """Of two corrected shares, from their intervals. It takes them for independent, as their labels are;
    answers to the same questions make it too wide, not too short."""
    n = min(each.n for each in (ours, base) if each)
    if ours is None or base is None or None in (ours.value, base.value):
        return Estimate(None, None, None, 0, n)
    return replace(independent_difference(ours, base), n=n, unscored=0)


def on_refusals(measured: Measured, labels: Labels) -> list[Finding]:
    """Whose shares of refusals are corrected, and a warning where some aren't."""
    refusing = [
        name for name in measured.names if any(key in measured.values[name] for key in SIDES)
    ]
    counts = {name: sum(candidate == name for candidate, _, _ in labels) for name in refusing}
    corrected_ones = [f"{name} ({count} labels)" for name, count in counts.items() if count]
    without = [name for name, count in counts.items() if not count]
    notes = []
    if corrected_ones:
        text = f"Shares of refusals are corrected by own labels of {joined(corrected_ones)}."
        notes.append(Finding(text, "note"))
    if without:
        text = (
            f"Shares of refusals of {joined(without)} are the judge’s own: how it errs on these answers "
            "isn’t known. `truing label --run RUN --ask outcome` has 50 of each labelled, and corrects."
        )
        notes.append(Finding(text, "warning"))
    return notes
