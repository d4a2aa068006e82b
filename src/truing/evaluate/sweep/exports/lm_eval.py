"""lm-evaluation-harness's form: `results_DATE.json` and `samples_TASK_DATE.jsonl` for each model.

As version 0.4.13 writes them (`loggers/evaluation_tracker.py`), an output folder for each prompt with a
folder for each model. A task is one of our evaluations with its metrics; where a question has no score,
the metric is left out of its sample, as the harness does. We don't know whether an answer is what greedy
decoding gives, so the second part of a response is "None".
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from truing.evaluate.sweep.exports.entries import (
    Entry,
    Run,
    file_name,
    own_file_name,
    runs,
    standard_error,
)
from truing.evaluate.sweep.result import SweepResult
from truing.evaluate.sweep.shown import metric_in
from truing.files import write_json_atomically, write_jsonl_atomically

FILTER = "none"


def write_lm_eval(result: SweepResult, folder: Path, begun: datetime) -> Path:
    """Writes `lm-eval/PROMPT/MODEL/`; returns `lm-eval`."""
    date = begun.isoformat().replace(":", "-")
    top = folder / "lm-eval"
    places: dict[Path, list[Run]] = {}
    for run in runs(result):
        place = top / own_file_name(run.line.prompt) / file_name(run.line.candidate)
        places.setdefault(place, []).append(run)
    for place, model_runs in places.items():
        hashes = {}
        for run in model_runs:
            samples = [_sample(place, entry) for place, entry in enumerate(run.entries)]
            task = run.line.evaluation
            write_jsonl_atomically(place / f"samples_{task}_{date}.jsonl", list(samples))
            hashes[task] = _hash(
                "".join(s["doc_hash"] + s["prompt_hash"] + s["target_hash"] for s in samples)
            )
        write_json_atomically(
            place / f"results_{date}.json", _results(result, model_runs, hashes, begun)
        )
    return top


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _sample(number: int, entry: Entry) -> dict[str, Any]:
    case = entry.case
    doc = {
        "id": case.id,
        "question": case.prompt,
        "correct_answers": list(case.correct_answers),
        "incorrect_answers": list(case.incorrect_answers),
        "category": case.category,
        "source": case.source,
    }
    context = entry.context
    delimiter = context.closing + context.delimiter if context else ""
    choices = entry.answers if entry.log_likelihoods else []
    pairs = [{"arg_0": entry.text, "arg_1": delimiter + answer} for answer in choices]
    answered = [[str(score), "None"] for score in entry.log_likelihoods]
    if entry.written is not None:
        pairs.append({"arg_0": entry.text, "arg_1": "{}"})
        answered.append([entry.written])
    return {
        "doc_id": number,
        "doc": doc,
        "target": "0",  # the best true answer is the first choice
        "arguments": {f"gen_args_{place}": pair for place, pair in enumerate(pairs)},
        "resps": [[response] for response in answered],
        "filtered_resps": answered,
        "filter": FILTER,
        "metrics": list(entry.metrics),
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _hash(entry.text),
        "target_hash": _hash("0"),
        **entry.metrics,
    }


def _results(
    result: SweepResult, runs: list[Run], hashes: dict[str, str], begun: datetime
) -> dict[str, Any]:
    first = runs[0]
    name, about, spec = first.line.candidate, first.about, result.spec
    started = begun.timestamp()
    return {
        "results": {run.line.evaluation: _figures(run) for run in runs},
        "group_subtasks": {},
        "configs": {run.line.evaluation: _config(run) for run in runs},
        "versions": {run.line.evaluation: 0 for run in runs},
        "n-shot": {run.line.evaluation: 0 for run in runs},
        "higher_is_better": {
            run.line.evaluation: {m: _higher(run, m) for m in run.line.metrics} for run in runs
        },
        "n-samples": {
            run.line.evaluation: {"original": len(run.entries), "effective": len(run.entries)}
            for run in runs
        },
        "config": {
            "model": "truing",
            "model_args": {
                "pretrained": name,
                "dtype": spec.dtype,
                "prompt": first.line.prompt,
                "form": spec.form,
            },
            "model_num_parameters": about["parameters"],
            "model_dtype": spec.dtype,
            "model_sha": about["weights"],
            "limit": spec.limit,
            "random_seed": spec.seed,
        },
        "git_hash": None,
        "date": started,
        "task_hashes": hashes,
        "model_source": "truing",
        "model_name": name,
        "model_name_sanitized": file_name(name),
        "system_instruction": None,
        "start_time": started,
        "end_time": started + result.seconds,
        "total_evaluation_time_seconds": str(result.seconds),
    }


def _config(run: Run) -> dict[str, Any]:
    return {
        "task": run.line.evaluation,
        "dataset_path": run.source,
        "output_type": "multiple_choice" if "mc1" in run.line.metrics else "generate_until",
        "num_fewshot": 0,
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": _higher(run, metric)}
            for metric in run.line.metrics
        ],
        "metadata": {"prompt": run.line.prompt},
    }


def _higher(run: Run, metric: str) -> bool:
    return metric_in(run.line.evaluation, metric).better >= 0


def _figures(run: Run) -> dict[str, Any]:
    figures: dict[str, Any] = {"alias": run.line.evaluation}
    for metric, estimate in run.line.metrics.items():
        values = [e.metrics[metric] for e in run.entries if metric in e.metrics]
        error = standard_error(values)
        figures[f"{metric},{FILTER}"] = "N/A" if estimate.value is None else estimate.value
        figures[f"{metric}_stderr,{FILTER}"] = "N/A" if error is None else error
    return figures
