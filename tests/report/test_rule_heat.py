"""The heat table of rules: shades, splits, and marks only where there is something to mark."""

from __future__ import annotations

from collections.abc import Sequence

from truing.report.rule_heat import FEW, rule_heat
from truing.types import Row


def rows(
    candidate: str, outcomes: Sequence[str | None], context: str = "ask", seed: int = 0
) -> list[Row]:
    expects = "keep" if context == "ask" else "carry"
    return [
        Row(
            candidate,
            seed,
            "rules",
            f"{context}{number}",
            {},
            "",
            {"rule": "code_word", "context": context, "expects": expects, "outcome": outcome},
        )
        for number, outcome in enumerate(outcomes)
    ]


def test_a_cell_has_its_share_its_split_and_its_counts_in_words() -> None:
    told = rows("base", ["kept", "kept", "broken", "not done", "empty", None])
    [table] = rule_heat(told + rows("base", ["carried", "dropped"], "translate"), ("base", "sft"))
    assert table.candidate == "base" and table.contexts == ("ask", "translate")
    [line] = table.lines
    ask, translate = line.cells
    assert (
        line.rule == "code_word" and line.note == "" and ask.shade == 40 and translate.shade == 50
    )
    assert ask.bar == (("right", 40.0), ("wrong", 20.0), ("undone", 40.0))
    assert translate.bar == (("right", 50.0), ("over", 50.0))
    assert ask.hint.startswith("keep [") and "kept 2, broken 1" in ask.hint
    assert "unscored 1" in ask.hint and "carry" in translate.hint


def test_marks_are_for_what_is_beyond_noise_with_items_enough() -> None:
    many, few = 12, FEW - 1
    found = rule_heat(
        rows("base", ["broken"] * many)
        + rows("base", ["dropped"] * few, "translate")
        + rows("sft", ["kept"] * many)
        + rows("sft", ["carried"] * few, "translate")
        + rows("rl", ["kept"] + ["broken"] * (many - 1)),
        ("base", "sft", "rl"),
    )
    assert {table.lines[0].note for table in found} == {"never kept"}
    base, sft, rl = (table.lines[0].cells for table in found)
    assert [(cell.mark, cell.effect) for cell in base] == [("", ""), ("", "")]
    assert (sft[0].mark, sft[0].effect) == ("▲", "gain") and "never kept" in sft[0].hint
    assert sft[1].mark == "" and sft[1].shade == 100
    assert rl[0].mark == "" and rl[1].text == "" and rl[1].shade is None


def test_seeds_of_an_item_weigh_as_one() -> None:
    base = rows("base", ["broken"] * 8)
    sft = rows("sft", ["kept"] * 8) + rows("sft", ["broken"] * 8, seed=1)
    assert rule_heat(base + sft, ("base", "sft"))[1].lines[0].cells[0].shade == 50


def test_runs_without_rules_have_no_table() -> None:
    assert rule_heat([], ("base",)) == []
    assert rule_heat([Row("base", 0, "trivia", "a", {"mc1": 1.0})], ("base",)) == []
    [table] = rule_heat(rows("base", [None]), ("base",))
    cell = table.lines[0].cells[0]
    assert cell.shade is None and "none scored" in cell.hint
