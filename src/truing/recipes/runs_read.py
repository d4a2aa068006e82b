"""Folders of runs as `truing compare` sees them: of `truing align`, of `truing eval`, of `truing train`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from truing.evaluate import EVALUATIONS
from truing.files import read_json
from truing.prompts.variants import OWN
from truing.recipes.report import metrics_of, own_labels_of, task_metrics
from truing.report.compared.runs import (
    LENGTH,
    PRECISION,
    REWARD_PARTS,
    RULES,
    SCORING,
    TASK_JUDGES,
    VERSION,
    ComparedRun,
    Content,
    Subject,
    flat,
    judge_instrument,
)
from truing.report.summary import resamples_of
from truing.report.task_metrics import Key, TaskMetrics
from truing.report.training.held_out import (
    HELD_OUT_METRICS,
    HELD_OUT_TITLES,
    REWARD_MODEL,
    estimate_of,
    estimates_of,
    metric_of,
)
from truing.runs.entries import is_file
from truing.runs.folder import RECORD, RunFolder
from truing.runs.kinds import EVAL, REWARD_RECORD, EvalFolder, kind_of
from truing.spec.reading import make_spec
from truing.types import Estimate, InputError, Metric, Row, Unit, stable_hash

_FACTS = ("weights_hash", "precision", "device")
"""Of a run's identity, what its settings don't say."""


def read_run(path: Path, label: str) -> ComparedRun:
    """A run as it is so far. Raises InputError where it can't be compared, or a file in it is broken."""
    kind = kind_of(path)
    if kind == EVAL:
        return _evaluated(path, label)
    return _run(path, label) if is_file(path / RECORD) else _reward_model(path, label)


def _section(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object in a spec or record; empty where there is none."""
    value = of.get(name)
    return value if isinstance(value, dict) else {}


# --- Of `truing align` and `truing train` ------------------------------------------------------


def _run(path: Path, label: str) -> ComparedRun:
    run = RunFolder.open(path)
    task, rows = metrics_of(run), [*run.rows(), *run.held_out()]
    estimates = estimates_of(run, rows)
    task = replace(
        task,
        metrics=(*task.metrics, *HELD_OUT_METRICS, *_named(estimates)),
        titles={**task.titles, **HELD_OUT_TITLES},
    )
    spec, identity = run.spec(), run.part("identity")
    facts = {name: identity[name] for name in _FACTS if identity.get(name)}
    names, questions = run.candidates(rows), run.questions()
    return ComparedRun(
        label,
        path,
        str(identity.get("kind", "align")),
        task,
        task_name=str(_section(spec, "task").get("name", "")),
        rows=rows,
        candidates=tuple(dict.fromkeys([*names, *estimates])),
        estimates=estimates,
        settings={**_truing(run), **flat(spec), **facts},
        instruments=_instruments(run, spec, identity),
        contents={case: _content(entry) for case, entry in questions.items()},
        questions=questions,
        costs=run.part("costs"),
        logs=run.step_logs(),
        labels=own_labels_of(path),
        resamples=resamples_of(run),
        finished=bool(run.record.get("finished")),
        made=f"{run.record.get('created')} {run.record.get('spec_digest')} {run.record.get('finished')}",
    )


def _named(estimates: Mapping[str, Mapping[Key, Estimate]]) -> list[Metric]:
    """The metrics of figures that go by names of their own."""
    declared = {(metric.evaluation, metric.name) for metric in HELD_OUT_METRICS}
    keys = dict.fromkeys(key for of in estimates.values() for key in of if key not in declared)
    return [metric_of(key) for key in keys]


def _truing(run: RunFolder) -> dict[str, Any]:
    return {"truing": version} if (version := run.record.get("truing")) else {}


def _instruments(
    run: RunFolder, spec: Mapping[str, Any], identity: Mapping[str, Any]
) -> dict[str, Any]:
    """What its figures were measured with."""
    task, evaluation = _section(spec, "task"), _section(spec, "evaluation")
    judge = dict(_section(spec, "judge"))
    # That of training, then that of evaluation; the spec has the latter alone.
    precision = str(identity.get("precision") or evaluation.get("dtype") or "").split(" ")
    return {
        VERSION: run.record.get("truing"),
        PRECISION: precision[1] if len(precision) > 1 else precision[0],
        LENGTH: evaluation.get("max_new_tokens"),
        REWARD_PARTS: [spec.get("reward"), task.get("reward"), identity.get("functions_hash")],
        TASK_JUDGES: [task.get("judges"), identity.get("task_hash")],
        RULES: [task.get("rules"), task.get("contexts"), task.get("pairs")],
        **{
            judge_instrument(name): [judge, _apart_from_use(of)]
            for name, of in run.judges().items()
        },
    }


_OF_USE = (
    "replies", "tokens_sent", "tokens_back", "seconds", "price", "currency", "order_changed", "unread",
    "warning",
)  # fmt: skip
"""What a run notes of a judge behind an endpoint that says how it was used there, not which judge it is."""


def _apart_from_use(judge: Any) -> Any:
    if not isinstance(judge, dict):
        return judge
    return {name: value for name, value in judge.items() if name not in _OF_USE}


def _content(entry: Mapping[str, Any]) -> Content:
    """Equal for cases that ask the same and know the same of good answers."""
    kept = {
        key: value for key, value in entry.items() if key not in ("split", "source", "category")
    }
    return "questions", stable_hash(repr(sorted(kept.items())))


# --- Of `truing eval` --------------------------------------------------------------------------


def _evaluated(path: Path, label: str) -> ComparedRun:
    folder = EvalFolder.open(path)
    document, settings = folder.document, folder.part("settings")
    task = _task_of(settings.get("task"), {row.evaluation for _, row in folder.rows})
    rows = [replace(row, candidate=_subject(row.candidate, prompt)) for prompt, row in folder.rows]
    known = {key: document[key] for key in _RECORDED if document.get(key) is not None}
    questions = {
        f"questions.{name}": f"{of.get('n')} from {of.get('file')} ({of.get('hash')})"
        for name, of in folder.part("questions").items()
        if isinstance(of, dict)
    }
    return ComparedRun(
        label,
        path,
        EVAL,
        task,
        task_name=str(settings.get("task") or ""),
        rows=rows,
        candidates=tuple(dict.fromkeys(row.candidate for row in rows)),
        settings={**flat(settings), **known, **questions},
        instruments=_eval_instruments(document, settings),
        contents={row.case: _asked(row) for row in rows},
        subjects=_subjects(folder),
        costs={"total": {"wall_seconds": document.get("seconds")}},
        made=f"{document.get('begun')} {document.get('digest')}",
    )


_RECORDED = ("form", "dtype", "computed_in", "seed", "limit", "scoring_version")


def _subject(candidate: str, prompt: str) -> str:
    """What stands side by side: a candidate, under a prompt where that isn't its own."""
    return candidate if prompt in (OWN, "") else f"{candidate}, {prompt}"


def _subjects(folder: EvalFolder) -> dict[str, Subject]:
    models, prompts = folder.part("models"), folder.part("prompts")
    return {
        _subject(row.candidate, prompt): Subject(
            row.candidate,
            weights if _HASH.fullmatch(weights := str(about.get("weights"))) else "",
            str(about.get("prompt", "")),
            str(prompts.get(prompt, "")),
            prompt in (OWN, ""),
        )
        for prompt, row in folder.rows
        if (about := _section(models, row.candidate))
    }


_HASH = re.compile("[0-9a-f]{64}")


def _asked(row: Row) -> Content:
    """What is kept of a case in its row."""
    detail = row.detail
    return "rows", stable_hash(
        *(str(detail.get(key, "")) for key in ("question", "system", "canary"))
    )


def _eval_instruments(document: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    judges = _section(_section(document, "free"), "agreement")
    known = {
        VERSION: document.get("truing"),
        SCORING: [document.get("scoring_version"), document.get("form")],
        PRECISION: document.get("computed_in"),
        LENGTH: settings.get("max_new_tokens"),
        **{judge_instrument(name): of for name, of in judges.items()},
    }
    return {name: value for name, value in known.items() if value is not None}


def _task_of(name: Any, evaluations: set[str]) -> TaskMetrics:
    """What figures mean: those of the task that was named, while it can be read, and of what was measured
    without one."""
    try:
        task = make_spec({"task": name} if isinstance(name, str) else {}).task
    except InputError:
        task = make_spec({}).task
    metrics = task_metrics(task)
    headline = [key for key in metrics.headline if key[0] in evaluations]
    first = [
        (n, m) for n in sorted(evaluations & EVALUATIONS.keys()) for m in EVALUATIONS[n].headline
    ]
    return replace(metrics, headline=tuple(headline or first))


# --- Of `truing train reward`, from judgements -------------------------------------------------


def _reward_model(path: Path, label: str) -> ComparedRun:
    record = read_json(path / REWARD_RECORD)
    document = record.get("document")
    if not record.get("finished") or not isinstance(document, dict):
        raise InputError(f"{path}: this training isn't finished; --resume goes on with it")
    held_out = _section(document, "held_out")
    figures = {
        (side, name): estimate
        for side in held_out
        for name in _SHOWN
        if (estimate := estimate_of(_section(held_out, side).get(name)))
    }
    metrics = [Metric(side, name, *_SHOWN[name], "") for side, name in figures]
    titles = {side: f"Held-out judgements of {side}" for side, _ in figures}
    return ComparedRun(
        label,
        path,
        "train reward",
        TaskMetrics(tuple(metrics), titles, headline=tuple(figures)[:1]),
        candidates=(REWARD_MODEL,),
        estimates={REWARD_MODEL: figures} if figures else {},
        settings=flat(RunFolder(path, {}).spec()),
        costs=_section(document, "costs"),
        made=f"{record.get('digest')} {document.get('costs')}",
    )


_SHOWN: dict[str, tuple[str, Literal[-1, 0, 1], Unit]] = {
    "accuracy": ("Accuracy", 1, "share"),
    "calibration_error": ("Calibration error", -1, "share"),
    "gain": ("Nats over nothing", 1, "nats/token"),
}
