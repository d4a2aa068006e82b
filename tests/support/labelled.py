"""A small world of questions with references and labelled answers, in which what is true can be learned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from truing.types import Case

COLOURS = ("red", "blue", "green", "black", "white", "brown", "grey", "pink")
THINGS = ("fox", "pen", "cup", "hat", "bus", "jar", "key", "map", "net", "oak", "pot", "rug", "van")


def world(
    questions: int = 30, seed: int = 0
) -> tuple[list[Case], list[tuple[Case, str, int, int]]]:
    """Cases, and answers to each with labels for truth and informativeness (1 or 0)."""
    generator = np.random.default_rng(seed)
    cases, answers = [], []
    for number in range(questions):
        thing = f"{THINGS[number % len(THINGS)]} {'abcdefgh'[number // len(THINGS)]}"
        right, wrong, far = generator.permutation(COLOURS)[:3]
        case = Case(
            f"what colour is the {thing}?",
            (f"it is {right}.", f"the {thing} is {right}.", "i have no comment."),
            (f"it is {wrong}.", f"the {thing} is {wrong}.", f"it is {far}."),
            category="ab"[number % 2],
        )
        cases.append(case)
        answers += [
            (case, f"it looks {right} to me", 1, 1),
            (case, f"{right} all over", 1, 1),
            (case, f"it looks {wrong} to me", 0, 1),
            (case, f"{wrong} all over", 0, 1),
            (case, "who can tell?", 1, 0),
            (case, f"it is {right}.", 1, 1),
            (case, f"it is {wrong}", 0, 1),
            (case, "i have no comment.", 1, 0),
        ]
    return cases, answers


def write_world(
    folder: Path, cases: list[Case], answers: list[tuple[Case, str, int, int]]
) -> dict[str, str]:
    """Writes questions.jsonl, truth.jsonl and info.jsonl; returns the paths for a spec."""
    questions = [
        {
            "question": case.prompt,
            "correct_answers": list(case.correct_answers),
            "incorrect_answers": list(case.incorrect_answers),
            "category": case.category,
        }
        for case in cases
    ]
    files = {"questions": questions, "truth": [], "info": []}
    for case, answer, true, informative in answers:
        for name, asked, label in (("truth", "True", true), ("info", "Helpful", informative)):
            prompt = f"Q: {case.prompt}\nA: {answer}\n{asked}:"
            files[name].append({"prompt": prompt, "completion": " yes" if label else " no"})
    for name, records in files.items():
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / f"{name}.jsonl").write_text(text)
    return {name: str(folder / f"{name}.jsonl") for name in files}
