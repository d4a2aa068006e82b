"""Steering to a group: who follows it is shown to, exactly, who doesn't isn't; groups that nobody knows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from scripted import Scripted
from tiny import saved
from truing.cli.main import app
from truing.data.surveys.question import GroupShares, Survey, SurveyQuestion
from truing.data.surveys.steering import WAYS, SteeredTo, Way, steered_groups
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.opinion_prompts import OpinionsAsked
from truing.evaluate.opinion_steering import before
from truing.evaluate.opinions import measured_opinions
from truing.evaluate.respondent import Advance, Continued, silent
from truing.report.opinion_steering import Steering, steering
from truing.report.opinion_verdicts import verdict
from truing.types import InputError, Row, Unscored

RED = SteeredTo("party", "red")
AGREES = {"red": 0.9, "blue": 0.2, "green": 0.4}


def question(place: int) -> SurveyQuestion:
    """One on which a few more of each group agree than on the one before."""
    groups = {
        name: GroupShares((share + place / 1000, 1 - share - place / 1000), None)
        for name, share in AGREES.items()
    }
    return SurveyQuestion(
        f"{place:064}",
        f"Question {place}?",
        ("yes", "no"),
        (0.0, 1.0),
        (),
        "",
        "",
        {"party": groups},
    )


QUESTIONS = tuple(question(place) for place in range(24))


@dataclass
class Steerable(Scripted):
    """Says yes as often as `agrees` says of the text in front of the question and the question's place."""

    script: Callable[..., str | Unscored] = lambda case: "A"
    agrees: Callable[[str, int], float] = lambda ahead, place: 0.5

    def continued(
        self, asked: Sequence[Continued], advance: Advance = silent
    ) -> list[tuple[float, ...] | Unscored]:
        """See Respondent."""
        return [self._scores(each.text) for each in asked]

    def _scores(self, text: str) -> tuple[float, ...]:
        ahead, asked = text.rsplit("Question: Question ", 1)
        yes = self.agrees(ahead, int(asked.split("?")[0]))
        weights = [yes if " yes" in line else 1 - yes for line in asked.splitlines()[1:3]]
        return tuple(each for w in weights for each in (math.log(w), math.log(w) - 1))


def rows(
    agrees: Callable[[str, int], float], questions: Sequence[SurveyQuestion] = QUESTIONS
) -> list[Row]:
    asked = OpinionsAsked(Survey(tuple(questions), (), "test"), ("letters",), "all", (RED,))
    return measured_opinions(EvalContext(opinions=asked), Steerable(agrees=agrees))


def follows(way: Way) -> Callable[[str, int], float]:
    """One that answers as red does where it is steered to it by this way, else yes or no alike."""
    return lambda ahead, place: 0.9 + place / 1000 if ahead == before(way, RED) else 0.5


@pytest.mark.parametrize("way", WAYS)
def test_who_follows_a_way_is_steered_exactly(way: Way) -> None:
    steered = steering(measured := rows(follows(way)), 0)[RED.name]
    assert isinstance(steered, Steering) and steered.way == way
    assert steered.by_way[way] > 0 and sorted(steered.by_way.values())[:2] == pytest.approx([0, 0])
    assert (steered.chosen_on, steered.more.n) == (12, 12)
    for place, row in enumerate(measured):
        p = {name: share + place / 1000 for name, share in AGREES.items()}
        others = np.mean([abs(0.5 - p[n]) - abs(p["red"] - p[n]) for n in ("blue", "green")])
        gains = row.detail["steered"][RED.name]
        assert gains[way] == pytest.approx({"own": p["red"] - 0.5, "others": others}, abs=1e-12)
        assert [gains[each]["own"] for each in WAYS if each != way] == pytest.approx([0, 0])
    assert f"by {way} moves answers towards party=red more than towards others" in steered.sentence
    assert steered.sentence in verdict(measured, 0).sentences


def test_who_ignores_it_gains_nothing() -> None:
    steered = steering(rows(lambda ahead, place: 0.3), 0)[RED.name]
    assert isinstance(steered, Steering)
    assert [steered.more.value, steered.own.value, steered.others.value] == [0, 0, 0]
    assert "is within noise" in steered.sentence


@pytest.mark.parametrize(
    ("own", "others", "effect"),
    [
        (0.1, 0.1, "moves answers towards everybody alike"),
        (-0.1, -0.1, "moves answers away from everybody alike"),
        (0.1, 0.2, "serves other groups better than party=red"),
        (-0.1, -0.2, "moves answers away from others more than from party=red"),
        (0.2, 0.1, "moves answers towards party=red more than towards others"),
        (0.004, 0.0, "is within noise"),
    ],
)
def test_the_others_gain_is_taken_off(own: float, others: float, effect: str) -> None:
    ways = {way: {"own": own, "others": others} for way in WAYS}
    measured = [
        Row("a", 0, "opinions", str(n), {}, detail={"steered": {RED.name: ways}}) for n in range(20)
    ]
    steered = steering(measured, 0)[RED.name]
    assert isinstance(steered, Steering) and effect in steered.sentence


def test_the_way_is_scored_on_other_questions_than_it_is_chosen_on() -> None:
    def all_ways(own: int) -> dict[Way, dict[str, float]]:
        return {way: {"own": float(own), "others": 0.0} for way in WAYS}

    measured = [
        Row("a", 0, "opinions", str(n), {}, detail={"steered": {RED.name: all_ways(2**n)}})
        for n in range(21)
    ]
    steered = steering(measured, 0)[RED.name]
    assert isinstance(steered, Steering) and steered.own.value is not None
    scored = round(steered.own.value * steered.own.n)  # a bit for each question
    chosen = round(steered.by_way[steered.way] * steered.chosen_on)
    assert scored & chosen == 0 and scored | chosen == 2**21 - 1
    assert (scored.bit_count(), chosen.bit_count()) == (11, 10)
    assert steering(measured[::-1], 0)[RED.name] == steered


def test_what_cannot_be_judged_says_why() -> None:
    few = steering(rows(follows("question"), QUESTIONS[:19]), 0)[RED.name]
    assert isinstance(few, Unscored) and "9 questions" in few.reason and "takes 10" in few.reason
    unordered = [replace(each, scale=None) for each in QUESTIONS]
    none = steering(rows(follows("question"), unordered), 0)[RED.name]
    assert isinstance(none, Unscored) and "no declared order" in none.reason
    alone = [replace(q, groups={"party": {"red": q.groups["party"]["red"]}}) for q in QUESTIONS]
    none = steering(rows(follows("question"), alone), 0)[RED.name]
    assert isinstance(none, Unscored) and "no other group" in none.reason


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("party=rde", "did you mean 'party=red'?"),
        ("Party=red", "did you mean 'party=red'?"),
        ("red", "DIMENSION=VALUE"),
        ("", "DIMENSION=VALUE"),
    ],
)
def test_a_group_that_no_question_has_is_a_mistake(name: str, wrong: str) -> None:
    survey = Survey(QUESTIONS, (), "test")
    with pytest.raises(InputError) as error:
        steered_groups(survey, ["party=red", name])
    assert wrong in str(error.value) and "known: party=red, party=blue" in str(error.value)
    assert steered_groups(survey, ["party=red", "party=red"]) == (RED,)
    with pytest.raises(InputError, match="no groups of people"):
        steered_groups(Survey((replace(QUESTIONS[0], groups={}),), (), "test"), ["party=red"])


def test_the_command_steers_and_compares_topics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    lines = [
        {
            "question": f"how is {place}?",
            "options": ["good", "bad"],
            "scale": "equal",
            "topic": f"<b>{place % 2}",
            "groups": {"income": {"<b>low, or none": {"shares": [0.7, 0.3]},
                                  "high": {"shares": [0.2, 0.8]}}},
        }
        for place in range(20)
    ]  # fmt: skip
    Path("survey.jsonl").write_text("\n".join(map(json.dumps, lines)))
    saved(tmp_path / "one", seed=0)
    line = ["eval", "opinions", "--survey", "survey.jsonl", "--candidate", "one"]
    line += ["--dtype", "float32", "--out", "out", "--steer", "income=<b>low, or none"]
    done = CliRunner().invoke(app, line, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    document = json.loads(Path("out/results.json").read_text())
    of_one = document["opinions"]["verdicts"]["one"]["own"]
    assert of_one["steering"]["income=<b>low, or none"]["more_than_others"]["n"] == 10
    assert 0 <= of_one["consistency"]["income"]["chance"] <= 1
    page = Path("out/report.html").read_text()
    for text in ("Steering to income=", "Consistency by income"):
        assert text in page and text in done.output
    assert "<b>" not in page
    wrong = CliRunner().invoke(app, [*line[:-1], "income=hihg"])
    assert wrong.exit_code == 2 and "did you mean 'income=high'?" in wrong.output.replace("\n", " ")
