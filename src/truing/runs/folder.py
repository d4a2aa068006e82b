"""The run folder: how it is written without ever being half-written, and how it is read back.

A run folder is the only hand-over between the main job and its report. Nothing here needs a model.
"""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.files import (
    numbered_jsonl,
    read_json,
    read_text,
    write_json_atomically,
    write_jsonl_atomically,
)
from truing.runs.entries import entries, is_file
from truing.spec.renamed import up_to_date
from truing.spec.yaml_text import yaml_value
from truing.types import InputError, Row, Unscored

_SEEDED = re.compile(r"(?P<name>.+)-seed(?P<seed>\d+)\.jsonl")
_SPLITS = {"train", "held_out", "control", "prompt"}

RECORD = "run.json"
JUDGES = "judges.json"
LABELS = "labels.db"
"""Own labels of the run's answers."""
LOOKS = "looks"
"""The folder, and the evaluation in its rows, of what a training's monitor saw."""
DRAWS = "draws"
"""The same of several answers of the base to each held-out case."""
HELD_OUT = "held_out"
"""The same of what a training was measured on that it hadn't learned from."""
_TEXTS = ("truing", "spec_digest", "created", "finished", "profile", "command")
_OBJECTS = ("identity", "machine", "methods", "model", "data", "prompts", "reward_model", "costs")


def candidate_folder(run: Path, name: str, seed: int, first: int) -> Path:
    """`candidates/NAME` for a run's first seed, `candidates/NAME-seedN` for the others."""
    return run / "candidates" / (name if seed == first else f"{name}-seed{seed}")


def unwritable(folder: Path, reason: str | None) -> InputError:
    """What to say of a folder that a run can't be written to."""
    return InputError(
        f"{folder}: can't be written ({reason or 'no reason given'}); "
        "give a folder that you may write to for --out"
    )


def _left_behind(name: str, record: str) -> bool:
    """Whether a process killed at its very beginning leaves a file of this name."""
    return name == ".lock" or (name.startswith(f".{record}.") and name.endswith(".tmp"))


def check_folder(folder: Path, record: str = RECORD) -> None:
    """Raises InputError where no run can be made: in a file, among other things, without the right.

    `record` is the file by which a run of the kind is known.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: is a file; give a folder for --out")
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        standing = next(path for path in (folder, *folder.parents) if path.exists())
    except OSError as error:
        raise unwritable(folder, error.strerror) from None
    if record not in names and not all(_left_behind(name, record) for name in names):
        raise InputError(
            f"{folder}: something else is in there already, not a run; give an empty or new folder for "
            "--out"
        )
    if not standing.is_dir():
        raise InputError(f"{folder}: {standing} is a file; give another folder for --out")
    if not os.access(standing, os.W_OK | os.X_OK):
        raise unwritable(folder, f"no right to write in {standing}")


def _files(folder: Path, ending: str) -> list[Path]:
    """The files in a folder whose names end so. Raises InputError where one can't be read."""
    return [path for path in entries(folder) if path.suffix == ending and is_file(path)]


def _lines(path: Path) -> int:
    return sum(1 for line in read_text(path).split("\n") if line.strip())


def row_of(record: dict[str, Any], where: str) -> Row:
    """The row in a record. Raises InputError that begins with `where` for a record that isn't one."""
    try:
        row = Row.from_json(record)
    except KeyError as error:
        raise InputError(f"{where}: not a row (no {error})") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{where}: not a row ({error})") from None
    for name, score in row.metrics.items():
        if isinstance(record["metrics"][name], bool | str):
            raise InputError(f"{where}: metric '{name}' must be a number")
        if not isinstance(score, Unscored) and not math.isfinite(score):
            raise InputError(f"{where}: metric '{name}' isn't finite; mark it unscored")
    return row


def read_rows(path: Path) -> list[Row]:
    """The rows in a JSONL file. Raises InputError naming file and line of a row that isn't one."""
    return [row_of(record, f"{path}:{number}") for number, record in numbered_jsonl(path)]


def add_look(path: Path, step: int, rows: Sequence[Row]) -> None:
    """Adds the rows of a look at a step; those of this and later steps, of a training that was
    interrupted and goes on from before them, make room."""
    known = read_rows(path) if is_file(path) else []
    before = [row for row in known if look_step(row, path) < step]
    write_jsonl_atomically(path, [row.to_json() for row in (*before, *rows)])


def look_step(row: Row, path: Path) -> int:
    """The step at which a row of a look was made. Raises InputError where it has none."""
    step = row.detail.get("step")
    if not isinstance(step, int) or isinstance(step, bool) or step < 0:
        raise InputError(
            f"{path}: case {row.case}: detail.step: must be a whole number, got {step!r}"
        )
    return step


def _has_steps(path: Path) -> bool:
    """Whether a log is of steps: that of a search is of its trials."""
    first = next(numbered_jsonl(path, torn_end=True), None)
    return first is not None and "step" in first[1]


def _check_parts(path: Path, record: Mapping[str, Any]) -> None:
    """Raises InputError where a part of run.json is of another kind than any version wrote."""
    for kind, what, names in ((str, "text", _TEXTS), (dict, "an object", _OBJECTS)):
        for name in names:
            if not isinstance(record.get(name), kind | None):
                raise InputError(
                    f"{path}: {name}: must be {what}, not {type(record[name]).__name__}"
                )


def read_judges(folder: Path) -> dict[str, Any]:
    """What is known of a run's judges, by name."""
    path = folder / JUDGES
    return read_json(path) if is_file(path) else {}


def note_judges(folder: Path, figures: Mapping[str, Any]) -> None:
    """Writes how far judges agree with labelled answers, by name, beside what is there of others."""
    write_json_atomically(folder / JUDGES, {**read_judges(folder), **figures})


@functools.lru_cache(maxsize=8)
def _yaml(text: str, where: str) -> Any:
    """The value of a spec's text, which a report asks for several times. Not to be changed."""
    return yaml_value(text, where)


@dataclass(frozen=True)
class RunFolder:
    """The read side of a run. All but run.json may be missing: an unfinished run is a run."""

    path: Path
    record: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open a run folder. Raises InputError where `path` is no folder or no run."""
        hint = "give the folder that `truing align --out` wrote"
        if not path.exists():
            raise InputError(f"{path}: no such folder; {hint}")
        if not path.is_dir():
            raise InputError(f"{path}: a file, not a run folder; {hint}")
        if not is_file(path / "run.json"):
            raise InputError(f"{path}: not a run folder (it has no run.json); {hint}")
        record = read_json(path / "run.json")
        _check_parts(path / "run.json", record)
        names = record.get("candidates")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"{path / 'run.json'}: candidates: must be a list of names")
        return cls(path, record)

    def part(self, name: str) -> dict[str, Any]:
        """An object in run.json ('model', 'costs', ...), empty where there is none."""
        value = self.record.get(name)
        return value if isinstance(value, dict) else {}

    def candidates(self, rows: list[Row]) -> list[str]:
        """Names of the candidates in order: as planned, then any others that have rows."""
        planned: list[str] = list(self.record["candidates"])
        return planned + sorted({row.candidate for row in rows} - set(planned))

    def rows(self) -> list[Row]:
        """Every row of every evaluation. Raises InputError on a row in another's folder."""
        rows: list[Row] = []
        for path in self._row_files():
            for row in read_rows(path):
                if row.evaluation != path.parent.name:
                    raise InputError(
                        f"{path}: holds a row of the evaluation '{row.evaluation}'; "
                        f"it belongs in rows/{row.evaluation}"
                    )
                rows.append(row)
        return rows

    def _row_files(self) -> list[Path]:
        folders = entries(self.path / "rows")
        return [f for folder in folders for f in _files(folder, ".jsonl")]

    def _log_files(self) -> list[Path]:
        return [
            path for path in _files(self.path / "logs", ".jsonl") if _SEEDED.fullmatch(path.name)
        ]

    def sizes(self) -> dict[str, int]:
        """How much is in each file that a report is made from: lines, or keys where it is one object."""
        tables = [
            *self._row_files(),
            *self._log_files(),
            *self._look_files(),
            *_files(self.path / DRAWS, ".jsonl"),
            self.path / "questions.jsonl",
        ]
        lines = {path: _lines(path) for path in tables if is_file(path)}
        keys = {self.path / "judges.json": self.judges(), self.path / "spec.yaml": self.spec()}
        sizes = {**lines, **{path: len(part) for path, part in keys.items()}}
        return {str(path.relative_to(self.path)): size for path, size in sizes.items() if size}

    def questions(self) -> dict[str, dict[str, Any]]:
        """Every case by its id, as written. Raises InputError naming the line of a wrong one."""
        path = self.path / "questions.jsonl"
        cases: dict[str, dict[str, Any]] = {}
        if not is_file(path):
            return cases
        for number, case in numbered_jsonl(path):
            if not isinstance(case.get("id"), str) or not isinstance(case.get("prompt"), str):
                raise InputError(f"{path}:{number}: a case needs an 'id' and a 'prompt', both text")
            if case.get("split") not in _SPLITS:
                raise InputError(
                    f"{path}:{number}: split: must be one of {', '.join(sorted(_SPLITS))}, "
                    f"got {case.get('split')!r}"
                )
            cases[case["id"]] = case
        return cases

    def logs(self, kind: str) -> dict[int, list[dict[str, Any]]]:
        """Training logs of a kind ('sft', 'rl') by seed, lines in the order of their steps."""
        logs = {}
        for path in self._log_files():
            match = _SEEDED.fullmatch(path.name)
            if match is None or match["name"] != kind:
                continue
            lines = []
            for number, line in numbered_jsonl(path, torn_end=True):
                if not isinstance(line.get("step"), int):
                    raise InputError(f"{path}:{number}: step: each line needs a whole number")
                lines.append(line)
            logs[int(match["seed"])] = sorted(lines, key=lambda line: int(line["step"]))
        return dict(sorted(logs.items()))

    def step_logs(self) -> dict[str, dict[int, list[dict[str, Any]]]]:
        """The logs of everything that was trained step by step, by name and seed."""
        names = dict.fromkeys(
            match["name"]
            for path in self._log_files()
            if (match := _SEEDED.fullmatch(path.name)) and _has_steps(path)
        )
        return {name: self.logs(name) for name in names}

    def looks(self, kind: str) -> dict[int, dict[int, list[Row]]]:
        """What a training's monitor saw, by seed and step; nothing in runs of before."""
        looks: dict[int, dict[int, list[Row]]] = {}
        for path in self._look_files():
            match = _SEEDED.fullmatch(path.name)
            if match is None or match["name"] != kind:
                continue
            by_step: dict[int, list[Row]] = {}
            for row in read_rows(path):
                by_step.setdefault(look_step(row, path), []).append(row)
            looks[int(match["seed"])] = dict(sorted(by_step.items()))
        return dict(sorted(looks.items()))

    def draws(self) -> list[Row]:
        """Several answers of the base to each held-out case; nothing where none were drawn."""
        return [row for path in _files(self.path / DRAWS, ".jsonl") for row in read_rows(path)]

    def held_out(self) -> list[Row]:
        """What trainings were measured on, a row for each prompt; nothing in runs of before."""
        return [row for path in _files(self.path / HELD_OUT, ".jsonl") for row in read_rows(path)]

    def _look_files(self) -> list[Path]:
        return _files(self.path / LOOKS, ".jsonl")

    def judges(self) -> dict[str, Any]:
        """How far each judge agrees with labelled answers; empty where none was measured."""
        path = self.path / JUDGES
        return read_json(path) if is_file(path) else {}

    def spec_text(self) -> str:
        """The resolved spec as it stands in the folder; empty where there is none."""
        path = self.path / "spec.yaml"
        return read_text(path) if is_file(path) else ""

    def spec(self) -> dict[str, Any]:
        """The resolved spec as nested mappings, unchecked: an older run stays readable.

        Names that have changed since are today's.
        """
        data = deepcopy(_yaml(self.spec_text(), str(self.path / "spec.yaml")))
        return up_to_date(data)[0] if isinstance(data, dict) else {}
