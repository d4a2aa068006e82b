"""What is kept in memory of people's judgements is what the store says, whatever happened in between."""

from __future__ import annotations

import itertools
import random
import re

import numpy as np
from starlette.testclient import TestClient

from people_work import fill, someone, submission, work
from truing.people import Store
from truing.people.annotators import sign_in_lead
from truing.people.assigning import next_assignment
from truing.people.erasure import erase_annotator
from truing.people.judging import skip, withdraw
from truing.people.observations import Record, current
from truing.people.sign_ins import sign_in
from truing.people.tables import Judgement
from truing.people.web import make_app
from truing.statistics.agreement import Column, Observation, krippendorff_alpha


def plain(columns: dict[str, Column]) -> dict[str, set[Observation]]:
    """Whatever the order of rows and codes."""
    return {question: set(each.observations()) for question, each in columns.items()}


def check(store: Store, record: Record) -> None:
    with store.reading() as session:
        record.refresh(session)
        fresh = current(session)
    assert record.said == fresh.said
    assert plain(record.columns()) == plain(fresh.columns())


def test_what_is_new_is_added_and_what_is_gone_is_left_out(sqlite_store: Store) -> None:
    """Judgements, changes of mind, skips and erasures in a random order, looked at after each."""
    fill(sqlite_store, prompts=8, wanted=3)
    people = [someone(sqlite_store, f"Person {n}") for n in range(3)]
    generator, record, done = random.Random(4), Record(), dict[int, list[int]]()
    for step in range(60):
        person = generator.choice(people)
        mine = done.setdefault(person.id, [])
        match generator.choice(["judge", "judge", "judge", "undo", "skip", "erase"]):
            case "judge":
                mine += work(sqlite_store, person, most=generator.randint(1, 3))
            case "undo" if mine:
                withdraw(sqlite_store, mine.pop(), person.id, submission())
            case "skip":
                given = next_assignment(sqlite_store, person.id)
                if given is not None:
                    skip(sqlite_store, given, person.id, submission(), "unclear")
            case "erase" if step % 3 == 0:
                erase_annotator(sqlite_store, person.name)
                mine.clear()
                people[people.index(person)] = someone(sqlite_store, f"Person {step + 10}")
        check(sqlite_store, record)
    assert record.said


def test_a_number_that_is_used_again_is_another_judgement(sqlite_store: Store) -> None:
    """SQLite gives the highest row's number to the next row after that one is deleted."""
    fill(sqlite_store, ["rating"], wanted=3)
    record, (ada, bob) = Record(), (someone(sqlite_store, name) for name in ("Ada", "Bob"))
    (first,) = work(sqlite_store, ada)
    check(sqlite_store, record)
    erase_annotator(sqlite_store, "Ada")
    (second,) = work(sqlite_store, bob)
    assert first == second
    check(sqlite_store, record)
    assert [each.annotator for each in record.said] == [bob.id]


def test_the_leads_page_is_never_behind(sqlite_store: Store) -> None:
    fill(sqlite_store, ["rating"], prompts=2, wanted=2)
    with sqlite_store.writing() as session:
        cookie = sign_in(session, sign_in_lead(session, "lead-token").id)
    cookies = {"truing-label-0": cookie}
    chief = TestClient(make_app(sqlite_store), base_url="http://127.0.0.1", cookies=cookies)

    def judged() -> tuple[str, ...]:
        """Places filled, and by Ada; then tasks whose rating was given by two."""
        text = chief.get("/lead").text
        badge = re.search(r"(\d+) of \d+</span>", text)
        row = re.search(r"Ada</th><td>(\d+)", text)
        pairs = re.search(r"Rating, 1 to 7</th><td>[^<]*</td><td>(\d+)", text)
        return tuple(found[1] if found else "-" for found in (badge, row, pairs))

    ada, bob = (someone(sqlite_store, name) for name in ("Ada", "Bob"))
    assert judged() == ("0", "0", "-")
    work(sqlite_store, bob)
    assert judged() == ("2", "0", "0")
    (first, _) = work(sqlite_store, ada)
    assert judged() == ("4", "2", "2")
    withdraw(sqlite_store, first, ada.id, submission())
    assert judged() == ("3", "1", "1")
    work(sqlite_store, ada)
    assert judged() == ("4", "2", "2")
    erase_annotator(sqlite_store, "Bob")
    assert judged() == ("2", "2", "0")
    erase_annotator(sqlite_store, "Ada")
    assert judged() == ("0", "-", "-")
    with sqlite_store.reading() as session:
        assert session.query(Judgement).count() == 0


def test_drawing_tasks_that_are_judged_alike_together_is_drawing_tasks() -> None:
    """The interval's ends against all 5^5 equally likely resamples of five tasks."""
    tasks = [(1, 1), (1, 1), (1, 2), (3, 3), (4, 2)]

    def observed(drawn: tuple[int, ...]) -> list[Observation]:
        return [
            Observation(place, place, rater, value)
            for place, task in enumerate(drawn)
            for rater, value in enumerate(tasks[task])
        ]

    alphas = np.array(
        [
            value
            for drawn in itertools.combinations_with_replacement(range(5), 5)
            if (value := krippendorff_alpha(observed(drawn), "ordinal", resamples=2).value)
            is not None
            for _ in range(_orders(drawn))
        ]
    )
    found = krippendorff_alpha(observed((0, 1, 2, 3, 4)), "ordinal", resamples=20_000)
    assert found.low is not None and found.high is not None
    assert np.quantile(alphas, 0.02) <= found.low <= np.quantile(alphas, 0.03)
    assert np.quantile(alphas, 0.97) <= found.high <= np.quantile(alphas, 0.98)


def _orders(drawn: tuple[int, ...]) -> int:
    """In how many orders these five can be drawn."""
    return len(set(itertools.permutations(drawn)))
