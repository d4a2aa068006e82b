"""Judges behind an endpoint: the figures of a local judge with the same grades, and bad servers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from endpoints import Answer as Reply
from endpoints import Server, serving
from judging import AskedOf, Judging
from labelled import world, write_world
from truing.cli.main import app
from truing.data.labelled_answers import LabelledAnswer
from truing.judges import fitting
from truing.judges.correction import Calibration
from truing.judges.fitting import fit_judges, matched
from truing.judges.graded import corrected, graded
from truing.judges.served import ServedJudges, measured, served_judges, tells_nothing
from truing.judges.served_labels import LabelledSample, people_sample
from truing.judges.stacked import Answers
from truing.models.memo.answers import Answer
from truing.models.remote import client
from truing.progress import SilentProgress
from truing.spec.rubric import AskedEndpoint
from truing.types import InputError, stable_hash

CASES, ANSWERS = world(40)
GRADES = ("false", "true"), ("no", "yes")
Said = dict[tuple[str, str, str], tuple[int, int]]
"""Of (question, answer, what is told) the grade's place in both orders of the scale."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    quick = partial(client.Connection, first_wait=0.001)
    monkeypatch.setattr("truing.rewards.rubrics.asking.Connection", quick)
    monkeypatch.setattr("truing.rewards.rubrics.asking._announced", set())


def said_of(question: str, answer: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """A judge that knows the labels, errs on one in five, and wavers with the order on one in ten."""
    labels = {(c.prompt, a): (t, i) for c, a, t, i in ANSWERS}.get((question, answer), (1, 1))
    draw = random.Random(stable_hash("said", question, answer))
    both = []
    for label in labels:
        grade = label if draw.random() > 0.2 else 1 - label
        both.append((grade, grade if draw.random() > 0.1 else 1 - grade))
    return both[0], both[1]


def knowing(asked: AskedOf) -> str:
    """Replies by `said_of`."""
    truth, informative = said_of(asked.request, asked.answer)
    scale, said = (GRADES[0], truth) if "true" in asked.grades else (GRADES[1], informative)
    return scale[said[asked.grades != scale]]


def files(informative: int = 8) -> dict[str, list[LabelledAnswer]]:
    """The labels, for informativeness of the first questions only."""
    return {
        "truth": [LabelledAnswer(c.prompt, a, bool(t)) for c, a, t, _ in ANSWERS],
        "informative": [
            LabelledAnswer(c.prompt, a, bool(i)) for c, a, _, i in ANSWERS[: 8 * informative]
        ],
    }


LABELLED = matched(CASES, files())
FEW = people_sample(matched(CASES, files(len(CASES))), 0, 24)


def behind(server: Server, sample: LabelledSample = FEW) -> ServedJudges:
    """Judges behind a server, held against labels."""
    judges = served_judges(AskedEndpoint(endpoint=server.name), (), "judge", SilentProgress())
    return measured(judges, sample, "judge")


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A local judge of the same grades: it reads them from the vectors, which hold them."""

    def read(pairs: Any) -> np.ndarray:
        return np.array(
            [[sum(said) / 2 for said in said_of(*pair)] + [random.Random(str(pair)).random()] * 2
             for pair in pairs], dtype=np.float32
        )  # fmt: skip

    class Reads:
        def __init__(self, place: int) -> None:
            self.place = place

        def probability(self, answers: Answers) -> np.ndarray:
            return answers.vectors[:, self.place].astype(np.float64)

    places = iter(range(2))

    def known(answers: Answers, label: Any, fold: Any, seed: int) -> Any:
        judge = Reads(next(places))
        return [judge] * 5, judge.probability(answers)

    monkeypatch.setattr(fitting, "cross_fit", known)
    yield fit_judges(CASES, LABELLED, read, SilentProgress(), 0).judges


def test_200_labels_give_a_local_judges_agreement_correction_and_interval(local: Any) -> None:
    behaviour = Judging(knowing)
    with serving(behaviour) as server:
        served = behind(server, people_sample(LABELLED, 0))
        answers = [Answer(f"it looks {'red' if n % 3 else 'blue'} to me", True) for n in range(40)]
        ours, theirs = (
            corrected(grader, graded(grader, CASES, answers), 0) for grader in (served, local)
        )
    for name, labels in (("truth", 200), ("informative", 40)):
        figures = replace(served.agreement[name], order_changed=None, unread=None)
        assert figures.n == labels and figures == replace(local.agreement[name], rouge=None)
        assert 0 < (served.agreement[name].order_changed or 0) < 0.25
        assert served.agreement[name].unread == 0
    for name, calibration in local.calibration.items():
        mine = served.calibration[name]
        assert np.array_equal(mine.score, calibration.score)
        assert np.array_equal(mine.label, calibration.label)
    assert ours == theirs
    assert all(e.low is not None and e.high is not None and e.low < e.high for e in ours.values())
    orders = [each.grades for each in behaviour.replied]
    assert len({each.text for each in behaviour.replied}) == len(orders)  # nothing twice
    for scale in GRADES:
        assert orders.count(scale) == orders.count(scale[::-1]) > 0


def test_replies_are_kept_for_the_next_process_with_what_they_cost() -> None:
    behaviour = Judging(knowing)
    with serving(behaviour) as server:
        first, again = behind(server), behind(server)
    assert len(behaviour.replied) == 4 * 24
    usage, before = again.summaries[0].usage, first.summaries[0].usage
    assert (usage.fresh, before.fresh) == (0, 48)
    sent = sum(len(each.text.split()) for each in behaviour.replied if "true" in each.grades)
    assert usage.tokens_sent == before.tokens_sent == sent and usage.tokens_back == 48
    assert again.agreement == first.agreement


def test_a_server_that_dies_midway_loses_nothing() -> None:
    dying, well = Judging(knowing, dies_after=30), Judging(knowing)
    with serving(dying) as server:
        with pytest.raises(InputError, match=r"503.* replies there, which are kept") as raised:
            behind(server)
        assert "\n" not in str(raised.value)
        server.behaviour = well
        whole = behind(server)
    texts = [each.text for each in (*dying.replied, *well.replied)]
    assert len(dying.replied) == 30 and len(texts) == len(set(texts)) == 4 * 24
    assert whole.agreement["truth"].n == 24


def test_a_server_that_is_too_busy_is_to_be_asked_less_at_once() -> None:
    gone = Judging(knowing, dies_after=0)

    def busy(path: str, body: dict[str, Any]) -> Reply:
        answer = gone(path, body)  # the trial aside
        return (429, "", {"retry-after": "0"}) if answer[0] == 503 else answer

    with serving(busy) as server, pytest.raises(InputError, match="429") as raised:
        behind(server)
    assert "replies there" in str(raised.value) and "(at_once)" in str(raised.value)


@pytest.mark.parametrize(
    "reply",
    ["Well, that is hard to say about this answer.", "Wahr.", "not true", "", "true or false"],
)
def test_replies_that_are_no_grade_end_it_early(reply: str) -> None:
    behaviour = Judging(lambda asked: reply)
    with serving(behaviour) as server:
        with pytest.raises(InputError, match="none of its 20 replies") as raised:
            behind(server)
        assert "\n" not in str(raised.value) and "false, true" in str(raised.value)
    assert len(behaviour.replied) < 40


def test_a_judge_that_always_says_the_same_is_said_to_tell_nothing() -> None:
    def same(asked: AskedOf) -> str:
        return "yes" if "yes" in asked.grades else "true"

    with serving(Judging(same)) as server:
        judges = behind(server)
        answers = [Answer("it is red.", True)] * 12
        estimates = corrected(judges, graded(judges, CASES[:12], answers), 0)
    [truth, _] = judges.summaries
    assert any("always the same grade ('true', of" in line for line in truth.lines())
    assert estimates["true"].value is None and estimates["true"].unscored == 12


def test_labels_of_one_side_alone_are_said_to_correct_nothing() -> None:
    score, label = np.array([0.2, 0.8]), np.array([1, 1])
    assert "2 good and 0 bad" in tells_nothing("x", Calibration(score, label, np.arange(2)))
    none = Calibration(score[:0], label[:0], label[:0])
    assert "0 good and 0 bad" in tells_nothing("x", none)
    told = Calibration(score, np.array([0, 1]), np.arange(2))
    assert tells_nothing("x", told) == ""


def test_some_answers_without_a_grade_are_counted_with_the_reason() -> None:
    def sometimes(asked: AskedOf) -> str:
        return "I can't tell." if "to me" in asked.answer else knowing(asked)

    with serving(Judging(sometimes)) as server:
        judges = behind(server)
    assert judges.agreement["truth"].n + judges.agreement["truth"].unread == 24
    assert judges.agreement["truth"].unread > 5
    reasons = judges.summaries[0].unscored
    assert reasons == {"the judge's reply gives no grade": judges.agreement["truth"].unread}


# --- The commands ----------------------------------------------------------------------------


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def recorded() -> None:
    rows = [{"prompt": c.prompt, "answer": a} for c, a, *_ in (*ANSWERS[:80:8], *ANSWERS[82::8])]
    Path("answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def judge_spec(server: Server, **more: Any) -> None:
    spec = {
        "data": {"questions": "questions.jsonl"},
        "judge": {
            "endpoint": server.name,
            "truth": "truth.jsonl",
            "informative": "info.jsonl",
            "prices": {"prompt": 1.0, "completion": 2.0},
            **more,
        },
    }
    Path("judge.yaml").write_text(yaml.safe_dump(spec))


EVAL = ("eval", "truthfulness", "--questions", "questions.jsonl", "--candidate",
        "answers:answers.jsonl", "--free", "--judge")  # fmt: skip


def test_a_judge_held_against_labels_grades_an_evaluation_from_its_folder() -> None:
    write_world(Path(), CASES, ANSWERS)
    recorded()
    behaviour = Judging(knowing)
    with serving(behaviour) as server:
        judge_spec(server, labels=16)
        made = run("train", "judge", "judge.yaml", "--out", "held")
        assert made.exit_code == 0, made.output
        assert made.stderr.count("judge: answers are sent to") == 1
        again = run("train", "judge", "judge.yaml", "--out", "again")
        assert "(0 asked for now)" in again.stdout and "(0 of it now)" in again.stdout
        assert "of it now" not in made.stdout
        assert "accuracy 0." in made.stdout and "USD" in made.stdout and "16 labels" in made.stdout
        assert len(behaviour.replied) == 64
        done = run(*EVAL, "held/judge", "--limit", "20", "--out", "evaluated", "--json")
        assert done.exit_code == 0, done.output
    assert len(behaviour.replied) <= 64 + 4 * 20  # what was graded for the labels isn't asked again
    document = json.loads(done.stdout)
    [figures] = document["candidates"]["answers:answers.jsonl"]["truthfulness"].values()
    assert figures["true"]["n"] == 20 and figures["true"]["low"] < figures["true"]["high"]
    served = document["free"]["served"]["truth"]
    assert served["usage"]["price"] > 0 and served["order"]["answers"] == 20
    assert document["free"]["held_against"] == "truth.jsonl and info.jsonl"
    page = Path("evaluated/report.html").read_text()
    assert "Changed by the order of grades" in page and "tokens sent" in page


def test_without_labels_a_judge_is_held_against_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("truing.judges.served_labels.REFERENCE_QUESTIONS", 6)
    write_world(Path(), CASES, ANSWERS)
    recorded()

    def of_references(asked: AskedOf) -> str:
        if "yes" in asked.grades:
            return "yes" if " is " in asked.answer else "no"
        return "true" if asked.answer in TRUE[asked.request] else "false"

    behaviour = Judging(of_references)
    with serving(behaviour) as server:
        done = run(*EVAL, server.name, "--limit", "12", "--out", "evaluated", "--json")
        assert done.exit_code == 0, done.output
    assert "answers are sent to http://127.0.0.1" in done.stderr
    assert json.loads(done.stdout)["free"]["agreement"]["truth"]["accuracy"] == 1
    left_out = 0
    for each in behaviour.replied:  # a reference is never graded by itself
        good, bad = (each.blocks.get(f"Known {side} answers", "") for side in ("good", "bad"))
        known = [*good.splitlines(), *bad.splitlines()]
        if 0 < len(known) < 6:
            left_out += 1
            assert f"- {each.answer}" not in known
    assert left_out == 24


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"true": "true", "yes": "yes"}, "always the same grade"),
        ({}, "can't tell them apart"),
    ],
)
def test_shares_by_a_judge_that_tells_nothing_say_why_and_nothing_is_accepted(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str], reason: str
) -> None:
    monkeypatch.setattr("truing.judges.served_labels.REFERENCE_QUESTIONS", 6)
    write_world(Path(), CASES, ANSWERS)
    recorded()

    def blind(asked: AskedOf) -> str:
        good = next(grade for grade in ("true", "yes") if grade in asked.grades)
        bad = next(grade for grade in asked.grades if grade != good)
        wrong = asked.answer in TRUE[asked.request]
        return said.get(good, bad if wrong else good)

    with serving(Judging(blind)) as server:
        done = run(*EVAL, server.name, "--limit", "6", "--out", "evaluated", "--json")
        assert done.exit_code == 0, done.output
        shown = run(*EVAL, server.name, "--limit", "6")
    document = json.loads(done.stdout)
    [figures] = document["candidates"]["answers:answers.jsonl"]["truthfulness"].values()
    assert figures["true"]["value"] is None and figures["true"]["unscored"] == 6
    assert reason in document["free"]["unscored"]["true"]
    page = unescape(Path("evaluated/report.html").read_text())
    for text in (page, " ".join(shown.stdout.split())):
        assert "shares of true are unscored" in text and reason in text
    assert "0 of 0" in page and ">6 of 6<" not in page
    assert set(document["free"]["unscored"]) == {"true", "informative", "true_and_informative"}
    assert "are corrected for the judges" not in page


TRUE = {case.prompt: case.correct_answers for case in CASES}


@pytest.mark.parametrize(
    ("rubric", "said"),
    [
        ("name: truth\nasks: Is it true?\n", "scale: missing; name at least two grades"),
        ("name: truth\nasks: x\nscale: [true]\n", "1 grade(s) tell nothing apart"),
        ("name: truth\nasks: x\nscale: {a: good, b: bad}\n", "its grades have no values"),
        ("name: truht\nasks: x\nscale: [a, b]\n", "did you mean 'truth'?"),
        ("name: truth\nasks: x\nscale: {a: {value: 1}, b: {}}\n", "some grades have a value"),
        ("- 1\n", "a rubric is a mapping"),
        ("name: truth\nasks: x\nscale: [a, A]\n", "capitals or spaces alone"),
        ("name: truth\nasks: x\nscale: [a, b]\nmore: 1\n", "more: unknown key"),
        (
            "name: truth\nasks: x\nscale: [a, b]\nshows: [colour]\n",
            "shows 'colour', which is no column",
        ),
    ],
)
def test_a_wrong_rubric_is_one_line_before_anything_is_asked(rubric: str, said: str) -> None:
    write_world(Path(), CASES, ANSWERS)
    recorded()
    Path("rubric.yaml").write_text(rubric)
    with serving(Judging(knowing)) as server:
        done = run(*EVAL, server.name, "--rubric", "rubric.yaml", "--out", "evaluated")
    assert done.exit_code == 2 and said in done.stderr, done.output
    assert "rubric" in done.stderr and "Traceback" not in done.output
    assert not server.seen and not Path("evaluated").exists()


def said_by(reply: Callable[[AskedOf], str]) -> Result:
    with serving(Judging(reply, dies_after=30)) as server:
        return run(*EVAL, server.name, "--out", "evaluated")


def test_a_judge_in_prose_or_gone_ends_the_command_with_code_2() -> None:
    write_world(Path(), CASES, ANSWERS)
    recorded()
    prose, gone = said_by(lambda asked: "What a fine answer this is!"), said_by(knowing)
    for done, words in ((prose, "none of its 20 replies"), (gone, "which are kept")):
        assert done.exit_code == 2 and words in done.stderr, done.output
        assert not Path("evaluated").exists()
