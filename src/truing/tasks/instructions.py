"""The task `instructions`: doing what is asked, in the form that is asked for.

The 144 prompts are made here: each of our 48 requests comes three times, with one to three constraints
that a program can check (length, words, language, lists, JSON, order, case, several at once; see
`constraints.py`). What counts is the share of an answer's constraints that it keeps (`share_kept`), and
whether it keeps all (`all_kept`). Both are exact, and blind to whether the answer is any good: an answer
that is nothing but its form is worth as much, so look at the answers.

A user's own cases may name constraints too, in a column `constraints`; without it they are unscored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from truing.files import read_json_line
from truing.judges.checks import Check
from truing.spec.reward import RewardPart, RewardSpec
from truing.spec.task import CheckSpec, TaskSpec
from truing.tasks.constraints import CONSTRAINTS, LANGUAGES, keeps
from truing.tasks.drawing import drawn
from truing.types import Case

Constraint = dict[str, Any]
Demand = tuple[str, Constraint]
Request = dict[str, Any]


def _at_most(request: Request, n: int) -> Demand:
    limit = drawn((12, 15, 20, 25), "at most", n)
    says = drawn(("Use at most {} words.", "Keep it to {} words or fewer."), "at most, says", n)
    return says.format(limit), {"kind": "words", "at_most": limit}


def _at_least(request: Request, n: int) -> Demand:
    limit = drawn((25, 30, 35, 40), "at least", n)
    says = drawn(("Use at least {} words.", "Write {} words or more."), "at least, says", n)
    return says.format(limit), {"kind": "words", "at_least": limit}


def _between(request: Request, n: int) -> Demand:
    low = drawn((10, 15, 20, 25), "between", n)
    says = f"Your answer should have between {low} and {low + 15} words."
    return says, {"kind": "words", "at_least": low, "at_most": low + 15}


def _sentences(request: Request, n: int) -> Demand:
    count = drawn((1, 2, 3), "sentences", n)
    name = {1: "one sentence", 2: "two sentences", 3: "three sentences"}[count]
    says = drawn(("Answer in exactly {}.", "Write exactly {}."), "sentences, says", n)
    return says.format(name), {"kind": "sentences", "at_least": count, "at_most": count}


def _include(request: Request, n: int) -> Demand:
    words = request["include"]
    says = drawn(("Use the words '{}' and '{}'.", "It must mention '{}' and '{}'."), "include", n)
    return says.format(*words), {"kind": "include", "words": words}


def _avoid(request: Request, n: int) -> Demand:
    words = request["avoid"]
    says = drawn(
        ("Don't use the words '{}' or '{}'.", "Avoid the words '{}' and '{}'."), "avoid", n
    )
    return says.format(*words), {"kind": "avoid", "words": words}


def _order(request: Request, n: int) -> Demand:
    words = request["include"][::-1]
    says = "Use the word '{}' first and the word '{}' somewhere after it.".format(*words)
    return says, {"kind": "order", "words": words}


def _begin(request: Request, n: int) -> Demand:
    says = drawn(("Begin with '{}'.", "The first words must be '{}'."), "begin", n)
    return says.format(request["begin"]), {"kind": "begin", "phrase": request["begin"]}


def _end(request: Request, n: int) -> Demand:
    says = drawn(("End with '{}'.", "The last words must be '{}'."), "end", n)
    return says.format(request["end"]), {"kind": "end", "phrase": request["end"]}


def _bullets(request: Request, n: int) -> Demand:
    count = drawn((2, 3, 4), "bullets", n)
    says = f"Give the answer as a list of exactly {count} bullet points, each a line beginning with '-'."
    return says, {"kind": "bullets", "count": count}


def _json(request: Request, n: int) -> Demand:
    says = drawn(
        (
            "Answer with one JSON object and nothing else.",
            "The whole answer must be a JSON list of texts.",
        ),
        "json",
        n,
    )
    return says, {"kind": "json"}


def _lower(request: Request, n: int) -> Demand:
    return "Write in small letters only, without any capital.", {"kind": "lower_case"}


def _upper(request: Request, n: int) -> Demand:
    return "Write everything in capital letters.", {"kind": "upper_case"}


def _no_commas(request: Request, n: int) -> Demand:
    return drawn(("Don't use any commas.", "Do without commas."), "commas", n), {
        "kind": "no_commas"
    }


def _language(request: Request, n: int) -> Demand:
    name = drawn([known for known in LANGUAGES if known != "English"], "language", n)
    return f"Answer in {name}.", {"kind": "language", "language": name}


PATTERNS: tuple[tuple[Callable[[Request, int], Demand], ...], ...] = (
    (_at_most,),
    (_at_least,),
    (_between,),
    (_sentences,),
    (_include,),
    (_avoid,),
    (_order,),
    (_begin,),
    (_end,),
    (_bullets,),
    (_json,),
    (_lower,),
    (_upper,),
    (_no_commas,),
    (_language,),
    (_at_most, _include),
    (_sentences, _no_commas),
    (_bullets, _avoid),
    (_begin, _at_most),
    (_avoid, _at_least),
    (_include, _avoid, _sentences),
    (_lower, _at_most),
    (_begin, _end),
    (_language, _sentences),
    (_order, _between, _no_commas),
    (_upper, _include),
    (_begin, _avoid, _at_most),
)
"""What is demanded together; the requests take them in turns."""


@cache
def _requests() -> tuple[Request, ...]:
    lines = files("truing.tasks").joinpath("built_in", "requests.jsonl").read_bytes().splitlines()
    return tuple(read_json_line(line) for line in lines)


def _case(request: Request, number: int) -> Case:
    pattern = PATTERNS[number % len(PATTERNS)]
    demands = [demand(request, number) for demand in pattern]
    prompt = " ".join([request["request"], *(says for says, _ in demands)])
    constraints = [constraint for _, constraint in demands]
    category = constraints[0]["kind"] if len(constraints) == 1 else "several"
    columns = {"constraints": constraints}
    return Case(prompt, category=category, family=request["request"], columns=columns)


@cache
def cases() -> tuple[Case, ...]:
    """The task's cases, the same ones every time."""
    requests = _requests()
    return tuple(
        _case(request, place + turn * len(requests))
        for turn in range(3)
        for place, request in enumerate(requests)
    )


def share_kept(answer: str, constraints: Sequence[Mapping[str, Any]] | None = None) -> float | None:
    """The share of the constraints that the answer keeps; None where there are none."""
    if not constraints:
        return None
    return sum(keeps(answer, constraint) for constraint in constraints) / len(constraints)


def all_kept(answer: str, constraints: Sequence[Mapping[str, Any]] | None = None) -> bool | None:
    """Whether the answer keeps every constraint; None where there are none."""
    share = share_kept(answer, constraints)
    return None if share is None else share == 1


PROGRAMS: dict[str, Check] = {"share_kept": share_kept, "all_kept": all_kept}
"""What grades an answer; `instructions.NAME` in a task file."""

TASK = TaskSpec(
    name="instructions",
    instruction="Do what is asked, exactly in the form that is asked for. Be brief.",
    judges={
        "share_kept": CheckSpec(program="instructions.share_kept", label="constraints kept"),
        "all_kept": CheckSpec(program="instructions.all_kept", label="all constraints kept"),
    },
    evaluations=("answers", "wins", "trivia", "drift", "hacking"),
    headline=("answers.share_kept", "answers.all_kept"),
    gold=("answers.all_kept",),
    must_not_fall={"trivia.mc1": 0.05},
    reward=RewardSpec(parts=(RewardPart(name="judge:share_kept", weight=1.0),)),
    max_new_tokens=80,
)
"""What the task asks and what counts."""

__all__ = ["CONSTRAINTS", "PROGRAMS", "TASK", "all_kept", "cases", "share_kept"]
