"""Which command left a folder, by the files that its run begins with; and what `truing eval` left, read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.files import numbered_jsonl, read_json
from truing.runs.entries import is_file
from truing.runs.folder import RECORD, row_of
from truing.types import InputError, Row

RESULTS = "results.json"
EVAL_ROWS = "rows.jsonl"
ALIGN, EVAL = "align", "eval"
_HINT = "give a folder that `truing align`, `truing eval` or `truing train` left"
_OTHERS = {
    "judge_training.json": "a judge",
    "grid.json": "a run of the grid world",
    "plan.json": "a study of oversight",
    "candidate.json": "a candidate; give the run's folder that it lies in",
}
"""Folders of other kinds by a file in each, and what to say of them."""


def kind_of(folder: Path) -> str:
    """`align`, `eval` or `train KIND`. Raises InputError where the folder is none of these."""
    if not folder.exists():
        raise InputError(f"{folder}: no such folder; {_HINT}")
    if not folder.is_dir():
        raise InputError(f"{folder}: a file, not a run's folder; {_HINT}")
    if is_file(folder / RECORD):
        identity = read_json(folder / RECORD).get("identity")
        kind = identity.get("kind", ALIGN) if isinstance(identity, dict) else ALIGN
        return kind if isinstance(kind, str) else ALIGN
    if is_file(folder / RESULTS):
        return EVAL
    if is_file(folder / REWARD_RECORD):
        return "train reward"
    what = next((text for name, text in _OTHERS.items() if is_file(folder / name)), "")
    raise InputError(
        f"{folder}: {what or f'not a run (it has neither {RECORD} nor {RESULTS})'}; {_HINT}"
    )


REWARD_RECORD = "reward_training.json"
"""The first file of a reward model that was trained on judgements."""


@dataclass(frozen=True)
class EvalFolder:
    """The read side of `truing eval`: its document, and each row with the prompt it was asked under."""

    path: Path
    document: dict[str, Any]
    rows: list[tuple[str, Row]]

    @classmethod
    def open(cls, path: Path) -> EvalFolder:
        """Raises InputError where it isn't finished, or a file in it is broken."""
        document = read_json(path / RESULTS)
        if not document.get("finished"):
            raise InputError(
                f"{path}: this evaluation isn't finished; the same `truing eval` command goes on with it"
            )
        rows = []
        for number, record in numbered_jsonl(path / EVAL_ROWS):
            prompt = record.pop("prompt", "")
            if not isinstance(prompt, str):
                raise InputError(f"{path / EVAL_ROWS}:{number}: prompt: must be text")
            rows.append((prompt, row_of(record, f"{path / EVAL_ROWS}:{number}")))
        return cls(path, document, rows)

    def part(self, name: str) -> Mapping[str, Any]:
        """An object in the document, empty where there is none."""
        value = self.document.get(name)
        return value if isinstance(value, dict) else {}
