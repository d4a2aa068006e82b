"""What every adapter gives: a task, its cases, and the programs that score answers to them.

Scores depend on the case and the answer alone. Whatever scoring needs of the original item stands in the
case's columns, as JSON, because cases are written into the run folder and read from there.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from truing.data.distinct import distinct_cases
from truing.spec.reward import RewardPart, RewardSpec
from truing.spec.task import CheckSpec, TaskSpec
from truing.types import Case, InputError, stable_hash

SCORE = "adapter.score"
"""The program that stands for the package's own score."""
INSTRUCTION = "Do what the message asks."
"""What candidates are told where the package has no system message of its own."""
_TOKENS_OF_AN_ANSWER = (64, 512)
_CHARACTERS_IN_A_LINE = 300

Grader = Callable[..., float | bool | None]
"""Called with what its parameters name among answer, prompt, references, case, finished and row."""
Turns = Sequence[tuple[str, str]]
"""(role, content), from the first message to the one that is to be answered."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class AdaptedTask:
    """A task of another package. Its programs give a number, or None where an answer has no score.

    `fingerprint` changes with whatever the cases and their scores come from: the package's version, the
    reference, seed and size, the cases, and the code that was run. `repeated` counts cases that ask what
    an earlier one asks: they are left out.
    """

    task: TaskSpec
    cases: tuple[Case, ...]
    programs: Mapping[str, Grader]
    fingerprint: str
    repeated: int = 0


def adapted(
    name: str,
    cases: Iterable[Case],
    grader: Grader,
    *,
    instruction: str,
    made_from: Sequence[str],
) -> AdaptedTask:
    """The task from its parts; of cases with the same prompt the first counts.

    Raises InputError where there is no case.
    """
    read = distinct_cases(cases, name)
    unique = read.cases
    if not unique:
        raise InputError(f"{name}: has no cases; a task needs at least one")
    rows = [json.dumps([case.prompt, case.messages, dict(case.columns)]) for case in unique]
    return AdaptedTask(
        task=_spec(name, instruction, unique),
        cases=unique,
        programs={SCORE: grader},
        fingerprint=stable_hash("adapted", name, *made_from, *rows),
        repeated=read.repeated,
    )


def _spec(name: str, instruction: str, cases: Sequence[Case]) -> TaskSpec:
    return TaskSpec(
        name=name,
        instruction=instruction,
        judges={"score": CheckSpec(program=SCORE)},
        evaluations=("answers", "drift", "hacking"),
        headline=("answers.score",),
        gold=(),
        must_not_fall={},
        reward=RewardSpec(parts=(RewardPart(name="judge:score", weight=1.0),)),
        max_new_tokens=_room(cases),
    )


def _room(cases: Sequence[Case]) -> int:
    """Tokens that the longest known answer may take; in grids and formulas they are short."""
    least, most = _TOKENS_OF_AN_ANSWER
    longest = max((len(text) for case in cases for text in case.correct_answers), default=0)
    return min(max(least, longest // 2 + 16), most)


def package(module: str, extra: str) -> ModuleType:
    """The optional package's module. Raises InputError with what to install where it isn't there."""
    name = module.partition(".")[0]
    try:
        import_module(name)
        return import_module(module)
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == name
        why = "" if absent else f" (importing {module} failed: {in_a_line(error)})"
        raise InputError(f"needs {name}: pip install 'truing[{extra}]'{why}") from None


def version_of(distribution: str) -> str:
    """The installed version of a package, with its name."""
    return f"{distribution}=={metadata.version(distribution)}"


def in_a_line(error: BaseException) -> str:
    """An error of somebody else's code, its kind and its words, in one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= _CHARACTERS_IN_A_LINE else f"{text[:_CHARACTERS_IN_A_LINE]}…"


def ran(work: Coroutine[Any, Any, Result]) -> Result:
    """What asynchronous work gives, also where a loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(contextvars.copy_context().run, asyncio.run, work).result()


def asked(turns: Turns, where: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A conversation as a case has it: its prompt, and its messages where one isn't all of it.

    Raises InputError where it isn't a conversation in text that waits for an answer.
    """
    for role, _ in turns:
        if role not in ("system", "user", "assistant"):
            raise InputError(f"{where}: a message by '{role}'; only text in turns is supported")
    if not turns or turns[-1][0] != "user" or not turns[-1][1].strip():
        raise InputError(f"{where}: must end with a message by 'user', which is what is answered")
    prompt = "\n\n".join(text for _, text in turns)
    return prompt, () if len(turns) == 1 else tuple(turns)


def shared_system(conversations: Sequence[Turns]) -> str:
    """The system message that all conversations begin with, or ''."""
    first = {turns[0] if turns else ("", "") for turns in conversations}
    role, text = first.pop() if len(first) == 1 else ("", "")
    return text if role == "system" else ""


def code_hash(module: ModuleType) -> str:
    """A hash of the Python files of a module or package: the code that importing it ran."""
    file = Path(module.__file__ or "")
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    return stable_hash(*(path.read_bytes().decode("utf-8", "surrogateescape") for path in files))
