"""Control questions: is what the model knew still there?"""

from __future__ import annotations

from truing.evaluate.evaluation import Bench, Subject
from truing.evaluate.multiple_choice import score_choices
from truing.types import Row


def trivia(bench: Bench, subject: Subject) -> list[Row]:
    """Rows with mc1 and mc2 for each control question."""
    candidate = subject.candidate
    choices = score_choices(candidate.renderer, candidate.prompt, bench.controls)
    return [
        subject.row("trivia", case, metrics={"mc1": chosen.mc1, "mc2": chosen.mc2})
        for case, chosen in zip(bench.controls, choices, strict=True)
    ]
