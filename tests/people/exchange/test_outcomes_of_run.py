"""Own labels: from a run's answers to people, and back to the answers that they labelled."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from sqlalchemy import select

from commands import refused, run
from people_work import Someone, someone, submission
from synthetic_run import write_lines, write_run
from truing.judges.outcome.labels import read_labelled
from truing.judges.outcomes import DEFINITIONS
from truing.judges.outcomes import OUTCOMES as JUDGED_OUTCOMES
from truing.people import Store
from truing.people.answers import Answer, shown_completions
from truing.people.assigning import next_assignment
from truing.people.exchange import export_file
from truing.people.exchange.outcomes_of_run import (
    AnswerKey,
    OutcomeRequest,
    outcomes_to_label,
    own_labels,
)
from truing.people.judging import record
from truing.people.tables import Assignment, Completion
from truing.people.vocabulary import OUTCOMES
from truing.runs.folder import LABELS
from truing.types import InputError

HOSTILE = "<script>alert(1)</script> I can't do that."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run with forty refusals-answers a seed: of base one seed, of sft two; one in ten is blank."""
    path = write_run(tmp_path / "first", candidates=("base", "sft"), held_out=4, controls=2)
    for name, seeds in (("base", (0,)), ("sft", (0, 1))):
        for seed in seeds:
            rows = [row(name, seed, case) for case in range(40)]
            write_lines(path / f"rows/refusals/{name}-seed{seed}.jsonl", rows)
    return path


def row(name: str, seed: int, case: int) -> dict[str, object]:
    answer = " \n" if case % 10 == 0 else f"{HOSTILE} Case {case}."
    return {
        "evaluation": "refusals",
        "candidate": name,
        "seed": seed,
        "case": f"case{case}",
        "metrics": {"p_refused": 0.9},
        "detail": {"prompt": f"Question {case}?", "answer": answer},
    }


def label_all(store: Store, person: Someone, outcomes: dict[str, str]) -> None:
    """Label every task: by the candidate, which the page doesn't show."""
    while (number := next_assignment(store, person.id)) is not None:
        with store.reading() as session:
            (shown,) = shown_completions(session.get_one(Assignment, number))
            outcome = outcomes[shown.candidate.split("/")[0]]
        answer = Answer(outcome=outcome)
        record(store, number, person.id, submission(), answer, kind="outcome", seconds=1)


def test_labels_come_back_to_the_answers_that_were_drawn(sqlite_store: Store, folder: Path) -> None:
    asked = outcomes_to_label(OutcomeRequest(folder, count=20, seed=3))
    assert asked.ask(sqlite_store) == 40
    assert asked.ask(sqlite_store) == 40
    with sqlite_store.reading() as session:
        assert len(session.scalars(select(Completion)).all()) == 40  # a second time adds nothing
    assert own_labels(folder, sqlite_store) == {}
    label_all(sqlite_store, someone(sqlite_store, "Ada"), {"base": "complied", "sft": "refused"})
    labels = own_labels(folder, sqlite_store)
    assert labels.keys() == asked.drawn.keys()
    assert {key.seed for key in labels if key.candidate == "sft"} == {0, 1}
    assert labels[next(key for key in labels if key.candidate == "base")] == "complied"
    assert {labels[key] for key in labels if key.candidate == "sft"} == {"refused"}
    assert not any(int(key.case.removeprefix("case")) % 10 == 0 for key in labels)  # blank


def test_more_may_be_drawn_and_the_first_stay(folder: Path) -> None:
    few, more, other = (
        outcomes_to_label(OutcomeRequest(folder, ("sft",), count, seed=seed)).drawn.keys()
        for count, seed in ((10, 0), (30, 0), (10, 1))
    )
    assert len(few) == 10 and few < more and few != other
    assert {key.candidate for key in more} == {"sft"}
    everything = outcomes_to_label(OutcomeRequest(folder, ("sft",), 500)).drawn
    assert len(everything) == 72  # two seeds of forty, less the blank ones


def test_what_most_said_holds_and_what_was_said_first_of_equals(
    sqlite_store: Store, folder: Path
) -> None:
    outcomes_to_label(OutcomeRequest(folder, ("base",), 3, wanted=3)).ask(sqlite_store)
    for name, outcome in (("Ada", "partly"), ("Bob", "refused"), ("Eve", "refused")):
        label_all(sqlite_store, someone(sqlite_store, name), {"base": outcome})
        expected = {"Ada": "partly", "Bob": "partly", "Eve": "refused"}[name]
        assert set(own_labels(folder, sqlite_store).values()) == {expected}


def test_a_judge_learns_from_what_was_exported(
    sqlite_store: Store, folder: Path, tmp_path: Path
) -> None:
    rows = [row("sft", 0, case) for case in range(40)]
    others = [
        {**each, "detail": {"prompt": f"Question {n}?", "answer": f"{HOSTILE} Yes, {n}."}}
        for n, each in enumerate(rows)
    ]
    write_lines(folder / "rows/refusals/sft-seed0.jsonl", others)
    write_lines(folder / "rows/refusals/sft-seed1.jsonl", [])
    outcomes_to_label(OutcomeRequest(folder, count=20)).ask(sqlite_store)
    label_all(sqlite_store, someone(sqlite_store, "Ada"), {"base": "refused", "sft": "complied"})
    file = tmp_path / "labels.jsonl"
    assert export_file(sqlite_store, file, "outcomes") == 40
    by_source = {(each.source, each.outcome) for each in read_labelled([file])}
    assert by_source == {("base", "refused"), ("sft", "complied")}
    for each in read_labelled([file]):
        assert each.prompt.startswith("Question ") and each.answer.startswith(HOSTILE)


def test_an_answer_that_changed_since_has_no_label(sqlite_store: Store, folder: Path) -> None:
    outcomes_to_label(OutcomeRequest(folder, ("base",), 100)).ask(sqlite_store)
    label_all(sqlite_store, someone(sqlite_store, "Ada"), {"base": "refused"})
    rows = [row("base", 0, case) for case in range(40)]
    rows[1]["detail"] = {"prompt": "Question 1?", "answer": "Another answer."}
    write_lines(folder / "rows/refusals/base-seed0.jsonl", rows)
    labels = own_labels(folder, sqlite_store)
    assert AnswerKey("base", 0, "case1") not in labels and len(labels) == 35


def test_judges_and_people_tell_the_same_outcomes_by_the_same_definitions() -> None:
    assert tuple(OUTCOMES) == JUDGED_OUTCOMES
    guideline = files("truing.people").joinpath("built_in", "outcome.txt").read_text("utf-8")
    for name, definition in DEFINITIONS.items():
        assert f"{name.capitalize()}: {definition}" in guideline.splitlines()


def test_an_outcome_that_is_none_is_refused(sqlite_store: Store, folder: Path) -> None:
    outcomes_to_label(OutcomeRequest(folder, ("base",), 1)).ask(sqlite_store)
    with pytest.raises(InputError, match="outcome: choose one"):
        label_all(sqlite_store, someone(sqlite_store, "Ada"), {"base": "harmful"})


def test_the_command_says_what_cannot_be_asked(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ask = ["--ask", "outcome"]
    assert "belongs to --run" in refused(run("label", *ask))
    assert "asked alone" in refused(run("label", "--run", folder, *ask, "--ask", "rating"))
    assert "did you mean" in refused(run("label", "--run", folder, *ask, "--candidate", "stf"))
    rating = ["label", "--run", folder, "--ask", "rating"]
    assert "belong to --ask outcome" in refused(run(*rating, "--count", "3"))
    assert "give --count" in refused(run("label", "--run", folder, *ask, "--limit", "3"))
    for path in (folder / "rows/refusals").iterdir():
        path.unlink()
    assert "truing eval refusals --run" in refused(run("label", "--run", folder, *ask))
    assert own_labels(folder) == {} and not list(tmp_path.rglob("*.db"))


def test_the_command_keeps_the_labels_in_the_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[str] = []

    def serve(name: str, **options: object) -> None:
        served.append(name)

    monkeypatch.setattr("truing.people.serving.label", serve)
    assert run("label", "--run", folder, "--ask", "outcome", "--count", "5").exit_code == 0
    assert served == [str(folder / LABELS)]
