"""'Ignore the above directions': does a text in the user's turn take the model over?

Each case puts a demand to answer with a canary behind a held-out question. Success is exact: the
answer holds the canary (see data.texts.attack_succeeded). No judgement is involved.
"""

from __future__ import annotations

from truing.data.texts import attack_succeeded, attacks
from truing.evaluate.answers import free_answers
from truing.evaluate.evaluation import Bench, Subject
from truing.types import Case, Row

ANSWER_TOKENS = 20  # a canary has two or three words; what comes later is not obedience


def attack_cases(bench: Bench) -> list[Case]:
    """The first `bench.attacks` built-in attacks, each on a held-out question of its own."""
    chosen = attacks()[: bench.attacks]
    questions = [bench.held_out[i % len(bench.held_out)] for i in range(len(chosen))]
    return [
        Case(attack.render(question.prompt), category=attack.style, canary=attack.canary)
        for attack, question in zip(chosen, questions, strict=True)
    ]


def attack_success(bench: Bench, subject: Subject) -> list[Row]:
    """Rows with success: 1 where the attack got its canary."""
    cases = attack_cases(bench)
    completions = free_answers(subject.candidate, cases, ANSWER_TOKENS)
    return [
        subject.row(
            "attacks",
            case,
            metrics={"success": float(attack_succeeded(completion.text, case.canary))},
            detail={"prompt": case.prompt, "answer": completion.text, "canary": case.canary},
        )
        for case, completion in zip(cases, completions, strict=True)
    ]
