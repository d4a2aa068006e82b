"""`truing data shift`: reads both sides, compares them, and writes everything into one folder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.files import write_json_atomically, write_jsonl_atomically, write_text_atomically
from truing.people.store import store_url
from truing.progress import Progress, SilentProgress
from truing.runs.run import RUNS, Run
from truing.shift.page import page
from truing.shift.prompts import Asked, read_side
from truing.shift.results import to_json
from truing.shift.study import Study, compare
from truing.types import InputError, stable_hash

_RESULT = "shift.json"


@dataclass(frozen=True)
class Request:
    """What is compared with what. `select_file` is where `select` chosen training prompts go."""

    train: str
    target: str
    select: int | None = None
    select_file: Path | None = None
    limit: int = 5000
    seed: int = 0
    keep_good_lines: bool = False


@dataclass(frozen=True)
class Done:
    """A comparison with its folder, and the lines that were left out."""

    study: Study
    folder: Path
    bad_lines: tuple[str, ...]


def run_shift(request: Request, out: Path | None = None, progress: Progress | None = None) -> Done:
    """Compares, and writes `shift.html`, `shift.json`, `weights.jsonl` and the selection.

    Raises InputError for what can't be read, too few prompts, or a folder with something else in it.
    """
    bad: list[str] = []
    train, target = read_side(request.train, bad), read_side(request.target, bad)
    if bad and not request.keep_good_lines:
        more = f" (and {len(bad) - 1} more such lines)" if len(bad) > 1 else ""
        raise InputError(
            f"{bad[0]}{more}; nothing was compared: mend it, or keep the other lines with "
            "--keep-good-lines"
        )
    identity = {"digest": _digest(request, train, target)}
    folder = out or RUNS / f"shift-{identity['digest'][:8]}"
    run = Run(folder, progress or SilentProgress(), kind="data shift", record=_RESULT)
    run.check(identity)
    study = compare(
        train,
        target,
        select=request.select,
        limit=request.limit,
        seed=request.seed,
        progress=progress,
    )
    document = {**identity, "bad_lines": bad, **to_json(study)}
    try:
        with run.opened(identity, document):
            write_json_atomically(folder / _RESULT, document)
            _write_rest(study, request, folder)
    except OSError as error:
        raise InputError(f"--out {folder}: can't be written ({error})") from None
    return Done(study, folder, tuple(bad))


def _write_rest(study: Study, request: Request, folder: Path) -> None:
    names = (_shown(request.train), _shown(request.target))
    write_jsonl_atomically(folder / "weights.jsonl", _weights(study))
    write_text_atomically(folder / "shift.html", page(study, names, _command(request, names)))
    if request.select_file is not None:
        write_jsonl_atomically(request.select_file, selection(study))


def _shown(name: str) -> str:
    """A side's name for the page: a database URL without its password, anything else as it is."""
    return store_url(name).render_as_string(hide_password=True) if "://" in name else name


def _command(request: Request, names: tuple[str, str]) -> str:
    """The command line that gives this comparison."""
    words = ["truing", "data", "shift", *names]
    if request.select is not None:
        words += ["--select", str(request.select), str(request.select_file or "selected.jsonl")]
    words += ["--limit", str(request.limit), "--seed", str(request.seed)]
    return shlex.join([*words, *(["--keep-good-lines"] if request.keep_good_lines else [])])


def _digest(request: Request, train: Sequence[Asked], target: Sequence[Asked]) -> str:
    """A name for what is compared and how: the texts, not where their files are."""
    texts = [
        stable_hash(
            side, *(part for a in prompts for part in (a.place, a.text, a.user, a.template))
        )
        for side, prompts in (("train", train), ("target", target))
    ]
    return stable_hash("shift", *texts, str(request.select), str(request.limit), str(request.seed))


def _training(study: Study) -> list[Asked]:
    return [
        prompt
        for prompt, target in zip(study.asked, study.target_N.tolist(), strict=True)
        if not target
    ]


def _weights(study: Study) -> list[Any]:
    """One row for each training prompt: where it stands, what it is, and its weight (their mean is 1)."""
    return [
        {"place": prompt.place, "weight": round(weight, 6), "prompt": prompt.text}
        for prompt, weight in zip(_training(study), study.remedy.weight_K.tolist(), strict=True)
    ]


def selection(study: Study) -> list[Any]:
    """The selected training prompts as they stood; out of a tree or a store, as messages."""
    chosen = study.remedy.selected
    training = _training(study)
    return [_as_record(training[place]) for place in ([] if chosen is None else chosen.tolist())]


def _as_record(prompt: Asked) -> Any:
    if prompt.record is not None:
        return prompt.record
    answer = (
        [{"role": "assistant", "content": prompt.demonstration}] if prompt.demonstration else []
    )
    return {"messages": [*prompt.messages, *answer]}
