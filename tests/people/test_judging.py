"""What people say is recorded once, as they said it, by the one whose task it was."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from people_work import ANSWERS, Someone, fill, kind_of, someone, submission, work
from truing.data.messages import text_hash
from truing.people import Store
from truing.people import assigning as assigning_module
from truing.people.answers import Answer, shown_completions
from truing.people.assigning import (
    is_current,
    next_assignment,
    team_progress,
)
from truing.people.judging import (
    AlreadyJudged,
    NotYours,
    latest,
    owned,
    record,
    save_draft,
    skip,
    withdraw,
)
from truing.people.tables import Assignment, Draft, Gold, Judgement, Task
from truing.people.vocabulary import KINDS
from truing.types import InputError


def given(store: Store, person: Someone) -> int:
    assignment = next_assignment(store, person.id)
    assert assignment is not None
    return assignment


@pytest.mark.parametrize("kind", KINDS)
def test_a_judgement_keeps_who_when_how_long_and_on_what(store: Store, kind: str) -> None:
    fill(store, [kind])
    ada = someone(store, "Ada")
    before = dt.datetime.now(dt.UTC)
    (judgement_id,) = work(store, ada)
    with store.reading() as session:
        row = session.get_one(Judgement, judgement_id)
        shown = shown_completions(row.assignment)
        assert (row.annotator_id, row.kind, row.revision, row.supersedes_id) == (
            ada.id,
            kind,
            1,
            None,
        )
        assert before <= row.created_at <= dt.datetime.now(dt.UTC)
        assert row.seconds is not None and 0 <= row.seconds < 9  # never longer than it was held
        assert row.prompt_hash == row.assignment.task.prompt.text_hash
        said = ANSWERS[kind]
        if row.demonstration:
            assert row.demonstration.text == said.text
            assert row.demonstration.text_hash == text_hash(said.text)
        if row.rating:
            assert (row.rating.value, row.rating.text_hash) == (6, text_hash(shown[0].text))
            assert {f.name: f.value for f in row.flags} == said.flags
        if row.comparison:
            assert (row.comparison.first_id, row.comparison.second_id) == (shown[0].id, shown[1].id)
            assert row.comparison.second_hash == text_hash(shown[1].text)
            assert row.comparison.preferred == "second"
        if row.kind == "ranking":
            ranks = {each.completion_id: each.rank for each in row.rankings}
            assert ranks == {shown[0].id: 2, shown[1].id: 1, shown[2].id: 2}
        if row.annotation:
            assert (row.annotation.use_case, row.annotation.suggested) == ("chat", "open_qa")
            assert Counter(f.value for f in row.flags) == {"yes": 1, "no": 10}


def test_sent_twice_counts_once(store: Store) -> None:
    fill(store, ["rating"])
    ada, bob = someone(store, "Ada"), someone(store, "Bob")
    assignment, key = given(store, ada), submission()

    def send(_: int) -> int:
        return record(store, assignment, ada.id, key, ANSWERS["rating"], kind="rating")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(send, range(24)))) == 1
    with store.reading() as session:
        assert session.scalar(select(func.count()).select_from(Judgement)) == 1
    with pytest.raises(NotYours):
        record(store, assignment, bob.id, key, ANSWERS["rating"], kind="rating")


def test_two_tabs_cannot_both_judge(store: Store) -> None:
    fill(store, ["rating"])
    ada = someone(store, "Ada")
    assignment = given(store, ada)

    def send(value: int) -> str:
        try:
            record(store, assignment, ada.id, submission(), Answer(value=value), kind="rating")
            return "kept"
        except AlreadyJudged:
            return "refused"

    with ThreadPoolExecutor(7) as pool:
        assert Counter(pool.map(send, range(1, 8))) == {"kept": 1, "refused": 6}


def test_undo_supersedes_and_keeps_everything(store: Store) -> None:
    fill(store, ["rating"])
    ada = someone(store, "Ada")
    (first,) = work(store, ada)
    undo = submission()
    assignment = withdraw(store, first, ada.id, undo)
    assert withdraw(store, first, ada.id, undo) == assignment  # sent twice
    with store.reading() as session:
        assert session.scalar(select(func.count(Judgement.id)).where(is_current())) == 0
        draft = session.get_one(Draft, assignment)
        assert {"value": "6", "true": "yes"}.items() <= draft.fields.items()
        assert team_progress(session).done == 0
    with pytest.raises(AlreadyJudged):
        withdraw(store, first, ada.id, submission())
    assert given(store, ada) == assignment
    second = record(store, assignment, ada.id, submission(), Answer(value=2), kind="rating")
    with store.reading() as session:
        rows = session.scalars(select(Judgement).order_by(Judgement.revision)).all()
        assert [(r.kind, r.revision) for r in rows] == [
            ("rating", 1),
            ("withdrawal", 2),
            ("rating", 3),
        ]
        assert [r.supersedes_id for r in rows] == [None, rows[0].id, rows[1].id]
        assert [r.rating.value for r in rows if r.rating] == [6, 2]
        current = session.scalars(select(Judgement.id).where(is_current())).all()
        assert current == [second]
        assert session.get(Draft, assignment) is None


@pytest.mark.parametrize("kind", KINDS)
def test_undone_work_is_filled_in_as_it_was(store: Store, kind: str) -> None:
    fill(store, [kind])
    ada = someone(store, "Ada")
    (judgement,) = work(store, ada)
    assignment = withdraw(store, judgement, ada.id, submission())
    with store.reading() as session:
        fields = session.get_one(Draft, assignment).fields
    expected = {
        "demonstration": {"text": "A careful answer."},
        "rating": {"value": "6", "true": "yes", "harmful": "no"},
        "comparison": {"preferred": "second"},
        "ranking": {"rank-0": "2", "rank-1": "1", "rank-2": "2"},
        "annotation": {"use_case": "chat", "ambiguous": "yes", "intent_unclear": "no"},
        "outcome": {"outcome": "partly"},
        "opinion": {"choice": "1"},
        "questions": {"tone.warm": "2", "tone.asks": "1"},
    }
    assert expected[kind].items() <= fields.items()


def test_a_skip_frees_the_place_for_another(store: Store) -> None:
    fill(store, ["comparison"])
    ada, bob = someone(store, "Ada"), someone(store, "Bob")
    assignment = given(store, ada)
    assert next_assignment(store, bob.id) is None
    with pytest.raises(InputError, match="reason"):
        skip(store, assignment, ada.id, submission(), "bored")
    skip(store, assignment, ada.id, submission(), "expertise", note="Chemistry.")
    assert next_assignment(store, ada.id) is None
    work(store, bob)
    with store.reading() as session:
        row = latest(session, assignment)
        assert row is not None and (row.kind, row.reason, row.note) == (
            "skip",
            "expertise",
            "Chemistry.",
        )
        assert team_progress(session) == assigning_module.Progress(1, 1)


def test_nobody_touches_anothers_work(store: Store) -> None:
    fill(store, ["rating"])
    ada, bob = someone(store, "Ada"), someone(store, "Bob")
    assignment = given(store, ada)
    attempts = [
        lambda: record(store, assignment, bob.id, submission(), ANSWERS["rating"], kind="rating"),
        lambda: skip(store, assignment, bob.id, submission(), "unclear"),
        lambda: save_draft(store, assignment, bob.id, {"value": "1"}),
        lambda: record(store, 9999, bob.id, submission(), ANSWERS["rating"], kind="rating"),
    ]
    for attempt in attempts:
        with pytest.raises(NotYours):
            attempt()
    (judgement,) = work(store, ada)
    with pytest.raises(NotYours):
        withdraw(store, judgement, bob.id, submission())
    with store.reading() as session, pytest.raises(NotYours):
        owned(session, assignment, bob.id)


@pytest.mark.parametrize(
    ("kind", "answer", "problem"),
    [
        ("demonstration", Answer(text="  \n"), "empty"),
        ("demonstration", Answer(text="x" * 100_001), "at most 100,000"),
        ("demonstration", Answer(text="a\0b"), "NUL"),
        ("demonstration", Answer(text="a\ud800b"), "surrogate"),
        ("rating", Answer(), "1 to 7"),
        ("rating", Answer(value=0), "1 to 7"),
        ("rating", Answer(value=8), "1 to 7"),
        ("rating", Answer(value=4, flags={"true": "perhaps"}), "true: choose"),
        ("rating", Answer(value=4, flags={"funny": "yes"}), "funny"),
        ("comparison", Answer(preferred="third"), "choose the better"),
        ("ranking", Answer(ranks={0: 1, 1: 2}), "every answer"),
        ("ranking", Answer(ranks={0: 1, 1: 2, 2: 3, 3: 3}), "every answer"),
        ("ranking", Answer(ranks={0: 0, 1: 1, 2: 2}), "from 1"),
        ("annotation", Answer(use_case="poetry"), "use case"),
        ("annotation", Answer(use_case="chat", flags={"ambiguous": "very"}), "ambiguous"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_and_leaves_nothing(
    sqlite_store: Store, kind: str, answer: Answer, problem: str
) -> None:
    fill(sqlite_store, [kind])
    ada = someone(sqlite_store, "Ada")
    assignment = given(sqlite_store, ada)
    with pytest.raises(InputError, match=problem):
        record(sqlite_store, assignment, ada.id, submission(), answer, kind=kind)
    with sqlite_store.reading() as session:
        assert session.scalar(select(func.count()).select_from(Judgement)) == 0
    assert given(sqlite_store, ada) == assignment


def test_another_kind_and_a_bad_key_are_refused(sqlite_store: Store) -> None:
    fill(sqlite_store, ["rating"])
    ada = someone(sqlite_store, "Ada")
    assignment = given(sqlite_store, ada)
    with pytest.raises(InputError, match="rating, not a ranking"):
        record(sqlite_store, assignment, ada.id, submission(), ANSWERS["ranking"], kind="ranking")
    for key in ("", "short", "x" * 65, "with space and more"):
        with pytest.raises(InputError, match="reload"):
            record(sqlite_store, assignment, ada.id, key, ANSWERS["rating"], kind="rating")


def test_a_ranking_keeps_steps_without_gaps(sqlite_store: Store) -> None:
    fill(sqlite_store, ["ranking"])
    ada = someone(sqlite_store, "Ada")
    said = Answer(ranks={0: 3, 1: 1, 2: 3})
    record(sqlite_store, given(sqlite_store, ada), ada.id, submission(), said, kind="ranking")
    with sqlite_store.reading() as session:
        row = session.scalars(select(Judgement)).one()
        assert [each.rank for each in row.rankings] == [1, 2, 2]


def test_everyone_at_once_gets_every_place_once(store: Store) -> None:
    fill(store, ["rating"], prompts=12, wanted=2)
    people = [someone(store, f"Person {number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda person: work(store, person), people))
    assert sum(map(len, done)) == 24
    with store.reading() as session:
        tasks = Counter(session.scalars(select(Assignment.task_id)))
        assert set(tasks.values()) == {2}
        places = session.execute(select(Assignment.task_id, Assignment.slot)).all()
        assert len(set(places)) == 24


def test_order_is_seeded_blind_and_different_for_everyone(sqlite_store: Store) -> None:
    fill(sqlite_store, ["ranking"], prompts=20, wanted=2)
    people = [someone(sqlite_store, name) for name in ("Ada", "Bob")]
    for person in people:
        work(sqlite_store, person)
    with sqlite_store.reading() as session:
        seen = {
            person.id: session.scalars(
                select(Assignment)
                .where(Assignment.annotator_id == person.id)
                .order_by(Assignment.id)
            ).all()
            for person in people
        }
        tasks = [[each.task_id for each in seen[person.id]] for person in people]
        assert sorted(tasks[0]) == sorted(tasks[1]) and tasks[0] != tasks[1]
        first_places = Counter(each.order[0] for each in seen[people[0].id])
        assert set(first_places) == {0, 1, 2}
        for each in (*seen[people[0].id], *seen[people[1].id]):
            key, shown = each.task.sort_key, len(each.task.shown)
            assert each.order == assigning_module.display_order(key, shown, each.annotator_id)


def test_gold_questions_come_to_everybody_now_and_then(sqlite_store: Store) -> None:
    fill(sqlite_store, ["rating"], prompts=30)
    lead, ada = someone(sqlite_store, "Lea"), someone(sqlite_store, "Ada")
    gold_judgements = work(sqlite_store, lead, most=2)
    with sqlite_store.writing() as session:
        for judgement in gold_judgements:
            row = session.get_one(Judgement, judgement)
            session.add(Gold(task_id=row.assignment.task_id, judgement_id=judgement))
    done = work(sqlite_store, ada, most=16)
    with sqlite_store.reading() as session:
        golds = set(session.scalars(select(Gold.task_id)))
        rows = [session.get_one(Judgement, each).assignment for each in done]
        places = [number for number, each in enumerate(rows) if each.task_id in golds]
        assert places == [4, 12] and all(rows[place].slot is None for place in places)


def test_a_task_that_was_left_lying_goes_to_another(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite_store, ["rating"])
    ada, bob = someone(sqlite_store, "Ada"), someone(sqlite_store, "Bob")
    left = given(sqlite_store, ada)
    assert next_assignment(sqlite_store, bob.id) is None
    monkeypatch.setattr(assigning_module, "LEASE", dt.timedelta(0))
    taken = given(sqlite_store, bob)
    with sqlite_store.reading() as session:
        assert session.get_one(Assignment, left).slot is None
        assert session.get_one(Assignment, taken).slot == 0
        assert session.scalar(select(func.count()).select_from(Task)) == 1
    assert kind_of(sqlite_store, given(sqlite_store, ada)) == "rating"  # and Ada may still finish
