"""Rows of an evaluation in the forms of other programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from truing.evaluate.sweep.exports.inspect_log import write_inspect
from truing.evaluate.sweep.exports.lm_eval import write_lm_eval
from truing.evaluate.sweep.exports.parquet import write_parquet
from truing.evaluate.sweep.result import SweepResult
from truing.types import InputError, did_you_mean

Export = Callable[[SweepResult, Path, datetime], Path]

EXPORTS: dict[str, Export] = {
    "parquet": write_parquet,
    "lm-eval": write_lm_eval,
    "inspect": write_inspect,
}
"""What `--export` can name. Each writes into the evaluation's folder and returns what it wrote."""


def exports(names: Sequence[str]) -> dict[str, Export]:
    """The exports called `names`. Raises InputError for an unknown one."""
    for name in names:
        if name not in EXPORTS:
            hint = did_you_mean(name, EXPORTS)
            raise InputError(f"--export {name}: unknown form; {hint}known: {', '.join(EXPORTS)}")
    return {name: EXPORTS[name] for name in names}


__all__ = ["EXPORTS", "Export", "exports"]
