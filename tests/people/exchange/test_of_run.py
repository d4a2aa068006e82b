"""From a finished run to people and back: blind tasks, and which candidate won."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from commands import refused, run
from people_work import Someone, someone, submission
from synthetic_run import ANSWERS, write_lines, write_run
from truing.files import read_jsonl
from truing.people import Store
from truing.people.answers import Answer, shown_completions
from truing.people.assigning import next_assignment
from truing.people.exchange import export_file
from truing.people.exchange.of_run import RunRequest, questions_of_run
from truing.people.judging import record
from truing.people.results import ratings, wins
from truing.people.tables import Assignment, Completion, Task
from truing.people.web import make_app
from truing.types import InputError

BOTH = ("base", "sft")


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    """A run of 24 questions whose sft answers in both seeds; three answers are alike, one is missing."""
    path = write_run(tmp_path / "first", held_out=24, controls=4)
    for seed in (0, 1):
        file = path / f"rows/truthfulness/sft-seed{seed}.jsonl"
        rows = read_jsonl(file)
        for place, row in enumerate(rows):
            row["detail"]["answer"] = f"{ANSWERS['sft']} Seed {seed}."
            if place < 3:
                row["detail"]["answer"] = f" {ANSWERS['base']} "
        rows[3]["detail"]["answer"] = None
        write_lines(file, rows)
    return path


def judge_all(store: Store, person: Someone, prefers: str) -> None:
    """Judge every task: this candidate is better, and gets a 6 where the others get a 3."""
    while (number := next_assignment(store, person.id)) is not None:
        with store.reading() as session:
            assignment = session.get_one(Assignment, number)
            kind = assignment.task.kind
            names = [each.candidate for each in shown_completions(assignment)]
        better = [name.endswith(f"/{prefers}") for name in names]
        answer = {
            "comparison": Answer(preferred="first" if better[0] else "second"),
            "rating": Answer(value=6 if better[0] else 3),
            "ranking": Answer(ranks={place: 1 if is_ else 2 for place, is_ in enumerate(better)}),
        }[kind]
        record(store, number, person.id, submission(), answer, kind=kind, seconds=1)


def test_a_comparison_is_blind_and_comes_back_with_its_interval(
    sqlite_store: Store, folder: Path, tmp_path: Path
) -> None:
    asked = questions_of_run(RunRequest(folder, ("comparison",), BOTH))
    assert (len(asked.questions), asked.alike, asked.unanswered) == (20, 3, 1)
    assert asked.ask(sqlite_store) == 20 and asked.ask(sqlite_store) == 20  # nothing twice
    with sqlite_store.reading() as session:
        assert len(session.scalars(select(Task)).all()) == 20
        texts = Counter(session.scalars(select(Completion.text)))
    seeds = [texts[f"{ANSWERS['sft']} Seed {seed}."] for seed in (0, 1)]
    assert sum(seeds) == 20 and min(seeds) >= 4  # each question's seed is drawn
    ada, bob = someone(sqlite_store, "Ada"), someone(sqlite_store, "Bob")
    app = make_app(sqlite_store)
    client = TestClient(app, base_url="http://127.0.0.1", cookies={"truing-label-0": ada.cookie})
    page = client.get("/work").text
    assert ANSWERS["base"] in page and "first/" not in page and ">sft" not in page
    judge_all(sqlite_store, ada, "sft")
    assert next_assignment(sqlite_store, bob.id) is None
    with sqlite_store.reading() as session:
        sides = Counter(
            shown_completions(each)[0].candidate for each in session.scalars(select(Assignment))
        )
        (won,) = wins(session)
    assert set(sides) == {"first/base", "first/sft"} and min(sides.values()) >= 4
    assert (won.candidate, won.against, won.judgements) == ("first/sft", "first/base", 20)
    assert (won.rate.value, won.rate.low, won.rate.n) == (1.0, 1.0, 20) and won.is_clear
    file = tmp_path / "results.jsonl"
    assert export_file(sqlite_store, file, "results") == 1
    (row,) = read_jsonl(file)
    assert row["candidate"] == "first/sft" and row["win_rate"] == row["low"] == 1.0
    assert (row["prompts"], row["judgements"], row["people"], row["ties"]) == (20, 20, 1, 0)
    assert export_file(sqlite_store, file, "results", ["given"]) == 0
    lead = someone(sqlite_store, "Lea", role="lead")
    chief = TestClient(app, base_url="http://127.0.0.1", cookies={"truing-label-0": lead.cookie})
    text = chief.get("/lead").text
    assert "first/sft" in text and "1.00 [1.00, 1.00]" in text and ">won<" in text


def test_two_people_who_disagree_leave_it_open(sqlite_store: Store, folder: Path) -> None:
    questions_of_run(RunRequest(folder, ("comparison",), BOTH, wanted=2)).ask(sqlite_store)
    for name, prefers in (("Ada", "sft"), ("Bob", "base")):
        judge_all(sqlite_store, someone(sqlite_store, name), prefers)
    with sqlite_store.reading() as session:
        (won,) = wins(session)
    assert (won.rate.value, won.judgements, won.people) == (0.5, 40, 2)
    assert won.rate.low == 0.0 and won.rate.high == 1.0 and not won.is_clear


def test_ratings_and_rankings_of_all_candidates(sqlite_store: Store, folder: Path) -> None:
    request = RunRequest(folder, ("rating", "ranking"), limit=5, seed=4)
    asked = questions_of_run(request)
    count = len(asked.questions)
    assert count == 5
    assert asked.ask(sqlite_store) == 5 * count
    judge_all(sqlite_store, someone(sqlite_store, "Ada"), "rl")
    with sqlite_store.reading() as session:
        best, *others = ratings(session)
        pairs = {(each.candidate, each.against): each for each in wins(session)}
    assert (best.candidate, best.rating.value, best.judgements) == ("first/rl", 6.0, count)
    assert [each.rating.value for each in others] == [3.0] * 3
    assert pairs["first/rl", "first/base"].rate.value == 1.0 and len(pairs) == 6
    assert pairs["first/base", "first/prompt"].ties == count
    other = questions_of_run(RunRequest(folder, ("rating",), limit=5, seed=5))
    assert [q for q, _ in other.questions] != [q for q, _ in asked.questions]


@pytest.mark.parametrize(
    ("ask", "between", "words"),
    [
        (("comparison",), None, "--between: say which two are compared, of base, prompt, sft, rl"),
        (
            ("comparison",),
            ("base", "dpo"),
            "no answers of 'dpo'; it has those of base, prompt, sft, rl",
        ),
        (("rating",), ("sft", "sft"), "two different"),
        (("compare",), BOTH, "no kind 'compare'"),
        ((), BOTH, "--ask: say what"),
    ],
)
def test_what_cannot_be_asked(
    folder: Path, ask: tuple[str, ...], between: tuple[str, str] | None, words: str
) -> None:
    with pytest.raises(InputError, match="--") as mistake:
        questions_of_run(RunRequest(folder, ask, between))
    assert words in str(mistake.value)


def test_a_run_without_two_different_answers_has_nothing_to_compare(folder: Path) -> None:
    rows = read_jsonl(folder / "rows/truthfulness/base-seed0.jsonl")
    for seed in (0, 1):
        same = [row | {"candidate": "sft", "seed": seed} for row in rows]
        write_lines(folder / f"rows/truthfulness/sft-seed{seed}.jsonl", same)
    with pytest.raises(InputError, match="nothing to ask about base, sft: 24 questions"):
        questions_of_run(RunRequest(folder, ("comparison",), BOTH))


def test_the_command_makes_no_store_where_the_run_is_unusable(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no such folder" in refused(run("label", "--run", "absent", "--ask", "rating"))
    unanswered = tmp_path / "bare"
    unanswered.mkdir()
    (unanswered / "run.json").write_text(json.dumps({"candidates": ["base", "sft"]}))
    words = ["--ask", "comparison", "--between", "base", "sft"]
    assert "no rows with answers" in refused(run("label", "--run", unanswered, *words))
    assert "belong to --run" in refused(run("label", *words))
    assert "give one of them" in refused(run("label", "--demo", "--run", folder, *words))
    assert not list(tmp_path.glob("*.db"))
