"""The audit of a reward: all that a run's folder tells of whether it was gamed, as plain data.

Three things, of which `reward_verdicts` makes sentences: whether judged gains are borne out without what
judges and rewards both like; whether an alarm was raised while the policy learned, at a rate of false
alarms that holds over all looks; and how proxy and gold go with the distance from base.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from truing.report.curves import chosen
from truing.report.measured import Measured
from truing.report.reward_points import REWARD, Looks, Series, drawn_series, training_series, value
from truing.report.surface_checks import SurfaceCheck, surface_checks
from truing.report.task_metrics import Key, TaskMetrics
from truing.runs.folder import RunFolder
from truing.statistics.means import RESAMPLES
from truing.statistics.repeated_looks import Alarm, Look, alarms
from truing.types import Metric, Row

LEARNER = "rl"
"""The method whose training is watched."""


@dataclass(frozen=True)
class RewardAudit:
    """What was found; every part may be empty, as in runs of before.

    `gold` is what the looks were judged by, `planned` how many looks were to be made of all seeds,
    `steps_kept` the step that was kept of each seed; `drawn` is the series of best-of-n.
    """

    checks: Mapping[str, Mapping[Key, SurfaceCheck]] = field(default_factory=dict)
    gold: Metric | None = None
    series: Series | None = None
    alarms: tuple[Alarm, ...] = ()
    planned: int = 0
    steps_kept: Mapping[int, int] = field(default_factory=dict)
    learner: str = LEARNER
    drawn: Series | None = None

    def check(self, name: str, metric: Metric) -> SurfaceCheck | None:
        """The check of a candidate's gain in a metric, where one was made."""
        return self.checks.get(name, {}).get((metric.evaluation, metric.name))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; without what there is none of."""
        parts: dict[str, Any] = {
            "surface": {
                name: {".".join(key): check.to_json() for key, check in of.items()}
                for name, of in self.checks.items()
            },
            "gold": self.gold.key if self.gold else None,
            "training": self.series.to_json() if self.series else None,
            "best_of_n": self.drawn.to_json() if self.drawn else None,
            "looks": self.planned,
            "alarms": [alarm.to_json() for alarm in self.alarms],
        }
        return {name: part for name, part in parts.items() if part}


def audit_of(
    run: RunFolder, rows: Sequence[Row], measured: Measured, resamples: int = RESAMPLES
) -> RewardAudit:
    """The audit of a run's reward. Raises InputError where a file of its looks is broken."""
    checks = surface_checks(rows, measured, resamples)
    looks = run.looks(LEARNER)
    draws = run.draws()
    graded = [row for steps in looks.values() for of in steps.values() for row in of]
    gold = _gold([*graded, *draws], measured.task)
    if gold is None:
        return RewardAudit(checks)
    planned = _planned(run, looks) if looks else 0
    kept = {seed: pair[0] for seed, log in run.logs(LEARNER).items() if (pair := chosen(log))}
    return RewardAudit(
        checks,
        gold,
        training_series(looks, gold, resamples),
        tuple(alarms(_seen(looks, gold), planned)),
        planned,
        kept,
        drawn=drawn_series(draws, gold, resamples),
    )


def _gold(rows: Sequence[Row], task: TaskMetrics) -> Metric | None:
    """The weightiest of what the reward stands for that looks and draws have a grade of."""
    names = {name for row in rows for name in row.metrics}
    graded = [metric for metric in task.of(task.stands_for) if not metric.by_likelihood]
    return next((metric for metric in graded if metric.name in names), None)


def _planned(run: RunFolder, looks: Looks) -> int:
    """Looks that the spec asks for in all seeds, or those that there are where they are more."""
    made = [len(steps.keys() - {0}) for steps in looks.values()]
    spec, seeds = run.spec().get(LEARNER), run.spec().get("seeds")
    steps, every = (
        spec.get(n) if isinstance(spec, dict) else None for n in ("steps", "evaluate_every")
    )
    if not (isinstance(steps, int) and isinstance(every, int) and every > 0):
        return max(1, sum(made))
    trainings = max(len(seeds) if isinstance(seeds, list) else 0, len(looks))
    return max(1, trainings * max([-(-steps // every), *made]))


def _seen(looks: Looks, gold: Metric) -> list[Look]:
    sign = -1.0 if gold.better == -1 else 1.0
    return [
        Look(
            seed,
            step,
            {
                row.case: value(row, REWARD)
                for row in rows
                if isinstance(row.metrics.get(REWARD), float)
            },
            {
                row.case: sign * value(row, gold.name)
                for row in rows
                if isinstance(row.metrics.get(gold.name), float)
            },
        )
        for seed, steps in looks.items()
        for step, rows in steps.items()
    ]
