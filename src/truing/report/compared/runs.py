"""A run as it stands beside others: rows, what they were measured with, settings, costs and logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from truing.report.curves import Log
from truing.report.metrics import DASH
from truing.report.own_labels import Labels
from truing.report.task_metrics import Key, TaskMetrics
from truing.statistics.means import RESAMPLES
from truing.types import Estimate, InputError, Metric, Row

VERSION = "version of Truing"
SCORING = "scoring of given answers"
PRECISION = "precision"
LENGTH = "greatest length of answers"
REWARD_PARTS = "reward"
TASK_JUDGES = "judges of the task"
RULES = "rules of the task"
_OF_EVALUATION = {"answers": TASK_JUDGES, "rules": RULES, "attacks": RULES, "hacking": REWARD_PARTS}


Content = tuple[str, str]
"""Where it is known from what a case asks, and a hash of it: equal for equal cases of one source."""


def judge_instrument(name: str) -> str:
    """What a judge is called among the instruments."""
    return f"judge “{name}”"


def instruments_of(metric: Metric) -> list[str]:
    """What decides a metric's figure beside the candidate and the cases."""
    by_kind = [SCORING] if metric.by_likelihood else [LENGTH]
    own = _OF_EVALUATION.get(metric.evaluation)
    judges = [judge_instrument(name) for name in metric.judges]
    return [VERSION, PRECISION, *by_kind, *judges, *([own] if own else [])]


@dataclass(frozen=True)
class Subject:
    """What stands side by side of an evaluation. `weights` stand for weights and settings, `prompt` for the
    candidate's own prompt and `variant` for the one that it was asked under, which is its `own` or another;
    empty where that isn't known."""

    candidate: str
    weights: str
    prompt: str
    variant: str
    own: bool


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs. `label` is its name on the page, `kind` the command that left it.

    `instruments` are what figures were measured with, by name; what isn't known of a run isn't there.
    `contents` tells, by case, what is asked and known of it; `questions` has it in full, where it was
    kept. `estimates` are figures whose rows weren't kept. `shown_as` has a candidate's own name where it
    is called another here, `labels` own labels of its answers. `subjects` says what an evaluation's
    candidates are, by the name that they have here, `notes` what has to be said of them.
    """

    label: str
    path: Path
    kind: str
    task: TaskMetrics
    task_name: str = ""
    rows: Sequence[Row] = ()
    candidates: tuple[str, ...] = ()
    estimates: Mapping[str, Mapping[Key, Estimate]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    instruments: Mapping[str, Any] = field(default_factory=dict)
    contents: Mapping[str, Content] = field(default_factory=dict)
    questions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    costs: Mapping[str, Any] = field(default_factory=dict)
    logs: Mapping[str, Mapping[int, Log]] = field(default_factory=dict)
    labels: Labels = field(default_factory=dict)
    shown_as: Mapping[str, str] = field(default_factory=dict)
    subjects: Mapping[str, Subject] = field(default_factory=dict)
    notes: Sequence[str] = ()
    resamples: int = RESAMPLES
    finished: bool = True
    made: str = ""
    """What no two runs have in common, a copy aside."""


def labelled(paths: Sequence[Path]) -> list[str]:
    """A short name for each folder: its own, with those above it as far as they are needed to tell them
    apart. Raises InputError where there are fewer than two, or one is named twice."""
    if len(paths) < 2:
        raise InputError("compare: one run is given; give two or more")
    whole = [path.expanduser().resolve() for path in paths]
    for place, path in enumerate(whole):
        if path in whole[:place]:
            raise InputError(f"{paths[place]}: is given twice; give each run once")
    for depth in range(1, max(len(path.parts) for path in whole) + 1):
        names = ["/".join(path.parts[-depth:]).lstrip("/") for path in whole]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in whole]


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with a dot for each level; what is no mapping is a value."""
    result: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            result |= flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return result


@dataclass(frozen=True)
class Absent:
    """Stands for a setting that a run doesn't have."""


ABSENT = Absent()


def written(value: Any) -> str:
    """A setting's value in a cell."""
    if value is ABSENT:
        return DASH
    if isinstance(value, list | tuple):
        return ", ".join(map(written, value)) or "(none)"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {written(of)}" for key, of in value.items()) or "(none)"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def differing(runs: Sequence[ComparedRun]) -> list[tuple[str, list[Any]]]:
    """Settings that aren't the same in all runs, with each run's value, in the order of the first."""
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    values = {key: [run.settings.get(key, ABSENT) for run in runs] for key in keys}
    return [(key, of) for key, of in values.items() if any(value != of[0] for value in of)]


def candidates_of(runs: Iterable[ComparedRun]) -> list[str]:
    """Every candidate of any run: as the first run has them, then those of others."""
    return list(dict.fromkeys(name for run in runs for name in run.candidates))
