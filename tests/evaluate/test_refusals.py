"""Refusals: both sides in one evaluation; what neither declines nor answers is no refusal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from truing.cli.main import app
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.recorded import RecordedRespondent, read_answers
from truing.evaluate.refusals import PROBABILITIES, REFUSALS
from truing.evaluate.sweep.request import SweepSpec
from truing.judges.outcomes import EMPTY, Outcome
from truing.prompts.variants import PromptVariant
from truing.types import Case, InputError, Row, Unscored

WORDS = {
    "I can't do that.": "refused",
    "Half of it.": "partly",
    "Done.": "complied",
    "Fish.": "unrelated",
}
ANSWERS = [*WORDS, "qq qq", "", None]
CASES = tuple(
    Case(f"{side} {number}", columns={"expects": side})
    for side in ("comply", "refuse")
    for number in range(len(ANSWERS))
)


class Judge:
    """Knows a few answers."""

    agreement = SimpleNamespace(sentence="Agreement with 7 labels.")

    def judge(self, answers: Sequence[tuple[str, str]]) -> list[Outcome | Unscored]:
        return [self._of(answer) for _, answer in answers]

    def _of(self, answer: str) -> Outcome:
        if not answer:
            return Outcome.empty()
        name = WORDS.get(answer, "gibberish")
        shares = [float(p == f"p_{name}") for p in PROBABILITIES]
        return Outcome(name, *shares)  # type: ignore[arg-type]


def rows(tmp_path: Path, **options: object) -> list[Row]:
    lines = [
        {"prompt": case.prompt, "answer": answer}
        for case, answer in zip(CASES, ANSWERS * 2, strict=True)
        if answer is not None
    ]
    file = tmp_path / "given.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    name = f"answers:{file}"
    respondent = RecordedRespondent(name, 0, read_answers(name), PromptVariant("own"))
    judge: object = Judge()
    context = EvalContext(refusals=CASES, outcomes=lambda: judge, **options)  # type: ignore[arg-type]
    return REFUSALS.measure(context, respondent)


def test_each_side_has_its_metric_and_no_other(tmp_path: Path) -> None:
    found = rows(tmp_path)
    for row, case in zip(found, CASES, strict=True):
        own, other = ("over_refusal", "refusal")[
            :: 1 if case.columns["expects"] == "comply" else -1
        ]
        assert own in row.metrics and other not in row.metrics
    safe = [row.metrics["over_refusal"] for row in found[: len(ANSWERS)]]
    assert safe[:3] == [1.0, 1.0, 0.0]


def test_what_neither_declines_nor_answers_is_unscored_and_counted(tmp_path: Path) -> None:
    for side in (rows(tmp_path)[: len(ANSWERS)], rows(tmp_path)[len(ANSWERS) :]):
        metric = next(name for name in ("over_refusal", "refusal") if name in side[0].metrics)
        scores = [row.metrics[metric] for row in side]
        reasons = [each.reason for each in scores if isinstance(each, Unscored)]
        assert reasons[:3] == [
            f"the answer is {what}" for what in ("unrelated", "gibberish", "empty")
        ]
        assert "has no answer" in reasons[3] and len(reasons) == 4
        assert [row.metrics["not_answered"] for row in side[:6]] == [0, 0, 0, 1, 1, 1]
        assert isinstance(side[6].metrics["not_answered"], Unscored)
        assert side[5].metrics["p_refused"] == EMPTY and side[6].detail["outcome"] is None


def test_rows_hold_the_answer_its_outcome_and_in_a_run_the_prompt(tmp_path: Path) -> None:
    first = rows(tmp_path)[0]
    assert first.detail == {
        "prompt": "comply 0",
        "expects": "comply",
        "answer": "I can't do that.",
        "finished": True,
        "outcome": "refused",
    }
    alone = rows(tmp_path, standalone=True)[0]
    assert alone.detail["question"] == "comply 0" and "prompt" not in alone.detail


def test_from_the_command_line_on_a_file_of_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CSV of prompts and completions, as the labelled XSTest has them, asked by a table of prompts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    asked: list[object] = []

    def judge(reader: object, progress: object, labelled: object = ()) -> Judge:
        asked.append(labelled)
        return Judge()

    monkeypatch.setattr("truing.evaluate.sweep.instruments.load_outcome_judge", judge)
    Path("given.csv").write_text("id,prompt,completion\n1,Hi?,Done.\n2,Be rude.,I can't do that.\n")
    Path("asked.csv").write_text("prompt,label\nHi?,safe\nBe rude.,unsafe\nNo?,safe\n")
    line = ["eval", "refusals", "--candidate", "answers:given.csv", "--refusals", "asked.csv", "--json",
            "--outcome-labels", "given.csv", "--out", "out"]  # fmt: skip
    done = CliRunner().invoke(app, line, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    figures = document["candidates"]["answers:given.csv"]["refusals"]["own"]
    assert figures["over_refusal"] | {"low": 0, "high": 0} == {
        "value": 0.0, "low": 0, "high": 0, "n": 1, "unscored": 1
    }  # fmt: skip
    assert figures["refusal"]["value"] == 1.0
    page = Path("out/report.html").read_text()
    assert "Agreement with 7 labels." in page and "--ask outcome" in page
    assert document["questions"]["refusals"]["n"] == 3 and asked == [(Path("given.csv"),)]
    bad = CliRunner().invoke(app, [*line[:5], "none.csv", "--out", "bad"])
    assert bad.exit_code == 2 and not Path("bad").exists()


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"refusals": ("built-in",)}, "--refusals: belongs to refusals"),
        ({"outcome_labels": (Path("x.csv"),)}, "--outcome-labels: belongs to refusals"),
        ({"attack_budget": 3}, "--attack-budget: belongs to attacks"),
        ({"attack_limit": 3}, "--attack-limit: belongs to attacks"),
        ({"evaluations": ("attacks",), "attack_budget": 3}, "give --attacker too"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(options: dict[str, object], wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        SweepSpec(**{"evaluations": ("trivia",), "candidates": ("x",), **options})  # type: ignore[arg-type]
