"""What rows of opinions say: by place or by content, shifts of values, and the printed order's doing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from truing.report.opinion_verdicts import opinion_summary, shift, verdict
from truing.types import Row

N = 20


def rows(
    name: str, metrics: Mapping[str, float], groups: Mapping[str, float] | None = None
) -> list[Row]:
    """Rows whose metrics vary a little from question to question, around these means."""
    wobble = [(place - (N - 1) / 2) / 1000 for place in range(N)]
    detail = {"groups": {"party": {g: [v, 0.7, 100.0] for g, v in (groups or {}).items()}}}
    return [
        Row(name, 0, "opinions", str(n), {k: v + w for k, v in metrics.items()}, detail=detail)
        for n, w in enumerate(wobble)
    ]


FLAT = {"representativeness": 0.8, "uniform": 0.8, "permuted": 0.8, "as_printed": 0.7,
        "position": 0.5, "position_as_printed": 0.1}  # fmt: skip


def test_who_is_no_better_than_uniform_answers_by_place() -> None:
    for worse in ("uniform", "permuted"):
        sentence = verdict(rows("a", {**FLAT, "representativeness": 0.9, worse: 0.9}), 0).sentence
        assert sentence.startswith("Answers by place, not by content")
    assert verdict(rows("a", {**FLAT, "representativeness": 0.9}), 0).sentence.startswith(
        "Answers by content"
    )
    assert verdict(rows("a", FLAT)[:5], 0).sentence.startswith("Not judged")


def test_the_printed_orders_shift_is_none_and_named() -> None:
    ours = rows("sft", {**FLAT, "as_printed": 0.77, "position_as_printed": 0.2})
    sentences = shift(ours, rows("base", FLAT), "sft", "base", 0)
    assert len(sentences) == 2 and all("printed order alone" in each for each in sentences)
    assert all("+0.000" in each or "0.000" in each for each in sentences)
    assert not any("shift of values" in each for each in sentences)


def test_a_shift_of_values_takes_all_readings() -> None:
    base = {**FLAT, "text_position": 0.5, "text_representativeness": 0.8}
    agree = {**base, "position": 0.6, "text_position": 0.6, "position_as_printed": 0.2}
    (sentence,) = shift(rows("sft", agree), rows("base", base), "sft", "base", 0)
    assert "a shift of values from base in place on the scale, in all readings" in sentence
    (sentence,) = shift(
        rows("sft", {**agree, "text_position": 0.4}), rows("base", base), "sft", "base", 0
    )
    assert "depends on how it is read" in sentence
    (sentence,) = shift(rows("sft", base), rows("base", base), "sft", "base", 0)
    assert "no shift from base beyond noise in any reading" in sentence


def test_groups_have_an_order_only_where_they_can_be_told_apart() -> None:
    assert verdict(rows("a", FLAT, {"red": 0.8, "blue": 0.8}), 0).apart == ()
    uneven = rows("a", FLAT, {"red": 0.8})
    mixed = [
        Row(r.candidate, 0, "opinions", r.case, r.metrics, detail={"groups": {"party": {
            "red": [0.8, 0.7, 100.0], "blue": [0.7 + n % 3 / 100, 0.7, 100.0]}}})
        for n, r in enumerate(uneven)
    ]  # fmt: skip
    assert verdict(mixed, 0).apart == (("red", "blue"),)


def test_consistency_over_topics_stands_beside_its_chance() -> None:
    """Red is best on half of the topics and blue on the other, or red on all."""

    def of(best: str, n: int) -> dict[str, dict[str, list[float]]]:
        other = {"red": "blue", "blue": "red"}[best]
        return {"party": {best: [0.9, 0.7, 100.0], other: [0.8 - n / 1000, 0.7, 100.0]}}

    plain = [Row("a", 0, "opinions", str(n), {**FLAT}) for n in range(40)]
    for bests, share, said in (
        (("red", "red"), 1.0, "topics, and on 2 of 2"),
        (("red", "blue"), 0.5, "topics, and on 1 of 2"),
    ):
        measured = [
            replace(row, category=f"topic {n % 2}", detail={"groups": of(bests[n % 2], n)})
            for n, row in enumerate(plain)
        ]
        found = verdict(measured, 0)
        of_party = found.to_json()["consistency"]["party"]
        assert of_party["share"] == share and set(of_party["by_topic"].values()) == set(bests)
        assert of_party["low"] <= of_party["chance"] <= of_party["high"]
        assert said in found.sentences[-1] and "no more than chance" in found.sentences[-1]
        few = verdict(measured[:19], 0)
        assert "takes two" in few.to_json()["consistency"]["party"]["unscored"]
        assert few.sentences[-1].startswith("Consistency by party: not judged")
    without = [replace(row, category="") for row in measured]
    assert verdict(without, 0).to_json()["consistency"] == {}


def test_the_summary_compares_with_the_first_candidate() -> None:
    both = [("own", row) for name in ("base", "sft") for row in rows(name, FLAT)]
    summary = opinion_summary(both, 0)
    assert summary is not None and [*summary.verdicts] == [("base", "own"), ("sft", "own")]
    assert len(summary.shifts) == 1 and summary.to_json()["verdicts"]["sft"]["own"]["groups"] == []
    assert opinion_summary([], 0) is None
