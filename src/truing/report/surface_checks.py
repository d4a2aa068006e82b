"""Whether a judged gain is more than what a reward and a judge both like in an answer.

A judge that prefers longer, politer or properly ended answers gains with a reward that does so too, and
would speak for it. So the gain is adjusted for how those features changed, question by question
(statistics/adjusted_gain.py), before it may. Programs that are exact need no such check.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from truing.report.measured import BASE, Measured
from truing.report.metrics import improvement, moved
from truing.report.task_metrics import Key
from truing.rewards.surface import SURFACE, surface
from truing.statistics.adjusted_gain import adjusted_gain
from truing.statistics.means import RESAMPLES, mean
from truing.types import Estimate, Metric, Row, Unscored

Features = Mapping[str, Mapping[str, float]]
"""Of each case, the features of its answer."""


@dataclass(frozen=True)
class SurfaceCheck:
    """A gain for the better where no feature changed, and the features that changed beyond noise."""

    adjusted: Estimate | Unscored
    changed: tuple[str, ...]

    @property
    def bears_out(self) -> bool:
        """Whether the gain is there, beyond noise, without the features."""
        return not isinstance(self.adjusted, Unscored) and moved(self.adjusted) == 1

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"adjusted": _json(self.adjusted), "changed": list(self.changed)}


def _json(adjusted: Estimate | Unscored) -> dict[str, Any]:
    return {"unscored": adjusted.reason} if isinstance(adjusted, Unscored) else adjusted.to_json()


def surface_checks(
    rows: Sequence[Row], measured: Measured, resamples: int = RESAMPLES
) -> dict[str, dict[Key, SurfaceCheck]]:
    """For each candidate that follows a reward, the check of each judged metric that it stands for."""
    checks: dict[str, dict[Key, SurfaceCheck]] = {}
    for metric in _judged(measured):
        features = features_of([row for row in rows if row.evaluation == metric.evaluation])
        for name in measured.task.by_reward:
            key = (metric.evaluation, metric.name)
            if check := _check(measured, name, metric, features, resamples):
                checks.setdefault(name, {})[key] = check
    return checks


def _judged(measured: Measured) -> list[Metric]:
    """What the reward stands for and judges say, each as its adjusted metric too."""
    metrics = measured.task.of(measured.task.stands_for)
    metrics += [each for metric in metrics if (each := measured.task.adjusted(metric))]
    return [metric for metric in metrics if metric.judges]


def features_of(rows: Sequence[Row]) -> dict[str, Features]:
    """By candidate and case, the mean over its seeds of each feature; rows without answers have none."""
    found: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        answer = row.detail.get("answer")
        if isinstance(answer, str):
            finished = row.detail.get("finished") is not False
            found[row.candidate][row.case].append(surface(answer, finished))
    return {
        candidate: {
            case: {name: float(np.mean([each[name] for each in of])) for name in SURFACE}
            for case, of in by_case.items()
        }
        for candidate, by_case in found.items()
    }


def _check(
    measured: Measured,
    name: str,
    metric: Metric,
    features: Mapping[str, Features],
    resamples: int,
) -> SurfaceCheck | None:
    key = (metric.evaluation, metric.name)
    ours, theirs = (measured.questions.get(each, {}).get(key, {}) for each in (name, BASE))
    gains = {case: ours[case] - theirs[case] for case in ours.keys() & theirs.keys()}
    differences = feature_differences(features.get(name, {}), features.get(BASE, {}))
    if not gains or not gains.keys() & differences.keys():
        return None
    adjusted = adjusted_gain(gains, differences, resamples=resamples)
    if isinstance(adjusted, Estimate):
        adjusted = improvement(adjusted, metric)
    return SurfaceCheck(adjusted, _changed(differences, resamples))


def feature_differences(ours: Features, theirs: Features) -> dict[str, dict[str, float]]:
    """Ours less theirs, of each case that both answered."""
    return {
        case: {name: ours[case][name] - theirs[case][name] for name in SURFACE}
        for case in sorted(ours.keys() & theirs.keys())
    }


def _changed(differences: Mapping[str, Mapping[str, float]], resamples: int) -> tuple[str, ...]:
    """'more polite words', 'less length': what changed beyond noise."""
    changed = []
    for name, words in SURFACE.items():
        change = mean([each[name] for each in differences.values()], resamples=resamples)
        if direction := moved(change):
            changed.append(f"{'more' if direction == 1 else 'less'} {words}")
    return tuple(changed)
