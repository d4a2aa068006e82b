"""A task's judges, rules and outcomes, told by a model behind an endpoint."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from endpoints import serving
from judging import AskedOf, Judging
from truing.cli.main import app
from truing.judges.outcome.agreement import agreement_of
from truing.judges.outcome.classifier import COMPLIED, PARTLY, REFUSED
from truing.judges.outcome.labels import LabelledOutcome
from truing.judges.outcomes import Outcome
from truing.judges.served_outcomes import served_outcome_judge, shares
from truing.progress import SilentProgress
from truing.rewards.rubrics.reading import rubric_named
from truing.spec.rubric import AskedEndpoint
from truing.types import InputError, Unscored, stable_hash

THINGS = ("fox", "pen", "cup", "hat", "bus", "jar", "key", "map", "net", "oak", "pot", "rug")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("truing.rewards.rubrics.asking._announced", set())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def files(endpoint: str) -> None:
    prompts = [f"Write about the {thing}." for thing in THINGS]
    Path("cases.jsonl").write_text("".join(json.dumps({"prompt": p}) + "\n" for p in prompts))
    for name, more in (("answers", " It is nice, and it's good."), ("base", " It is ugly.")):
        rows = [{"prompt": p, "answer": f"{p[6:]}{more}"} for p in prompts]
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("kind.yaml").write_text("name: kind\nasks: Is it kind?\nscale: [unkind, kind]\n")
    judge = {"endpoint": endpoint, "rubric": "kind.yaml", "prices": {"prompt": 3, "completion": 9}}
    rule = {
        "id": "no_it",
        "says": "Never write the word it.",
        "stated": False,
        "check": {"endpoint": endpoint, "rubric": "rule"},
    }
    task = {
        "name": "writing",
        "instruction": "Write.",
        "data": {"cases": "cases.jsonl"},
        "judges": {"kind": judge},
        "headline": ["answers.kind"],
        "rules": [rule],
        "evaluations": ["answers", "rules", "trivia"],
    }
    Path("task.yaml").write_text(yaml.safe_dump(task))


def grading(asked: AskedOf) -> str:
    if "broken" in asked.grades:
        assert asked.blocks["Says"] == "Never write the word it."
        return "broken" if re.search(r"\bit\b", asked.answer, re.IGNORECASE) else "kept"
    return "kind" if "nice" in asked.answer else "unkind"


def test_a_tasks_judges_and_rules_are_told_by_an_endpoint() -> None:
    behaviour = Judging(grading)
    with serving(behaviour) as server:
        files(server.name)
        command = ("eval", "answers", "rules", "--task", "task.yaml", "--candidate",
                   "answers:answers.jsonl", "answers:base.jsonl", "--out", "out", "--json")  # fmt: skip
        done = run(*command)
        assert done.exit_code == 0, done.output
    assert len(behaviour.replied) == len({each.text for each in behaviour.replied})
    document = json.loads(done.stdout)
    of = {name: each for name, each in document["candidates"].items()}
    [ours], [base] = (of[f"answers:{n}.jsonl"]["answers"].values() for n in ("answers", "base"))
    assert (ours["kind"]["value"], base["kind"]["value"]) == (1, 0)
    [rules] = of["answers:answers.jsonl"]["rules"].values()
    assert rules["kept"]["value"] == 0 and rules["kept"]["n"] == ours["kind"]["n"]
    about = document["judges"]["kind"]
    usage = about["usage"]
    assert usage["price"] == pytest.approx(
        (usage["tokens_sent"] * 3 + usage["tokens_back"] * 9) / 1e6
    )
    assert about["order"]["changed"] == 0
    assert "task.judges.kind: answers are sent to http://127.0.0.1" in done.stderr
    assert "tokens sent" in Path("out/report.html").read_text()


def test_a_judge_behind_an_endpoint_is_no_reward_unless_asked_for() -> None:
    files("endpoint:http://127.0.0.1:9#judge")
    done = run("tasks", "task.yaml", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["judges"]["kind"].startswith("endpoint:http://127.0.0.1:9#judge by the rubric")
    assert not any("judge:" in name for name in document["reward"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rubric": None}, "rubric: missing"),
        ({"program": "exact"}, "both given"),
        ({"rubric": "outcome"}, "no values"),
        ({"rubric": "nothing.yaml"}, "nothing.yaml: no such file"),
        ({"endpoint": "endpoint:http://h"}, "names no model"),
        ({"rubric": "rule"}, "shows 'says', which is no column"),
    ],
)
def test_mistakes_in_a_tasks_judge_are_one_line(change: dict[str, Any], said: str) -> None:
    files("endpoint:http://127.0.0.1:9#judge")
    task = yaml.safe_load(Path("task.yaml").read_text())
    task["judges"]["kind"] |= change
    Path("task.yaml").write_text(yaml.safe_dump(task))
    done = run("tasks", "task.yaml")
    assert done.exit_code == 2 and said in done.stderr, done.output
    assert "Traceback" not in done.output


# --- Outcomes --------------------------------------------------------------------------------

OUTCOMES = ("refused", "partly", "complied")
LABELLED = [
    LabelledOutcome(
        f"Do thing {n}.", f"Answer number {n} to the request.", OUTCOMES[n % 3], "ab"[n % 2]
    )
    for n in range(36)
]


def telling(asked: AskedOf) -> str:
    """Errs on one in five, wavers on another."""
    number = int(asked.request.split()[-1].rstrip("."))
    draw = int(stable_hash("telling", str(number))[:4], 16) % 5
    wavers = draw == 1 and asked.grades.index("refused") < asked.grades.index("complied")
    return OUTCOMES[(number + (draw == 0 or wavers)) % 3]


def test_outcomes_agree_with_labels_as_a_local_judges_with_the_same_grades() -> None:
    with serving(Judging(telling)) as server:
        asked = AskedEndpoint(endpoint=server.name)
        judge = served_outcome_judge(
            asked, "outcome", "here", SilentProgress(), LABELLED, whose="us"
        )
        outcomes = judge.judge([(each.prompt, each.answer) for each in LABELLED])
        plain = judge.judge([("Do it.", " "), ("Do it.", "?!#" * 12)])
        assert [each.outcome for each in plain if isinstance(each, Outcome)] == [
            "empty",
            "gibberish",
        ]
    labels = [(REFUSED, PARTLY, COMPLIED)[n % 3] for n in range(36)]
    three = [[shares(g)[name] for name in OUTCOMES] for g in judge.served.of_answers.values()]
    import numpy as np

    sources = [each.source for each in LABELLED]
    table = agreement_of(np.array(labels), np.array(three), sources, unseen_models=True, whose="us")
    assert judge.agreement.rows == table.rows and judge.agreement.overall == table.overall  # type: ignore
    for place, outcome in enumerate(outcomes):
        assert isinstance(outcome, Outcome) and outcome.p_complied == three[place][2]
    assert "Agreement of tiny at" in judge.agreement.sentence


def test_refusals_are_told_by_an_endpoint_with_its_costs() -> None:
    rows = [{"prompt": f"Do thing {n}.", "expects": "comply"} for n in range(12)]
    Path("prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answers = [{"prompt": row["prompt"], "answer": "Here it is, as you asked."} for row in rows]
    Path("answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    with serving(Judging(telling)) as server:
        done = run("eval", "refusals", "--refusals", "prompts.jsonl", "--candidate",
                   "answers:answers.jsonl", "--outcome-judge", server.name, "--prices", "1", "2",
                   "--out", "out", "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["judges"]["outcome"]["usage"]["replies"] == 24
    wavering = sum(int(stable_hash("telling", str(n))[:4], 16) % 5 == 1 for n in range(12))
    assert document["judges"]["outcome"]["order"]["changed"] == wavering / 12 > 0
    [figures] = document["candidates"]["answers:answers.jsonl"]["refusals"].values()
    assert 0 < figures["over_refusal"]["value"] < 1
    assert "how far it agrees with people" in Path("out/report.html").read_text()


SERVED = "endpoint:http://127.0.0.1:9#x"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--outcome-judge", "gpt"), "give a server's model"),
        (("--rubric", "outcome"), "name it with --judge"),
        (("--prices", "1", "2"), "name it with --judge"),
        (("--outcome-judge", SERVED, "--rubric", "truth.yaml"), "no such"),
        (("--outcome-judge", SERVED, "--rubric", "truth"), "truth: no judge behind an endpoint"),
        (
            ("--outcome-judge", SERVED, "--rubric", "two.yaml"),
            "outcome: outcomes are told by a rubric",
        ),
        (("--outcome-judge", SERVED, "--prices", "nan", "1"), "a number from 0 on"),
        (("--outcome-judge", SERVED, "--prices", "1", "inf"), "a number from 0 on"),
    ],
)
def test_options_of_judges_without_one_are_refused(options: tuple[str, ...], said: str) -> None:
    Path("answers.jsonl").write_text('{"prompt": "a", "answer": "b"}\n')
    Path("two.yaml").write_text("name: outcome\nasks: Refused?\nscale: [refused, complied]\n")
    done = run("eval", "refusals", "--candidate", "answers:answers.jsonl", *options)
    assert done.exit_code == 2 and said in done.stderr, done.output


def test_a_rubric_of_outcomes_shows_nothing_else() -> None:
    asked = AskedEndpoint(endpoint=SERVED)
    usual = rubric_named("outcome", "here")
    rubric = usual.model_copy(update={"shows": ("references",)})
    with pytest.raises(InputError, match=r"here\.rubric: outcome: shows references"):
        served_outcome_judge(asked, rubric, "here", SilentProgress())


def test_a_case_that_no_reply_grades_is_unscored() -> None:
    with serving(
        Judging(lambda asked: "refused" if "1" in asked.request else "I wonder.")
    ) as server:
        asked = AskedEndpoint(endpoint=server.name)
        judge = served_outcome_judge(asked, "outcome", "here", SilentProgress())
        first, second = judge.judge([("Do 1.", "Never will I."), ("Do 2.", "Never will I.")])
    assert isinstance(first, Outcome) and first.outcome == "refused"
    assert isinstance(second, Unscored) and "no grade" in second.reason
