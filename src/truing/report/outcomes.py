"""What became of one answer, whichever evaluation asked for it: accepted, not accepted, or neither.

The metrics of an evaluation decide. What the task's reward stands for goes first; else it is the first
metric of the row that has a better side, and what must not be, such as an empty answer, is against it.
Of what has no better side, such as a demand where no rule forbids it, an answer is a plain yes or no.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from truing.data.rules import SUCCESSES
from truing.types import Metric, Row, Unscored

Verdict = Literal["good", "bad", "yes", "no", "mixed", "none"]
"""`mixed`: several seeds differ; `none`: nothing is known."""
SIGNS: dict[Verdict, str] = {
    "good": "✓", "bad": "✗", "yes": "●", "no": "○", "mixed": "~", "none": "–",
}  # fmt: skip
MARKS: dict[Verdict, str] = {
    "good": "+", "bad": "-", "yes": "y", "no": "n", "mixed": "~", "none": "?",
}  # fmt: skip
"""As the page's script reads them."""
WORDS: dict[Verdict, str] = {
    "good": "accepted", "bad": "not accepted", "yes": "yes", "no": "no", "mixed": "seeds differ",
    "none": "unscored",
}  # fmt: skip
CHOICE = "mc1"
"""Whether the best of given answers was the likeliest, by one name in every evaluation."""
_HALF = 0.5


def deciding(
    row: Row, metrics: Sequence[Metric], counted: Collection[str] = ()
) -> tuple[Metric, ...]:
    """The metrics that say whether the answer of a row is accepted; those `counted` go first.

    Where nothing was written, it is whether the best answer of those given was the likeliest.
    """
    there = [metric for metric in metrics if metric.name in row.metrics and metric.least == 0]
    written = [metric for metric in there if not metric.by_likelihood]
    if named := [metric for metric in written if metric.name in counted]:
        return tuple(named)
    sided = [metric for metric in written if metric.better]
    chosen = [metric for metric in there if metric.name == CHOICE]
    return tuple((sided or written or chosen)[:1])


def verdict_of(row: Row, metrics: Sequence[Metric], counted: Collection[str] = ()) -> Verdict:
    """What became of the answer of a row. `metrics` are those of its evaluation, in order."""
    outcome = row.detail.get("outcome")
    if row.evaluation == "rules" and isinstance(outcome, str):
        return "good" if outcome in SUCCESSES else "bad"
    deciders = deciding(row, metrics, counted)
    sides = [_side(row, metric) for metric in deciders]
    if not sides or None in sides:
        return "none"
    if not any(metric.better for metric in deciders):
        return "yes" if all(sides) else "no"
    return "good" if all(sides) and not _spoilt(row, metrics) else "bad"


def _side(row: Row, metric: Metric) -> bool | None:
    """Whether the score lies on the metric's better side, up where it has none; None where unscored."""
    score = row.metrics[metric.name]
    if isinstance(score, Unscored):
        return None
    return score < _HALF if metric.better == -1 else score >= _HALF


def _spoilt(row: Row, metrics: Sequence[Metric]) -> bool:
    """Whether the answer has something that is for the worse: it is empty, or isn't one at all."""
    return any(
        _side(row, metric) is False
        for metric in metrics
        if metric.better == -1 and metric.least == 0 and metric.name in row.metrics
    )


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """What several seeds' answers come to."""
    known = {verdict for verdict in verdicts if verdict != "none"}
    return known.pop() if len(known) == 1 else "mixed" if known else "none"
