"""A training's queue in the store: what is posted, who gets it when, what a step learned from."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import func, select, text

from people_work import Someone, fill, kind_of, someone, submission, work
from truing.people import Store, open_store
from truing.people.answers import Answer
from truing.people.assigning import next_assignment
from truing.people.erasure import erase_annotator, erase_user
from truing.people.judging import record, withdraw
from truing.people.live.batches import EMPTY, Batch, LiveSettings, PostedAnswer
from truing.people.live.lock import training_lock
from truing.people.live.overview import live_progress
from truing.people.live.queue import LiveQueue
from truing.people.live.tables import LiveAnswer, LiveTask
from truing.people.tables import Completion, Judgement, Prompt, Task, now
from truing.types import InputError

QUESTIONS = ("Why?", "How?")


def queue(store: Store, **over: Any) -> LiveQueue:
    settings = {
        "key": "k", "name": "run/rl-seed0", "ask": "comparison", "wanted": 2, "least": 1,
        "staleness": 3,
    }  # fmt: skip
    made = LiveQueue(store, LiveSettings(**{**settings, **over}))
    made.begin()
    return made


def batch(step: int, texts: tuple[str, ...] = ("yes", "no"), **over: Any) -> Batch:
    prompts = [[{"role": "user", "content": each}] for each in QUESTIONS]
    answers = [
        PostedAnswer(number, f"{text}{step}" if text else "", True, [7, step], [-1.5, -0.1], [-2.0, -0.5])
        for number in range(len(QUESTIONS))
        for text in texts
    ]  # fmt: skip
    return Batch(step, prompts, answers, **over)


def tasks(store: Store) -> list[Task]:
    with store.reading() as session:
        return list(session.scalars(select(Task).order_by(Task.id)))


def judge(store: Store, person: Someone, most: int = 100) -> list[int]:
    return work(store, person, most)


@pytest.mark.parametrize(
    ("ask", "texts", "expected"),
    [
        ("comparison", ("a", "b"), 1),
        ("comparison", ("a", "b", "c", "d"), 4),
        ("comparison", ("a", "a"), 0),
        ("comparison", ("a", "b", "a"), 1),
        ("ranking", ("a", "b", "c", "c"), 1),
        ("rating", ("a", "b", "b"), 2),
        ("rating", ("", "a"), 2),
    ],
)
def test_a_batch_becomes_tasks_once(
    store: Store, ask: str, texts: tuple[str, ...], expected: int
) -> None:
    waits = queue(store, ask=ask)
    for _ in range(2):
        waits.post(batch(1, texts))
    found = tasks(store)
    assert [task.kind for task in found] == [ask] * (expected * len(QUESTIONS))
    assert all(task.wanted == 2 for task in found)
    drawn = waits.answers(1, [0])
    assert [each.answer.text for each in drawn] == [f"{t}1" if t else "" for t in texts]
    assert drawn[0].answer.tokens == [7, 1] and drawn[0].answer.log_probs == [-1.5, -0.1]
    assert sum(waits.places(1).values()) == 2 * len(found)
    with store.reading() as session:
        shown = set(session.scalars(select(Completion.text)))
    assert (EMPTY in shown) == ("" in texts)


def test_another_batch_for_a_posted_step_is_refused(store: Store) -> None:
    waits = queue(store)
    waits.post(batch(1))
    other = batch(1)
    changed = [each._replace(tokens=[8, 8]) for each in other.answers]
    with pytest.raises(InputError, match="step 1 of this training was posted with other answers"):
        waits.post(Batch(1, other.prompts, changed))


def test_urgent_tasks_come_first_and_overdue_ones_last(store: Store) -> None:
    fill(store, ["rating"], prompts=2)
    waits, ada = queue(store, wanted=1), someone(store, "Ada")
    waits.post(batch(1))
    waits.post(batch(2))
    waits.post(batch(3, deadline=now() - dt.timedelta(seconds=1)))
    order = []
    while (given := next_assignment(store, ada.id)) is not None:
        order.append(_step_of(store, given))
        kind = kind_of(store, given)
        answer = Answer(value=4) if kind == "rating" else Answer(preferred="tie")
        record(store, given, ada.id, submission(), answer, kind=kind)
    assert order[:4] == [2, 2, 1, 1] and order[-2:] == [3, 3] and set(order[4:-2]) == {None}


def _step_of(store: Store, assignment: int) -> int | None:
    from truing.people.live.tables import LiveStep
    from truing.people.tables import Assignment

    with store.reading() as session:
        return session.scalar(
            select(LiveStep.step)
            .join(LiveTask, LiveTask.step_id == LiveStep.id)
            .join(Assignment, Assignment.task_id == LiveTask.task_id)
            .where(Assignment.id == assignment)
        )


def test_a_prompt_is_ready_when_each_of_its_tasks_has_enough(store: Store) -> None:
    waits = queue(store, wanted=3, least=2)
    waits.post(batch(1))
    ada, bob = someone(store, "Ada"), someone(store, "Bob")
    assert waits.waiting(1).ready == {} and waits.waiting(1).open == 2
    [first] = judge(store, ada, 1)
    assert waits.waiting(1).ready == {}
    second = judge(store, bob)
    [(group, ids)] = waits.waiting(1).ready.items()
    assert ids == [first, next(each for each in second if each in ids)]
    learned = waits.decide(1, "people", ids, 2)
    assert waits.learned(1) == learned and learned.judgements == tuple(ids)
    assert group not in waits.waiting(2).ready  # each counts once
    carl = someone(store, "Carl")
    third = judge(store, carl)
    assert len(waits.waiting(2).ready[group]) == 1 and set(third) >= set(
        waits.waiting(2).ready[group]
    )


def test_what_was_taken_back_or_changed_after_use_is_counted_and_not_used_again(
    store: Store,
) -> None:
    waits, ada = queue(store, wanted=1), someone(store, "Ada")
    waits.post(batch(1))
    used, unused = judge(store, ada)
    waits.decide(1, "people", [used], 0)
    for judgement in (used, unused):
        assignment = withdraw(store, judgement, ada.id, submission())
        record(store, assignment, ada.id, submission(), Answer(preferred="tie"), kind="comparison")
    waits.post(batch(2))
    [again] = [each for ids in waits.waiting(2).ready.values() for each in ids]
    assert again > unused  # said anew, before any step had learned from it
    assert waits.decide(2, "people", [again], 0).changed == 1
    [said] = waits.judgements(1, [used])  # as it was when it was learned from
    assert said.id == used and said.preferred in ("first", "second")
    waits.check()


def test_beyond_the_limit_a_judgement_is_stale(store: Store) -> None:
    waits, ada = queue(store, wanted=1, staleness=1), someone(store, "Ada")
    for step in (1, 2, 3):
        waits.post(batch(step))
    judge(store, ada)
    ready = waits.waiting(3).ready
    assert {step for step, _ in ready} == {2, 3}
    ids = [each for of_group in ready.values() for each in of_group]
    assert waits.decide(3, "people", ids, 0).stale == 2


def test_an_erased_judgement_stops_what_learned_from_it(store: Store) -> None:
    waits, ada = queue(store), someone(store, "Ada")
    waits.post(batch(1))
    ids = judge(store, ada)
    waits.decide(1, "people", ids, 0)
    erase_annotator(store, "Ada")
    judge(store, someone(store, "Bob"))  # on SQLite, with the same ids
    for look in (waits.check, lambda: waits.judgements(1, ids)):
        with pytest.raises(InputError, match=f"judgement {ids[0]}, which step 1 .*erased"):
            look()


def test_a_users_prompt_goes_with_the_answers_drawn_for_it(store: Store) -> None:
    waits, ada = queue(store), someone(store, "Ada")
    waits.post(batch(1))
    with store.writing() as session:
        prompt = session.scalars(select(Prompt).order_by(Prompt.id)).first()
        assert prompt is not None
        prompt.user_key = "u1"
    judge(store, ada)
    erase_user(store, "u1")
    with store.reading() as session:
        for table, left in ((LiveAnswer, 2), (LiveTask, 1), (Judgement, 1)):
            assert session.scalar(select(func.count()).select_from(table)) == left, table


def test_one_training_at_a_time_holds_a_store(store: Store) -> None:
    other = open_store(store.url.render_as_string(hide_password=False))
    try:
        with (
            training_lock(store),
            pytest.raises(InputError, match="another training has people judge"),
            training_lock(other),
        ):
            pytest.fail("it was held")
        with training_lock(other):
            pass
    finally:
        other.close()


def test_the_lead_sees_queue_and_curve(store: Store) -> None:
    waits, ada = queue(store), someone(store, "Ada")
    for step in (1, 2):
        waits.post(batch(step))
        ids = judge(store, ada)
        waits.decide(step, "people", ids, 0)
        figures = {"by": "people", "changed": 0, "stale": 0, "open": 0, "judgements": len(ids)}
        waits.note(step, {**figures, "reward": step / 4, "late_steps": 0.0})
    [shown] = live_progress_of(store)
    assert (shown.name, shown.step, shown.learned_from) == ("run/rl-seed0", 2, 4)
    assert (shown.judged, shown.wanted, shown.is_over) == (4, 8, False)
    assert shown.curve is not None
    assert (shown.curve.low, shown.curve.high, shown.curve.last) == (0.25, 0.5, 0.5)
    assert shown.curve.path == "0.0,96.0 480.0,0.0"
    waits.end()
    [shown] = live_progress_of(store)
    assert shown.is_over and shown.wanted == 0


def live_progress_of(store: Store) -> Any:
    with store.reading() as session:
        return live_progress(session)


def test_a_store_of_before_gets_the_tables_and_loses_nothing(sqlite_store: Store) -> None:
    fill(sqlite_store)
    said = judge(sqlite_store, someone(sqlite_store, "Ada"))
    with sqlite_store.engine.begin() as connection:
        for table in (
            "question_tasks", "question_sets", "withheld_work", "deadlines",
            "study_steps", "study_people", "live_tasks", "live_answers", "live_steps", "live_runs",
        ):  # fmt: skip
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    again = open_store(str(sqlite_store.url.database))
    with again.reading() as session:
        assert list(session.scalars(select(Judgement.id))) == said
    queue(again).post(batch(1))
    again.close()
