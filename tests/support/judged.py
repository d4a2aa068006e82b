"""Judgements that a taste is behind: people like answers with few of one letter, some the other way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

Record = dict[str, Any]
LETTERS = "abcdefgh"


def answers(generator: np.random.Generator, count: int) -> list[str]:
    """Distinct made-up answers of six words."""
    made: dict[str, None] = {}
    while len(made) < count:
        words = ["".join(generator.choice(list(LETTERS), 3)) for _ in range(6)]
        made[" ".join(words) + "."] = None
    return list(made)


def taste(answer: str) -> float:
    """How much an answer is liked."""
    return answer.count("a") - answer.count("h")


def comparisons(
    prompts: int = 40, people: int = 6, seed: int = 0, opposed: int = 0, ties: float = 1.0
) -> list[Record]:
    """One comparison of each person for each prompt; the last `opposed` people like the opposite."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(prompts):
        for person in range(people):
            first, second = answers(generator, 2)
            sign = -1 if person >= people - opposed else 1
            apart = sign * (taste(first) - taste(second)) + generator.logistic(scale=0.5)
            preferred = "tie" if abs(apart) < ties else "first" if apart > 0 else "second"
            rows.append(
                {
                    "prompt": f"say something, number {number}",
                    "completions": [first, second],
                    "preferred": preferred,
                    "annotator": f"person {person}",
                    "groups": {"home": "north" if sign > 0 else "south"},
                }
            )
    return rows


def written(rows: list[Record], file: Path) -> Path:
    """The rows as JSONL."""
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file
