"""Opinions: what is right by construction, how replies are read, and the letters of plain transformers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from paths import ROOT
from scripted import Scripted
from tiny import saved
from truing.cli.main import app
from truing.data.surveys.question import GroupShares, Survey, SurveyQuestion
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.opinion_prompts import OpinionsAsked, letter_texts, lettered, orders
from truing.evaluate.opinion_readings import by_letters, option_named
from truing.evaluate.opinions import measured_opinions
from truing.evaluate.respondent import Advance, Continued, silent
from truing.types import Row, Unscored

PLACES = [folder / "shared/data/opinions/letters_base.jsonl" for folder in ROOT.parents]
LETTERS = next((path for path in PLACES if path.exists()), None)
"""Letter probabilities by plain transformers; not part of the project."""


@dataclass
class Letters(Scripted):
    """Gives each option behind a letter the weight that `weigh` says, by letter and option."""

    script: Callable[..., str | Unscored] = lambda case: "A"
    weigh: Callable[[str, str], float] = lambda letter, option: 1.0

    def continued(
        self, asked: Sequence[Continued], advance: Advance = silent
    ) -> list[tuple[float, ...] | Unscored]:
        """See Respondent."""
        return [self._scores(each) for each in asked]

    def _scores(self, asked: Continued) -> tuple[float, ...]:
        lines = [line.split(". ", 1) for line in asked.text.splitlines()[1:-1]]
        if not lines:
            return tuple(math.log(self.weigh("", text.strip())) for text in asked.behind)
        weights = [self.weigh(letter, option) for letter, option in lines]
        logs = [math.log(w) if w else -math.inf for w in weights]
        return tuple(each for log in logs for each in (log, log - 1))


def question(
    place: int, options: Sequence[str], shares: Sequence[float], n: float | None = 500
) -> SurveyQuestion:
    groups = {"country": {"here": GroupShares(tuple(shares), n)}}
    scale = tuple(float(n) for n in range(len(options)))
    return SurveyQuestion(
        f"{place:064}", f"Question {place}?", tuple(options), scale, (), "", "", groups
    )


def content(option: str) -> float:
    return {"none": 0.1, "some": 0.2, "much": 0.3, "all": 0.4, "every": 0.5, "lots": 0.6}[option]


WORDS = ("none", "some", "much", "all", "every", "lots")
QUESTIONS = tuple(
    question(n, WORDS[:k], np.arange(k, 0, -1) / np.arange(1, k + 1).sum())
    for n, k in enumerate((2, 3, 4, 4, 5, 6))
)


def rows(weigh: Callable[[str, str], float], *readings: str) -> list[Row]:
    asked = OpinionsAsked(Survey(QUESTIONS, (), "test"), readings or ("letters",))
    return measured_opinions(EvalContext(opinions=asked), Letters(weigh=weigh))


@pytest.mark.parametrize("which", ["all", "rotations"])
@pytest.mark.parametrize("options", range(2, 8))
def test_every_option_stands_in_every_place_as_often(options: int, which: str) -> None:
    listed = orders(options, which)
    assert listed[0] == tuple(range(options)) and len(set(listed)) == len(listed)
    assert len(listed) == (math.factorial(options) if which == "all" and options < 5 else
                           2 if options == 2 else 2 * options)  # fmt: skip
    for place in range(options):
        counts = [sum(order[place] == option for order in listed) for option in range(options)]
        assert len(set(counts)) == 1


def test_who_always_says_a_equals_uniform() -> None:
    for row in rows(lambda letter, option: float(letter == "A")):
        scores = row.metrics
        assert scores["representativeness"] == pytest.approx(scores["uniform"], abs=1e-12)
        assert scores["above_uniform"] == pytest.approx(0, abs=1e-12)
        assert scores["first_letter"] == pytest.approx(1, abs=1e-8)
        assert scores["entropy"] == pytest.approx(math.log(round(1 / scores["chance"])), abs=1e-9)
        assert scores["as_printed"] != pytest.approx(scores["uniform"], abs=1e-3)


def test_who_answers_by_content_is_recovered_exactly() -> None:
    for row, asked in zip(rows(lambda letter, option: content(option)), QUESTIONS, strict=True):
        weights = np.array([content(option) for option in asked.options])
        shares = row.detail["shares"]["letters"]
        assert shares == pytest.approx((weights / weights.sum()).tolist(), abs=1e-12)
        assert row.detail["printed"] == pytest.approx(shares, abs=1e-12)
        assert row.metrics["mass"] == pytest.approx(weights.sum(), abs=1e-6)


def test_permuting_options_changes_nothing() -> None:
    respondent = Letters(
        weigh=lambda letter, option: content(option) * {"A": 3, "B": 2}.get(letter, 1)
    )
    for k in (2, 3, 4):
        found = {}
        for order in permutations(range(k)):
            asked = question(0, [WORDS[n] for n in order], [1 / k] * k)
            (answered,) = by_letters(respondent, [asked])
            assert not isinstance(answered, Unscored)
            found[order] = [answered.shares[order.index(n)] for n in range(k)]
        assert all(
            each == pytest.approx(found[tuple(range(k))], abs=1e-12) for each in found.values()
        )


def test_the_text_is_read_against_no_question() -> None:
    for row in rows(lambda letter, option: content(option), "text"):
        shares = row.detail["shares"]["text"]  # as likely with a question as without
        assert shares == pytest.approx([1 / len(shares)] * len(shares))
        assert row.metrics["text_representativeness"] == pytest.approx(row.metrics["uniform"])


def test_written_answers_are_read_in_two_orders() -> None:
    asked = OpinionsAsked(Survey(QUESTIONS[:3], (), "test"), ("written",))
    said = [measured_opinions(EvalContext(opinions=asked), Scripted(lambda case, text=text: text))
            for text in ("A", "I would say some.", "none or some")]  # fmt: skip
    assert said[0][2].detail["shares"]["written"] == [0.5, 0, 0, 0.5]
    assert said[1][2].detail["shares"]["written"] == [0, 1, 0, 0]
    assert [row.metrics["written_read"] for row in said[2]] == [0, 0, 0]
    assert isinstance(said[2][0].metrics["written_representativeness"], Unscored)
    torn = [measured_opinions(EvalContext(opinions=asked),
                              Scripted(lambda case, text=text: text, finished=False))
            for text in ("I would say some. Or so,", "I would say some")]  # fmt: skip
    assert [row.metrics["written_read"] for row in torn[0]] == [
        row.metrics["written_read"] for row in said[1]
    ]
    assert [row.metrics["written_read"] for row in torn[1]] == [0, 0, 0]


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        ("Very good", 0),
        ("B", 1),
        ("I think that it is somewhat good for us.", 1),
        ("The answer is C.", 2),
        ("very bad, I'm afraid", 3),
        ("It is not very good", None),
        ("Very good or very bad", None),
        ("That depends", None),
        ("", None),
    ],
)
def test_a_reply_names_an_option_or_none(reply: str, place: int | None) -> None:
    chosen = option_named(reply, ["Very good", "Somewhat good", "Somewhat bad", "Very bad"])
    assert chosen == place if place is not None else isinstance(chosen, Unscored)


def test_a_question_without_people_or_order_is_unscored_with_the_reason() -> None:
    alone = SurveyQuestion("0" * 64, "Which?", ("none", "some"), None, (), "", "", {})
    asked = OpinionsAsked(Survey((alone,), (), "test"))
    (row,) = measured_opinions(EvalContext(opinions=asked), Letters())
    assert row.metrics["entropy"] == pytest.approx(math.log(2))
    reason = row.metrics["representativeness"]
    assert isinstance(reason, Unscored) and "people" in reason.reason


@pytest.mark.model
@pytest.mark.skipif(LETTERS is None, reason="the letters of plain transformers aren't here")
def test_letters_of_plain_transformers() -> None:
    from truing.candidates import open_candidate
    from truing.evaluate.local import LocalRespondent
    from truing.evaluate.opinion_readings import letter_log_probs

    assert LETTERS is not None
    every = [json.loads(line) for line in LETTERS.read_text().splitlines()]
    some = [row for row in every if row["order"] == sorted(row["order"])][:4]
    candidate, _ = open_candidate("smollm2-135m", 0, "float32")
    asked = [
        Continued(
            lettered(row["question"], [row["options"][n] for n in row["order"]]),
            letter_texts(len(row["order"])),
        )
        for row in some
    ]
    for row, scores in zip(some, LocalRespondent(candidate).continued(asked), strict=True):
        assert not isinstance(scores, Unscored)
        assert letter_log_probs(scores) == pytest.approx(row["letter_logprobs"], abs=1e-4)


def test_the_command_says_the_verdict_first_and_draws_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    lines = [
        {
            "question": f"how is <b>{place}</b>?",
            "options": ["good", "fair", "bad"],
            "scale": "equal",
            "groups": {"party": {"red": {"shares": [0.5, 0.3, 0.2], "n": 90},
                                 "blue": {"shares": [0.2, 0.3, 0.5], "n": 80}}},
        }
        for place in range(7)
    ]  # fmt: skip
    Path("survey.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for seed, name in enumerate(("one", "two")):
        saved(tmp_path / name, seed=seed)
    line = ["eval", "opinions", "--survey", "survey.jsonl", "--read", "letters", "text"]
    line += ["--candidate", "one", "--candidate", "two", "--dtype", "float32", "--out", "out"]
    done = CliRunner().invoke(app, [*line, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["candidates"]["one"]["opinions"]["own"]["first_letter"]["n"] == 7
    assert len(found["opinions"]["verdicts"]["two"]["own"]["groups"]) == 2
    page = Path("out/report.html").read_text()
    assert "Whose opinions" in page and "party: red" in page and "<b>" not in page
    wrong = CliRunner().invoke(app, ["eval", "opinions", "--candidate", "one"])
    assert wrong.exit_code == 2 and "--survey" in wrong.output
