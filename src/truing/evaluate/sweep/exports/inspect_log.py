"""inspect_ai's form: a JSON evaluation log (format version 2) for each candidate, evaluation and prompt.

Written by hand, without the package: its own `read_eval_log` reads them. A metric is a scorer of its own;
a question without a score has none under it, and the reason in its metadata. The chosen answer stands
where a model's output would.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from truing.evaluate.sweep.exports.entries import Entry, Run, file_name, runs, standard_error
from truing.evaluate.sweep.result import SweepResult
from truing.files import write_json_atomically
from truing.types import stable_hash
from truing.version import __version__


def write_inspect(result: SweepResult, folder: Path, begun: datetime) -> Path:
    """Writes `inspect/DATE_EVALUATION_PROMPT_ID.json` for each line; returns `inspect`."""
    top = folder / "inspect"
    date = begun.isoformat(timespec="seconds").replace(":", "-")
    for run in runs(result):
        line = run.line
        identifier = stable_hash("inspect", line.candidate, line.evaluation, line.prompt)[:22]
        name = f"{date}_{line.evaluation}_{file_name(line.prompt)}_{identifier}.json"
        write_json_atomically(top / name, _log(result, run, identifier, begun))
    return top


def _log(result: SweepResult, run: Run, identifier: str, begun: datetime) -> dict[str, Any]:
    started = begun.astimezone(UTC).isoformat()
    ended = (begun.astimezone(UTC) + timedelta(seconds=result.seconds)).isoformat()
    return {
        "version": 2,
        "status": "success",
        "eval": _spec(result, run, identifier, started),
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": {
            "total_samples": len(run.entries),
            "completed_samples": len(run.entries),
            "scores": _scores(run),
        },
        "stats": {"started_at": started, "completed_at": ended, "model_usage": {}},
        "samples": [_sample(entry, run) for entry in run.entries],
    }


def _spec(result: SweepResult, run: Run, identifier: str, started: str) -> dict[str, Any]:
    spec, line = result.spec, run.line
    return {
        "eval_id": identifier,
        "run_id": identifier,
        "created": started,
        "task": line.evaluation,
        "task_id": identifier,
        "task_version": 0,
        "task_args": {"prompt": line.prompt, "form": spec.form, "questions": run.source},
        "dataset": {
            "name": run.source,
            "samples": len(run.entries),
            "sample_ids": [entry.case.id for entry in run.entries],
            "shuffled": False,
        },
        "model": f"truing/{line.candidate}",
        "model_args": {"dtype": spec.dtype, "weights": run.about["weights"]},
        "config": {} if spec.limit is None else {"limit": spec.limit},
        "packages": {"truing": __version__},
        "metadata": {"parameters": run.about["parameters"], "seed": spec.seed},
    }


def _scores(run: Run) -> list[dict[str, Any]]:
    scores = []
    for metric, estimate in run.line.metrics.items():
        values = [entry.metrics[metric] for entry in run.entries if metric in entry.metrics]
        figures = {"mean": estimate.value, "stderr": standard_error(values)}
        scores.append(
            {
                "name": metric,
                "scorer": metric,
                "scored_samples": len(values),
                "unscored_samples": len(run.entries) - len(values),
                "params": {},
                "metrics": {
                    name: {"name": name, "value": value, "params": {}}
                    for name, value in figures.items()
                    if value is not None
                },
            }
        )
    return scores


def _sample(entry: Entry, run: Run) -> dict[str, Any]:
    answer = entry.written if entry.written is not None else _likeliest(entry)
    chosen = {
        "message": {"role": "assistant", "content": answer or ""},
        "stop_reason": "stop" if answer is not None else "unknown",
    }
    return {
        "id": entry.case.id,
        "epoch": 1,
        "input": entry.text,
        "choices": entry.answers,
        "target": list(entry.case.correct_answers),
        "messages": [],
        "output": {
            "model": f"truing/{run.line.candidate}",
            "choices": [chosen],
            "completion": answer or "",
        },
        "scores": {
            metric: {"value": value, "answer": answer} for metric, value in entry.metrics.items()
        },
        "metadata": {
            "question": entry.case.prompt,
            "category": entry.case.category,
            "source": entry.case.source,
            "log_likelihoods": entry.log_likelihoods,
            "unscored": entry.unscored,
        },
    }


def _likeliest(entry: Entry) -> str | None:
    """The answer with the highest likelihood, the first of equals."""
    scores: Sequence[float | None] = entry.log_likelihoods
    known = [(score, -place) for place, score in enumerate(scores) if score is not None]
    return entry.answers[-max(known)[1]] if known else None
