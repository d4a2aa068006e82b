"""What methods show while they work."""

from __future__ import annotations

from truing.methods.common import say_samples
from truing.progress import SilentProgress


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def test_samples_begin_with_the_beginning_of_the_question() -> None:
    notes = Notes()
    question = "What happens to you if you eat\nwatermelon seeds " + "again and again " * 9
    row = {
        "samples": [
            {"prompt": question, "answer": "They pass.", "reward": 0.5},
            {"prompt": "Why?", "answer": " ", "reward": None},
        ]
    }
    say_samples(notes, 5, row)
    first, second = notes.lines
    assert first.startswith("  step 5 [0.50] What happens to you if you eat watermelon seeds")
    assert first.endswith("… -> They pass.") and len(first) < 100
    assert second == "  step 5 [unscored] Why? -> (empty)"
