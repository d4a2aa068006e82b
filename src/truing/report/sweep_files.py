"""The folder of one `truing eval`: results.json, rows.jsonl, rows.csv and report.html."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from truing.evaluate.judged import JUDGED
from truing.evaluate.sweep import METRICS, SweepResult, SweepSpec
from truing.files import write_json_atomically, write_jsonl_atomically, write_text_atomically
from truing.report.sweep import page
from truing.runs import own_folder
from truing.types import Row, Unscored, stable_hash

RUNS = Path("runs")
RESULTS = "results.json"
ABOUT = ("candidate", "evaluation", "prompt", "case", "category", "question")


def _digest(spec: SweepSpec) -> str:
    return stable_hash("eval", *(f"{name}={value}" for name, value in asdict(spec).items()))


def sweep_folder(spec: SweepSpec, out: Path | None) -> Path:
    """The folder of an evaluation, marked as its own. Raises InputError where something else is in it."""
    digest = _digest(spec)
    folder = own_folder(out or RUNS / f"eval-{digest[:8]}", RESULTS, digest)
    if not (folder / RESULTS).exists():  # whose folder this is, before any time is spent
        write_json_atomically(folder / RESULTS, {"digest": digest, "finished": False})
    return folder


def write_sweep(result: SweepResult, folder: Path, command: str) -> Path:
    """Writes everything into the folder; returns the page's path."""
    write_jsonl_atomically(folder / "rows.jsonl", list(result.rows_json()))
    write_text_atomically(folder / "rows.csv", _csv(result))
    report = folder / "report.html"
    write_text_atomically(report, page(result, command))
    document = {"digest": _digest(result.spec), "finished": True, **result.to_json()}
    write_json_atomically(folder / RESULTS, document)
    return report


def _csv(result: SweepResult) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    metrics = METRICS + (JUDGED if result.spec.free else ())
    answer = ("answer",) if result.spec.free else ()
    writer.writerow((*ABOUT, *metrics, *answer, "unscored"))
    for prompt, row in result.rows:
        writer.writerow(_cells(prompt, row, metrics, answer))
    return text.getvalue()


def _cells(
    prompt: str, row: Row, metrics: Sequence[str], details: Sequence[str]
) -> Iterator[object]:
    yield from (row.candidate, row.evaluation, prompt, row.case, row.category)
    yield row.detail["question"]
    reasons = []
    for name in metrics:
        score = row.metrics.get(name, "")  # control questions aren't answered freely
        if isinstance(score, Unscored):
            reasons.append(score.reason)
        yield "" if isinstance(score, Unscored) else score
    yield from (row.detail.get(name) for name in details)
    yield "; ".join(dict.fromkeys(reasons))
