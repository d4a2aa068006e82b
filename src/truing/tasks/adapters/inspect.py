"""`inspect:FILE.py@task`: the data set, the solver and the scorer of an Inspect task.

Loading runs the file, which the user names, and making its task reads the data that it reads. The task's
solver writes the prompt (templates, system messages, choices) and reads the answer, with the answer in the
place where it would have asked a model; it may ask once. Its scorer scores as in Inspect, and
`value_to_float` makes a number of it. No model is there to be asked: what needs one, a sandbox or tools is
refused.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import math
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from truing.tasks.adapters.adapted import (
    INSTRUCTION,
    AdaptedTask,
    Turns,
    adapted,
    asked,
    in_a_line,
    package,
    ran,
    shared_system,
    version_of,
)
from truing.types import Case, InputError, did_you_mean, stable_hash

_EXTRA = "inspect"
_NO_MODEL = "none/none"
_UNSUPPORTED = {
    "model_graded_qa": "has a model as judge (model_graded_qa)",
    "model_graded_fact": "has a model as judge (model_graded_fact)",
    "perplexity": "scores log-probabilities (perplexity)",
    "target_perplexity": "scores log-probabilities (target_perplexity)",
    "precomputed_scores": "has no scorer of answers (precomputed_scores)",
}
"""Inspect's scorers that can't score an answer by itself."""


class _Refused(Exception):
    """The solver wants more than one answer in text."""


def load(reference: str, *, seed: int, size: int) -> AdaptedTask:
    """The task in `reference`, FILE.py@task; the seed says which samples, and in which order.

    Raises InputError where package, file or task aren't there, or answers alone can't be scored.
    """
    name = f"inspect:{reference}"
    file, _, function = reference.rpartition("@")
    module = _imported(file, name)
    task = _made(module, function, Path(file), name)
    for reason in _needs(task):
        raise InputError(
            f"{name}: {reason}; only answers in text, scored by program, are supported"
        )
    samples = _drawn(task, seed, size, name)
    conversations = [_asks(task, sample, name) for sample in samples]
    instruction = shared_system(conversations)
    start = 1 if instruction else 0
    cases = [
        _case(sample, turns[start:], name)
        for sample, turns in zip(samples, conversations, strict=True)
    ]
    _try_scorer(task, cases[0], name)
    return adapted(
        name,
        cases,
        functools.partial(_score, task),
        instruction=instruction or INSTRUCTION,
        made_from=(version_of("inspect_ai"), str(seed), str(size), _file_hash(Path(file))),
    )


def _file_hash(file: Path) -> str:
    return stable_hash(file.read_bytes().decode("utf-8", "surrogateescape"))


def _imported(file: str, name: str) -> ModuleType:
    """The user's file as a module, run in its own folder as Inspect runs it."""
    package("inspect_ai", _EXTRA)
    path = Path(file)
    if path.suffix != ".py" or not path.is_file():
        raise InputError(f"{name}: {file or 'no file'}: no such file; give inspect:FILE.py@task")
    module_name = f"truing_inspect_{stable_hash(str(path.resolve()))[:16]}"
    specification = importlib.util.spec_from_file_location(module_name, path.resolve())
    assert specification is not None and specification.loader is not None, "the name ends in .py"
    module = importlib.util.module_from_spec(specification)
    sys.modules[module_name] = module
    with _in_folder_of(path):
        try:
            specification.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            raise InputError(f"{name}: importing {file} failed ({in_a_line(error)})") from error
    return module


@contextlib.contextmanager
def _in_folder_of(path: Path) -> Iterator[None]:
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        with contextlib.chdir(folder), _without_model():
            yield
    finally:
        sys.path.remove(folder)


@contextlib.contextmanager
def _without_model() -> Iterator[None]:
    """Inspect's own sign for no model, so that none is asked that the environment happens to name."""
    before = os.environ.get("INSPECT_EVAL_MODEL")
    os.environ["INSPECT_EVAL_MODEL"] = _NO_MODEL
    try:
        yield
    finally:
        if before is None:
            del os.environ["INSPECT_EVAL_MODEL"]
        else:
            os.environ["INSPECT_EVAL_MODEL"] = before


def _made(module: ModuleType, function: str, path: Path, name: str) -> Any:
    """The task that the file's function gives when it is called without arguments."""
    known = [key for key, value in vars(module).items() if _kind_and_name(value)[0] == "task"]
    if function not in known:
        hint = did_you_mean(function, known).strip() or f"it has: {', '.join(known) or 'none'}"
        raise InputError(f"{name}: {path} has no task '{function}'; {hint}")
    try:
        with _in_folder_of(path):
            return getattr(module, function)()
    except (Exception, SystemExit) as error:
        raise InputError(f"{name}: making the task failed ({in_a_line(error)})") from error


def _kind_and_name(part: Any) -> tuple[str, str]:
    """What Inspect's registry says of a part: its kind, and its name without the package's."""
    try:
        info = package("inspect_ai.util", _EXTRA).registry_info(part)
    except Exception:  # not in the registry: what Inspect raises then differs by the part
        return "", ""
    return str(info.type), str(info.name).rpartition("/")[2]


def _needs(task: Any) -> Iterator[str]:
    """Why answers alone can't be scored, a reason each."""
    if task.sandbox is not None:
        yield "needs a sandbox"
    if task.model_roles:
        yield "asks models of its own (model_roles)"
    scorers = list(task.scorer or ())
    if len(scorers) != 1:
        yield f"has {len(scorers) or 'no'} scorers, and one is needed"
    for scorer in scorers:
        if reason := _UNSUPPORTED.get(_kind_and_name(scorer)[1]):
            yield reason
    if not hasattr(task.dataset, "__len__"):
        yield "makes its samples while it runs"


def _drawn(task: Any, seed: int, size: int, name: str) -> list[Any]:
    """Samples in an order that the seed decides, each with an id."""
    samples = [
        sample if sample.id is not None else sample.model_copy(update={"id": place})
        for place, sample in enumerate(task.dataset, start=1)
    ]
    random.Random(seed).shuffle(samples)
    for sample in samples[:size]:
        if sample.sandbox or sample.files or sample.setup:
            raise InputError(
                f"{name}: sample {sample.id!r} needs a sandbox; only text is supported"
            )
    if samples and _reads_target(task) and not any(_targets(sample) for sample in samples):
        raise InputError(f"{name}: no sample has a target, which its scorer compares answers with")
    return samples[:size]


def _reads_target(task: Any) -> bool:
    """Whether the scorer is one of Inspect's own, all of which compare with the target."""
    scorer: Any = task.scorer[0]
    return getattr(scorer, "__module__", "").startswith("inspect_ai.")


def _targets(sample: Any) -> tuple[str, ...]:
    targets = [sample.target] if isinstance(sample.target, str) else sample.target
    return tuple(target for target in targets if target)


def _asks(task: Any, sample: Any, name: str) -> Turns:
    """The conversation in which the solver asks for an answer, the same each time."""
    where = f"{name}: sample {sample.id!r}"
    try:
        turns, again = (ran(_solved(task, sample, "", True))[0] for _ in range(2))
    except _Refused as error:
        raise InputError(f"{where}: {error}; only one answer in text is supported") from None
    except Exception as error:
        raise InputError(f"{where}: its solver failed ({in_a_line(error)})") from error
    if turns != again:
        raise InputError(
            f"{where}: its solver writes another prompt each time; shuffle the data set"
        )
    return turns


async def _solved(task: Any, sample: Any, answer: str, finished: bool) -> tuple[Turns, Any]:
    """What the solver asks, and the state after it with the answer in the model's place."""
    model, solvers = package("inspect_ai.model", _EXTRA), package("inspect_ai.solver", _EXTRA)
    asked_for: list[Turns] = []

    async def generate(state: Any, *_: Any, **__: Any) -> Any:
        if asked_for:
            raise _Refused("its solver asks more than once")
        if state.tools:
            raise _Refused("its solver has tools")
        asked_for.append([_turn(message) for message in state.messages])
        reason = "stop" if finished else "max_tokens"
        state.output = model.ModelOutput.from_content(_NO_MODEL, answer, reason)
        state.messages.append(state.output.message)
        return state

    steps = [part for part in (task.setup, task.solver) if part is not None]
    with _without_model():
        state = await solvers.chain(steps)(_state(sample), generate)
    if not asked_for:
        raise _Refused("its solver asks for no answer")
    return asked_for[0], state


def _turn(message: Any) -> tuple[str, str]:
    if isinstance(message.content, list) and any(part.type != "text" for part in message.content):
        raise _Refused("a message isn't text")
    return str(message.role), str(message.text)


def _state(sample: Any) -> Any:
    """The state that Inspect begins a sample with."""
    model, solver = package("inspect_ai.model", _EXTRA), package("inspect_ai.solver", _EXTRA)
    text = isinstance(sample.input, str)
    messages = [model.ChatMessageUser(content=sample.input)] if text else list(sample.input)
    return solver.TaskState(
        model=model.ModelName(_NO_MODEL),
        sample_id=sample.id,
        epoch=1,
        input=sample.input,
        messages=messages,
        target=package("inspect_ai.scorer", _EXTRA).Target(sample.target),
        choices=sample.choices,
        metadata=dict(sample.metadata or {}),
    )


def _case(sample: Any, turns: Turns, name: str) -> Case:
    prompt, messages = asked(turns, f"{name}: sample {sample.id!r}")
    return Case(
        prompt=prompt,
        correct_answers=_targets(sample),
        messages=messages,
        source=name,
        columns={"sample": _row(sample)},
    )


def _row(sample: Any) -> dict[str, Any]:
    """A sample as JSON, without the random ids that Inspect gives messages."""
    left_out = {} if isinstance(sample.input, str) else {"input": {"__all__": {"id"}}}
    row: dict[str, Any] = sample.model_dump(mode="json", exclude_none=True, exclude=left_out)
    return row


def _score(task: Any, answer: str, case: Case, finished: bool = True) -> float | None:
    """The scorer's number, None where it gives none; raises what solver and scorer raise."""
    sample = package("inspect_ai.dataset", _EXTRA).Sample(**case.columns["sample"])
    if _reads_target(task) and not _targets(sample):
        return None
    return ran(_scored(task, sample, answer, finished))


async def _scored(task: Any, sample: Any, answer: str, finished: bool) -> float | None:
    scorer = package("inspect_ai.scorer", _EXTRA)
    _, state = await _solved(task, sample, answer, finished)
    with _without_model():
        score = await task.scorer[0](state, scorer.Target(sample.target))
    return None if score is None else _number(score.value)


def _number(value: Any) -> float | None:
    """A score's value by Inspect's own rule, which makes 0 of what it can't read; that is refused."""
    if isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str)):
        raise ValueError("the scorer gives several values, and one is needed")
    number = float(package("inspect_ai.scorer", _EXTRA).value_to_float()(value))
    if number == 0 and isinstance(value, str) and not _is_nought(value):
        raise ValueError(f"the scorer gives {value!r}, which is no number")
    return None if math.isnan(number) else number


def _is_nought(value: str) -> bool:
    if value in ("I", "N") or value.lower() in ("no", "false"):
        return True
    with contextlib.suppress(ValueError):
        return float(value) == 0
    return False


def _try_scorer(task: Any, case: Case, name: str) -> None:
    """Score one answer, to see a scorer that asks a model before anything is trained."""
    try:
        _score(task, next(iter(case.correct_answers), ""), case)
    except Exception as error:
        # Its class isn't exported. Any other says of one answer alone that it can't be scored.
        if type(error).__name__ == "PrerequisiteError":
            raise InputError(f"{name}: its scorer needs a model ({in_a_line(error)})") from None
