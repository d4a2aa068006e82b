"""Prompts for labelling: spread over use cases, capped by user, the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from commands import refused, run
from people_work import someone
from truing.files import read_jsonl
from truing.people import Store
from truing.people.answers import Answer
from truing.people.assigning import next_assignment
from truing.people.content import add_prompt
from truing.people.drawing import SHARES, DrawSpec, draw_prompts, quotas
from truing.people.judging import record
from truing.people.pilot import keep
from truing.people.tables import Task
from truing.types import InputError

QUESTIONS = {
    "open_qa": "Why is number {} so?",
    "generation": "Write a poem about number {}.",
    "summarization": "Summarize text {}.",
}


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def pilot(store: Store, **counts: int) -> None:
    for name, count in counts.items():
        for number in range(count):
            text = QUESTIONS[name].format(number)
            keep(store, asked(text), ["One.", "Two."], "sft", f"user-{number % 4}")


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 30), min_size=1),
    st.integers(1, 100),
    st.sampled_from(SHARES),
)
def test_quotas(sizes: dict[str, int], count: int, shares: str) -> None:
    given_ = quotas(sizes, count, shares)
    assert sum(given_.values()) == min(count, sum(sizes.values()))
    assert all(0 <= given_[name] <= size for name, size in sizes.items())
    if shares == "proportional":
        whole = min(count, sum(sizes.values())) / sum(sizes.values())
        assert all(abs(given_[name] - whole * size) < 1 for name, size in sizes.items())
    else:  # nobody has two more than another, unless that one has no more
        most = max(given_.values())
        assert all(given_[name] >= min(size, most - 1) for name, size in sizes.items())


def test_draws_are_stratified_capped_and_seeded(store: Store) -> None:
    pilot(store, open_qa=24, generation=12, summarization=4)
    with store.writing() as session:  # neither from the pilot nor agreed to
        add_prompt(session, asked("Why not me?"), source="pilot", consent="unknown")
        add_prompt(session, asked("Why not me either?"), source="file", consent="own")
    drawn = draw_prompts(store, DrawSpec(20))
    assert drawn.drawn == {"open_qa": 12, "generation": 6, "summarization": 2}
    assert drawn.found == {"open_qa": 24, "generation": 12, "summarization": 4}
    even = draw_prompts(store, DrawSpec(20, shares="equal"))
    assert even.drawn == {"open_qa": 8, "generation": 8, "summarization": 4}
    assert draw_prompts(store, DrawSpec(20)).rows == drawn.rows
    assert draw_prompts(store, DrawSpec(20, seed=1)).rows != drawn.rows
    capped = draw_prompts(store, DrawSpec(100, per_user=3))
    users = [row["user"] for row in capped.rows]
    assert len(users) == 12 and all(users.count(user) == 3 for user in set(users))
    assert draw_prompts(store, DrawSpec(9, sources=["file"])).rows[0]["consent"] == "own"
    again = asked(QUESTIONS["summarization"].format(0))
    keep(store, again, [], "sft", "somebody else")
    (row,) = [r for r in draw_prompts(store, DrawSpec(100)).rows if r["messages"] == again]
    assert row["times"] == 2


def test_what_annotators_say_goes_before_the_rules(store: Store) -> None:
    pilot(store, open_qa=1)
    draw_prompts(store, DrawSpec(1, ask=["annotation"]))
    ada = someone(store, "Ada")
    assignment = next_assignment(store, ada.id)
    assert assignment
    said = Answer(use_case="brainstorming")
    record(store, assignment, ada.id, "0123456789abcdef", said, kind="annotation")
    assert draw_prompts(store, DrawSpec(1)).drawn == {"brainstorming": 1}


def test_what_is_drawn_becomes_tasks_once(store: Store) -> None:
    pilot(store, open_qa=5)
    spec = DrawSpec(3, ask=["demonstration", "comparison"], wanted=2)
    assert draw_prompts(store, spec).tasks == 6
    with store.reading() as session:
        tasks = session.scalars(select(Task)).all()
        assert {task.wanted for task in tasks} == {2} and len(tasks) == 6
    second = draw_prompts(store, spec)
    assert len(second.rows) == 2 and second.tasks == 4
    with pytest.raises(InputError, match="is left to draw"):
        draw_prompts(store, spec)


def test_the_command(sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pilot(sqlite_store, open_qa=4, generation=2)
    done = run("data", "sample", "drawn.jsonl", "--count", 3, "--ask", "rating")
    assert done.exit_code == 0 and done.stdout == (
        "generation: 1 of 2\nopen_qa: 2 of 4\n"
        "Drawn: 3 prompts, written to drawn.jsonl; 6 tasks\n"
    )  # fmt: skip
    rows = read_jsonl(Path("drawn.jsonl"))
    assert len(rows) == 3 and rows[0]["source"] == "pilot"
    again = run("data", "import", "drawn.jsonl", "--store", "other.db")  # a form that is read
    assert again.stdout == "Added: 3 prompts\n"
    assert "give a FILE" in refused(run("data", "sample"))
    assert "--shares: no 'odd'" in refused(run("data", "sample", "x", "--shares", "odd"))
    assert "--ask: no 'odd'" in refused(run("data", "sample", "--ask", "odd"))
    assert "--consent: no 'odd'" in refused(run("data", "sample", "x", "--consent", "odd"))
    assert "no prompt of source odd" in refused(run("data", "sample", "x", "--source", "odd"))
    missing = refused(run("data", "sample", "drawn.jsonl/x", "--ask", "demonstration"))
    assert "can't be written" in missing
    with sqlite_store.reading() as session:
        assert not session.scalars(select(Task).where(Task.kind == "demonstration")).all()
    assert "no file" in refused(run("data", "sample", "x", "--store", "none.db"))
