"""`reasoning_gym:NAME`: procedural questions with the program that scores answers to them; offline.

Questions are made in a Python process of their own with hash randomisation off: some generators go through
sets, and would otherwise ask something else in every process, whatever the seed.

An answer between <answer> and </answer> is taken out of its tags, as the package's own prompts ask for.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from truing.tasks.adapters.adapted import AdaptedTask, adapted, in_a_line, package, version_of
from truing.types import Case, InputError

_EXTRA = "reasoning-gym"
_INSTRUCTION = "Solve the problem. Answer with the result alone."
_TUPLE, _PAIRS = "__tuple__", "__pairs__"


def load(reference: str, *, seed: int, size: int) -> AdaptedTask:
    """The data set that `reference` names, in its default configuration.

    Raises InputError where the package or the data set isn't there, or its items aren't JSON.
    """
    name = f"reasoning_gym:{reference}"
    made = _made(reference, seed, size)
    _check(made, name)
    cases = [_case(entry, name, made["category"]) for entry in made["entries"]]
    return adapted(
        name,
        cases,
        functools.partial(_score, reference),
        instruction=_INSTRUCTION,
        made_from=(version_of("reasoning_gym"), str(seed), str(size)),
    )


def _made(reference: str, seed: int, size: int) -> dict[str, Any]:
    """What `write_entries` wrote in a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "entries.json"
        command = [
            sys.executable,
            "-P",
            "-c",
            f"from {__name__} import write_entries as write; write()",
        ]
        arguments = [reference, str(seed), str(size), str(file)]
        done = subprocess.run(
            [*command, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if not file.is_file():
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise InputError(f"reasoning_gym:{reference}: making its questions failed ({last})")
        made: dict[str, Any] = json.loads(file.read_text())
    return made


def write_entries() -> None:
    """Write the questions that the command line names (data set, seed, size) to its last argument."""
    reference, seed, size, file = sys.argv[1:]
    try:
        made = _entries(reference, int(seed), int(size))
    except InputError as error:
        made = {"mistake": str(error)}
    except Exception as error:
        made = {"mistake": f"making its questions failed ({in_a_line(error)})"}
    Path(file).write_text(json.dumps(made))


def _entries(reference: str, seed: int, size: int) -> dict[str, Any]:
    gym = package("reasoning_gym", _EXTRA)
    known = package("reasoning_gym.factory", _EXTRA).DATASETS
    if reference not in known:
        return {"known": sorted(known)}
    dataset = gym.create_dataset(reference, seed=seed, size=size)
    entries = [encoded(dataset[place]) for place in range(size)]
    return {"entries": entries, "category": dataset.category}


def _check(made: Mapping[str, Any], name: str) -> None:
    if mistake := made.get("mistake"):
        raise InputError(f"{name}: {mistake}")
    if known := made.get("known"):
        close = difflib.get_close_matches(name.partition(":")[2], known, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(known)}"
        raise InputError(f"{name}: reasoning_gym has no such data set; {hint}")


def _case(entry: Any, name: str, category: str) -> Case:
    item = decoded(entry)
    answer = item["answer"]
    return Case(
        prompt=item["question"].strip(),
        correct_answers=(answer,) if isinstance(answer, str) and answer else (),
        category=category,
        source=name,
        columns={"entry": entry},
    )


@functools.cache
def _scorer(reference: str) -> Any:
    return package("reasoning_gym", _EXTRA).get_score_answer_fn(reference)


def _score(reference: str, answer: str, case: Case) -> float:
    """The package's score of an answer, from 0 to 1; raises what its program raises."""
    tagged = package("reasoning_gym.utils", _EXTRA).extract_answer(answer)
    given = answer if tagged is None else tagged
    return float(_scorer(reference)(given, entry=decoded(case.columns["entry"])))


def encoded(value: Any) -> Any:
    """A value as JSON holds it, so that `decoded` gives it back: tuples and keys that aren't texts too.

    Raises InputError naming the type that has no such form.
    """
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, tuple):
        return {_TUPLE: [encoded(part) for part in value]}
    if isinstance(value, list):
        return [encoded(part) for part in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: encoded(part) for key, part in value.items()}
    if isinstance(value, dict):
        return {_PAIRS: [[encoded(key), encoded(part)] for key, part in value.items()]}
    raise InputError(f"an item holds a {type(value).__name__}, which can't be kept as JSON")


def decoded(value: Any) -> Any:
    """The value that `encoded` wrote."""
    if isinstance(value, list):
        return [decoded(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_TUPLE}:
        return tuple(decoded(part) for part in value[_TUPLE])
    if value.keys() == {_PAIRS}:
        return {decoded(key): decoded(part) for key, part in value[_PAIRS]}
    return {key: decoded(part) for key, part in value.items()}
