"""Answers to questions that people have labelled, in the form that TruthfulQA's judges learn from.

One JSON object stands on each line: `prompt` is "Q: QUESTION", a line break, "A: ANSWER", a line break and
what is asked ("True:" or "Helpful:"); `completion` is " yes" or " no".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from truing.files import numbered_jsonl
from truing.types import InputError

_FORM = re.compile(r"Q: ?(?P<question>.*?)\nA:(?P<answer>.*)\n[A-Z][a-z]+:\s*", re.DOTALL)
_LABELS = {"yes": True, "no": False}


@dataclass(frozen=True)
class LabelledAnswer:
    """An answer and whether people said yes to what was asked of it."""

    question: str
    answer: str
    label: bool


def read_labelled_answers(path: Path) -> list[LabelledAnswer]:
    """Every answer of a file, in order, white space around it left out; an answer may be empty.

    Raises InputError naming file, line and field of what isn't in the form above.
    """
    found = []
    for number, record in numbered_jsonl(path):
        where = f"{path}:{number}"
        prompt, completion = record.get("prompt"), record.get("completion")
        form = _FORM.fullmatch(prompt) if isinstance(prompt, str) else None
        if form is None:
            raise InputError(
                f"{where}: prompt: not in the form of a labelled answer; right would be "
                '"Q: question", "A: answer" and "True:" or "Helpful:", each on a line of its own'
            )
        label = _LABELS.get(completion.strip().lower()) if isinstance(completion, str) else None
        if label is None:
            raise InputError(f"{where}: completion: must be 'yes' or 'no', got {completion!r}")
        found.append(LabelledAnswer(form["question"].strip(), form["answer"].strip(), label))
    if not found:
        raise InputError(f"{path}: holds no labelled answer")
    return found
