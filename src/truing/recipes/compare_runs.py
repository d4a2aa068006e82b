"""`truing compare RUN RUN ...`: runs side by side, read from their folders alone.

from truing.recipes.compare_runs import compare_runs
compare_runs([Path("runs/a"), Path("runs/b")]).write(Path("compare.html"))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from truing.files import is_disk_full, read_text, write_text_atomically
from truing.recipes.runs_read import read_run
from truing.recipes.same_candidates import matched
from truing.report.compared.differences import RunComparison
from truing.report.compared.document import document
from truing.report.compared.page import KICKER, page
from truing.report.compared.runs import ComparedRun, labelled
from truing.report.html import framed
from truing.types import InputError

ONLY_ONE = "the candidate"
"""What the lone candidates of runs are called together, where their names differ."""


@dataclass(frozen=True)
class ComparedRuns:
    """Runs side by side."""

    comparison: RunComparison

    def to_json(self) -> dict[str, Any]:
        """The document of `truing compare --json`."""
        return document(self.comparison)

    def write(self, out: Path) -> None:
        """Writes the page. Raises InputError where something else is there, which is left alone, or where
        it can't be written."""
        check_out(out)
        try:
            write_text_atomically(out, page(self.comparison))
        except OSError as error:
            if is_disk_full(error):
                raise
            raise InputError(
                f"--out {out}: can't be written ({error.strerror}); give a file where you may write"
            ) from None

    def _repr_html_(self) -> str:
        """In a notebook, the page in a frame of its own."""
        return framed(page(self.comparison))


def compare_runs(paths: Sequence[Path]) -> ComparedRuns:
    """Lays runs of `truing align`, `eval` or `train` side by side; the first is what others differ from.

    Raises InputError where there are fewer than two, one is given twice or can't be read, or they have
    nothing in common that could be compared.
    """
    labels = labelled(paths)
    runs = [read_run(path, label) for path, label in zip(paths, labels, strict=True)]
    comparison = RunComparison(tuple(_side_by_side(matched(runs))))
    if not comparison.candidates and not comparison.learned:
        raise InputError(_nothing(comparison.runs))
    return ComparedRuns(comparison)


def _side_by_side(runs: Sequence[ComparedRun]) -> list[ComparedRun]:
    """Lone candidates of evaluations stand next to each other, whatever they are called."""
    lone = [run.candidates[0] if len(run.candidates) == 1 else "" for run in runs]
    if not all(lone) or len(set(lone)) == 1 or any(run.logs for run in runs):
        return list(runs)
    return [_renamed(run, name) for run, name in zip(runs, lone, strict=True)]


def _renamed(run: ComparedRun, name: str) -> ComparedRun:
    return replace(
        run,
        candidates=(ONLY_ONE,),
        rows=[replace(row, candidate=ONLY_ONE) for row in run.rows],
        estimates={ONLY_ONE: next(iter(run.estimates.values()), {})},
        shown_as={ONLY_ONE: name},
    )


def _nothing(runs: Sequence[ComparedRun]) -> str:
    """Why runs have nothing to compare, in one line."""
    for run in runs:
        if not run.rows and not run.estimates and not run.logs:
            return f"{run.path}: has no figures yet; finish it with the command that began it"
    about = ", ".join(f"{run.path} ({_about(run)})" for run in runs)
    return f"{about}: no two have a candidate with an evaluation in common; give runs alike"


def _about(run: ComparedRun) -> str:
    task = f", task {run.task_name}" if run.task_name else ""
    names = ", ".join(run.candidates)
    return f"truing {run.kind}{task}, of {names}"


def check_out(out: Path) -> None:
    """Raises InputError where a page can't be written, or would take the place of something else."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {out}: must end in .html, as a page does")
    if out.is_dir():
        raise InputError(
            f"--out {out}: is a folder; give a file in it, such as {out / 'compare.html'}"
        )
    if not out.exists():
        return
    if KICKER not in read_text(out):
        raise InputError(
            f"--out {out}: is there already and no page of `truing compare`; give another"
        )
