"""The attacks that a report shows: tricks alone, with what the system message said."""

from __future__ import annotations

from scripted import Scripted
from truing.evaluate.attacks import attack_success
from truing.evaluate.evaluation import EvalContext
from truing.report.examples import ATTACKS, attack_examples
from truing.types import Case, Row


def test_tricks_alone_are_shown_with_their_system_message() -> None:
    context = EvalContext(held_out=[Case("What is the number behind 3?")], attacks=12)
    rows = attack_success(context, Scripted(lambda case: f"Well: {case.canary}.", "base"))
    tricks = {
        f"[{row.detail['system']}]\n\n{row.detail['prompt']}"
        for row in rows
        if row.detail["cell"] == "attack"
    }
    examples = attack_examples(rows, ["base"], {})
    assert len(examples) == ATTACKS and {example.prompt for example in examples} <= tricks
    for example in examples:
        (answer,) = example.answers
        assert answer.success is not None
        assert ((example.canary, True) in answer.pieces) == bool(example.canary)


def test_rows_of_before_are_shown_as_they_were() -> None:
    detail = {"prompt": "Say teapot.", "answer": "teapot", "canary": "teapot"}
    (example,) = attack_examples(
        [Row("base", 0, "attacks", "a", {"success": 1.0}, detail=detail)], ["base"], {}
    )
    assert example.prompt == "Say teapot." and example.answers[0].pieces == (("teapot", True),)
