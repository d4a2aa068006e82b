"""`rows.parquet`: a row for each candidate, prompt and question, for pandas, DuckDB and the like."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from truing.evaluate.sweep.exports.entries import Entry, runs
from truing.evaluate.sweep.result import SweepResult
from truing.evaluate.sweep.shown import metrics_in
from truing.files import write_file_atomically

_TEXT, _FIGURE = pa.string(), pa.float64()
_NUMBERS, _TEXTS = pa.list_(_FIGURE), pa.list_(_TEXT)


def write_parquet(result: SweepResult, folder: Path, begun: datetime) -> Path:
    """Writes the table atomically. An undefined score is null, with its reason under `unscored`.

    The schema's metadata has, under `truing`, the JSON document that `--json` prints.
    """
    metrics = metrics_in(result.lines)
    schema = pa.schema(
        [
            *((name, _TEXT) for name in ("candidate", "evaluation", "prompt", "case")),
            ("seed", pa.int64()),
            *((name, _TEXT) for name in ("category", "source", "question", "context")),
            *((metric, _FIGURE) for metric in metrics),
            ("unscored", _TEXT),
            ("correct_answers", _TEXTS),
            ("incorrect_answers", _TEXTS),
            ("true_log_likelihoods", _NUMBERS),
            ("false_log_likelihoods", _NUMBERS),
            ("answer", _TEXT),
        ],
        metadata={"truing": json.dumps(result.to_json(), allow_nan=False)},
    )
    rows = [
        {"prompt": run.line.prompt, **_row(entry, metrics)}
        for run in runs(result)
        for entry in run.entries
    ]
    path = folder / "rows.parquet"
    table = pa.Table.from_pylist(rows, schema=schema)
    write_file_atomically(path, lambda file: pq.write_table(table, file))
    return path


def _row(entry: Entry, metrics: tuple[str, ...]) -> dict[str, Any]:
    row, case = entry.row, entry.case
    scores = entry.row.detail.get("log_likelihoods") or {}
    return {
        "candidate": row.candidate,
        "evaluation": row.evaluation,
        "case": row.case,
        "seed": row.seed,
        "category": row.category,
        "source": case.source,
        "question": case.prompt,
        "context": None if entry.context is None else entry.context.text,
        **{metric: entry.metrics.get(metric) for metric in metrics},
        "unscored": "; ".join(dict.fromkeys(entry.unscored.values())) or None,
        "correct_answers": list(case.correct_answers),
        "incorrect_answers": list(case.incorrect_answers),
        "true_log_likelihoods": scores.get("true"),
        "false_log_likelihoods": scores.get("false"),
        "answer": entry.written,
    }
