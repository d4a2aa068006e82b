"""Answers to rules and attacks: the evaluations' own passes against `transformers` generate.

Both sides answer all cases of the evaluations `rules` and `attacks` in their default sizes, with the
likeliest token each time and the evaluations' own greatest lengths. Generate gets batches of one
length, sorted by length so that little is padded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from _in_turn import Benchmark, Measured, main
from _work import folder, model, timed, two_threads
from truing.candidates import Candidate
from truing.data.questions import load_questions
from truing.evaluate.attacks import ANSWER_TOKENS, attack_cases
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.local import LocalRespondent
from truing.evaluate.rules import longest_answer, rule_cases
from truing.evaluate.sweep.run import ATTACKS
from truing.prompts.rendering import Prompt
from truing.types import Case, Unscored

BATCH = 32
INSTRUCTION = "Answer the question in one short sentence."
Groups = dict[int, list[Case]]
"""Cases by their answers' greatest length."""


@cache
def _respondent(dtype: str) -> LocalRespondent:
    return LocalRespondent(Candidate("base", 0, model(dtype), Prompt(INSTRUCTION)))  # type: ignore[arg-type]


def _groups(respondent: LocalRespondent) -> Groups:
    context = EvalContext(held_out=load_questions("built-in"), attacks=ATTACKS)
    groups: Groups = defaultdict(list)
    for case in rule_cases(context):
        groups[longest_answer(respondent, case)].append(case)
    groups[ANSWER_TOKENS] += attack_cases(context)
    return groups


def ours(dtype: str) -> Measured:
    """Truing's respondent, as the evaluations ask it."""
    two_threads()
    respondent = _respondent(dtype)
    groups, answers = _groups(respondent), 0

    def answer() -> None:
        nonlocal answers
        cases = [case for of_one_length in groups.values() for case in of_one_length]
        longest = [most for most, of_one_length in groups.items() for _ in of_one_length]
        given = respondent.answer(cases, longest)
        answers = sum(not isinstance(each, Unscored) for each in given)

    seconds = [timed(answer)]
    return Measured(seconds, {"answers": answers})


def theirs(dtype: str) -> Measured:
    """`generate`, greedy, with padding on the left."""
    two_threads()
    respondent = _respondent(
        "bfloat16"
    )  # whose prompts, as tokens, are the same in both precisions
    groups = _groups(respondent)
    tokenizer = AutoTokenizer.from_pretrained(folder(), padding_side="left")
    network = AutoModelForCausalLM.from_pretrained(folder(), dtype=getattr(torch, dtype)).eval()
    answers = 0

    def answer() -> None:
        nonlocal answers
        answers = 0
        for most, cases in groups.items():
            prompts = sorted(respondent.prompts(cases), key=len)
            for start in range(0, len(prompts), BATCH):
                answers += _generated(network, tokenizer, prompts[start : start + BATCH], most)

    with torch.inference_mode():
        seconds = [timed(answer)]
    return Measured(seconds, {"answers": answers})


def _generated(
    network: torch.nn.Module, tokenizer: AutoTokenizer, prompts: Sequence[list[int]], most: int
) -> int:
    batch = tokenizer.pad({"input_ids": list(prompts)}, return_tensors="pt")  # type: ignore[attr-defined]
    found = network.generate(**batch, do_sample=False, max_new_tokens=most)  # type: ignore[operator]
    return int(found.shape[0])


if __name__ == "__main__":
    main(
        Benchmark(
            title="answers to rules and attacks against transformers generate",
            sides={"transformers": theirs, "truing": ours},
            cases=["float32", "bfloat16"],
            settings={"model": "smollm2-135m", "batch": BATCH, "threads": 2},
        )
    )
