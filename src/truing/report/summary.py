"""summary.json: every figure of a run and what it says, computed from its rows and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from truing.report.best_of_n import best_of_n_json
from truing.report.findings import findings
from truing.report.measured import Measured, measure
from truing.report.opinion_verdicts import OpinionSummary, on_opinions, opinions_of_run
from truing.report.own_labels import Labels, corrected, on_refusals
from truing.report.reward_audit import RewardAudit, audit_of
from truing.report.sentences import Finding
from truing.report.task_metrics import Key, TaskMetrics
from truing.runs.folder import RunFolder
from truing.statistics import means as statistics
from truing.types import Estimate, InputError, Row


@dataclass(frozen=True)
class Summary:
    """A run's rows, figures and findings, and the logs of reinforcement learning by seed."""

    run: RunFolder
    rows: list[Row]
    measured: Measured
    judges: dict[str, Any]
    findings: list[Finding]
    rl_logs: dict[int, list[dict[str, Any]]]
    audit: RewardAudit = field(default_factory=RewardAudit)
    opinions: OpinionSummary | None = None

    def to_json(self) -> dict[str, Any]:
        """The object of summary.json and of `truing align --json`."""
        record = self.run.record
        return {
            "run": str(self.run.path),
            "spec_digest": record.get("spec_digest"),
            "model": record.get("model"),
            "finished": record.get("finished"),
            "candidates": _nested(self.measured.values),
            "differences": _nested(self.measured.differences),
            "costs": self.run.part("costs"),
            "judges": self.judges,
            "findings": [finding.text for finding in self.findings],
            **best_of_n_json(self.rows, self.measured.names),
            **({"opinions": self.opinions.to_json()} if self.opinions else {}),
            **({"audit": of_reward} if (of_reward := self.audit.to_json()) else {}),
        }


def _nested(figures: dict[str, dict[Key, Estimate]]) -> dict[str, Any]:
    """{candidate: {evaluation: {metric: estimate}}} as plain JSON."""
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for name, by_key in figures.items():
        result[name] = {}
        for (evaluation, metric), estimate in by_key.items():
            result[name].setdefault(evaluation, {})[metric] = estimate.to_json()
    return result


def resamples_of(run: RunFolder) -> int:
    """How often a run's spec has intervals drawn."""
    part = run.spec().get("evaluation")
    value = part.get("resamples") if isinstance(part, dict) else None
    if value is None:
        return statistics.RESAMPLES
    if not isinstance(value, int) or value < 1:
        raise InputError(
            f"{run.path / 'spec.yaml'}: evaluation.resamples: must be a whole number of at "
            f"least 1, got {value!r}"
        )
    return value


def summarise(run: RunFolder, task: TaskMetrics, labels: Labels | None = None) -> Summary:
    """Read a run's rows and compute all that is reported. Raises InputError on a broken file.

    `task` says what the metrics mean; `labels` are own labels of the run's answers.
    """
    rows = run.rows()
    judges = run.judges()
    measured = measure(rows, run.candidates(rows), task, resamples=resamples_of(run))
    measured = corrected(measured, rows, labels or {})
    rl_logs = run.logs("rl")
    of_reward = audit_of(run, rows, measured, resamples_of(run))
    found = findings(
        measured,
        judges=judges,
        data=run.part("data"),
        finished=bool(run.record.get("finished")),
        rl_logs=rl_logs,
        audit=of_reward,
    )
    opinions = opinions_of_run(rows)
    found += on_refusals(measured, labels or {}) + on_opinions(opinions)
    return Summary(run, rows, measured, judges, found, rl_logs, of_reward, opinions)
