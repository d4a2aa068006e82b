"""The folder of one `truing eval`: results.json, rows.jsonl, rows.csv, report.html, and exports."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from truing.evaluate.sweep.exports import exports
from truing.evaluate.sweep.page import page
from truing.evaluate.sweep.request import SweepSpec
from truing.evaluate.sweep.result import SweepResult
from truing.evaluate.sweep.shown import metrics_in
from truing.files import (
    read_json,
    write_json_atomically,
    write_jsonl_atomically,
    write_text_atomically,
)
from truing.runs.entries import remove_left_behind
from truing.runs.kinds import EVAL_ROWS, RESULTS
from truing.runs.run import RUNS, own_folder
from truing.terminal import harmless
from truing.types import InputError, Row, Unscored, stable_hash
from truing.version import __version__

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # the wide ones in East Asian versions
COLUMNS = ("candidate", "evaluation", "prompt", "case", "category", "question")


def _digest(spec: SweepSpec) -> str:
    settings = asdict(spec)
    for later in (
        "base",
        "task",
        "refusals",
        "outcome_labels",
        "survey",
        "scales",
        "read",
        "orders",
        "steer",
        "outcome_judge",
        "rubrics",
        "prices",
        "judge_key_variable",
    ):  # so that what was begun before there were these goes on
        if settings[later] is None:
            del settings[later]
    return stable_hash("eval", *(f"{name}={value}" for name, value in settings.items()))


def _settings(spec: SweepSpec) -> dict[str, Any]:
    """What was asked for, for the record; what wasn't asked for isn't there."""
    wanted = {name: value for name, value in asdict(spec).items() if value not in (None, ())}
    return {name: _plain(value) for name, value in wanted.items()}


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def sweep_folder(spec: SweepSpec, out: Path | None) -> Path:
    """The folder of an evaluation, marked as its own. Raises InputError where something else is in it."""
    digest = _digest(spec)
    folder = own_folder(out or RUNS / f"eval-{digest[:8]}", RESULTS, digest)
    remove_left_behind(folder)
    if not (folder / RESULTS).exists():  # whose folder this is, before any time is spent
        write_json_atomically(
            folder / RESULTS, {"digest": digest, "finished": False, "begun": _now()}
        )
    return folder


@contextmanager
def opened_folder(spec: SweepSpec, out: Path | None) -> Iterator[Path]:
    """`sweep_folder`, of which nothing is left where an InputError ends what had just begun it."""
    before = ((out or RUNS / f"eval-{_digest(spec)[:8]}") / RESULTS).exists()
    folder = sweep_folder(spec, out)
    try:
        yield folder
    except InputError:
        if not before:
            (folder / RESULTS).unlink(missing_ok=True)
            with suppress(OSError):  # of what isn't empty
                folder.rmdir()
        raise


def write_sweep(result: SweepResult, folder: Path, command: str, forms: Sequence[str] = ()) -> Path:
    """Writes everything into the folder, and the rows in the `forms` asked for; returns the page's path.

    Exports bear the time when the folder was begun: written again, they replace themselves.
    """
    begun = str(read_json(folder / RESULTS).get("begun") or _now())
    write_jsonl_atomically(folder / EVAL_ROWS, list(result.rows_json()))
    write_text_atomically(folder / "rows.csv", _csv(result))
    for write in exports(forms).values():
        write(result, folder, datetime.fromisoformat(begun))
    report = folder / "report.html"
    write_text_atomically(report, page(result, command))
    document = {
        "digest": _digest(result.spec),
        "finished": True,
        "begun": begun,
        "truing": __version__,
        "settings": _settings(result.spec),
        **result.to_json(),
    }
    write_json_atomically(folder / RESULTS, document)
    return report


def _csv(result: SweepResult) -> str:
    metrics = metrics_in(result.lines)
    answer = ("answer",) if any("answer" in row.detail for _, row in result.rows) else ()
    lines = [_line((*COLUMNS, *metrics, *answer, "unscored"))]
    lines += [_line(_cells(prompt, row, metrics, answer)) for prompt, row in result.rows]
    return "".join(lines)


def _line(cells: Iterable[object]) -> str:
    """One row. Before Python 3.13 the writer leaves a lone CR unquoted unless its own lines end in one."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(map(_inert, cells))
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cells(
    prompt: str, row: Row, metrics: Sequence[str], details: Sequence[str]
) -> Iterator[object]:
    yield from (row.candidate, row.evaluation, prompt, row.case, row.category)
    yield row.detail["question"]
    reasons = []
    for name in metrics:
        score = row.metrics.get(name, "")  # another evaluation's
        if isinstance(score, Unscored):
            reasons.append(score.reason)
        yield "" if isinstance(score, Unscored) else score
    yield from (row.detail.get(name) for name in details)
    yield "; ".join(dict.fromkeys(reasons))


def _inert(cell: object) -> object:
    """A cell that acts on nothing: no terminal obeys it, and no spreadsheet takes it for a formula.

    Text that begins like a formula gets an apostrophe before it; numbers are left alone. rows.jsonl has
    all texts as they were.
    """
    if not isinstance(cell, str):
        return cell
    return f"'{harmless(cell)}" if cell.startswith(_FORMULA) else harmless(cell)
