"""A survey of a team's own: asked on the page, answered by people of groups, and written as a survey."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from people_work import Someone, someone, submission
from truing.data.survey import Survey, read_survey
from truing.files import write_jsonl_atomically
from truing.people.answers import Answer, shown_completions
from truing.people.assigning import next_assignment
from truing.people.disclosure import withheld
from truing.people.exchange import exported
from truing.people.judging import record, withdraw
from truing.people.opinions import ask_survey
from truing.people.store import Store
from truing.people.tables import AnnotatorGroup, Assignment, Task

QUESTIONS = [
    {
        "question": "How warm should the office be?",
        "options": ["Cold", "Mild", "Warm"],
        "scale": [0, 1, 3],
        "refusals": ["I don't mind"],
        "topic": "the office",
        "source": "our own",
    },
    {"question": "Tea or coffee?", "options": ["Tea", "Coffee"]},
]


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    path = tmp_path / "ours.jsonl"
    path.write_text("\n".join(map(json.dumps, QUESTIONS)))
    return read_survey(path)


def person(store: Store, name: str, team: str) -> Someone:
    found = someone(store, name)
    with store.writing() as session:
        session.add(AnnotatorGroup(annotator_id=found.id, dimension="team", value=team))
    return found


def answer(store: Store, who: Someone, wish: str) -> list[int]:
    """Answers every question with the first option that stands in the wish."""
    done = []
    while (assignment := next_assignment(store, who.id)) is not None:
        with store.reading() as session:
            shown = shown_completions(session.get_one(Assignment, assignment))
            [place] = [n for n, option in enumerate(shown) if option.text in wish.split("/")]
        said = Answer(choice=place)
        done.append(record(store, assignment, who.id, submission(), said, kind="opinion"))
    return done


@pytest.fixture
def answered(sqlite_store: Store, survey: Survey) -> Store:
    """Six people of one team, four of another, five of none: one of the six declines to say how warm."""
    assert ask_survey(sqlite_store, survey, 20, 0) == 2
    for number in range(6):
        wish = "Warm/Tea" if number else "I don't mind/Tea"
        answer(sqlite_store, person(sqlite_store, f"north {number}", "north"), wish)
    for number in range(4):
        answer(sqlite_store, person(sqlite_store, f"south {number}", "south"), "Cold/Coffee")
    for number in range(5):
        answer(sqlite_store, someone(sqlite_store, f"of none {number}"), "Mild/Tea")
    return sqlite_store


def test_what_groups_chose_is_a_survey_file(answered: Store, tmp_path: Path) -> None:
    rows = exported(answered, "survey").rows
    write_jsonl_atomically(tmp_path / "answered.jsonl", rows)
    first, second = read_survey(tmp_path / "answered.jsonl").questions
    assert (first.options, first.scale) == (("Cold", "Mild", "Warm"), (0, 1, 3))
    assert (first.refusals, first.topic, first.source) == (
        ("I don't mind",), "the office", "our own",
    )  # fmt: skip
    everybody = first.groups["everybody"]["everybody"]
    assert everybody.shares == pytest.approx((4 / 14, 5 / 14, 5 / 14)) and everybody.n == 14
    assert first.groups["team"]["north"].shares == (0, 0, 1) and second.scale is None
    assert second.groups["team"]["north"].n == 6


def test_a_group_of_fewer_than_five_is_left_out(answered: Store) -> None:
    export = exported(answered, "survey")
    assert all("south" not in row["groups"]["team"] for row in export.rows)
    assert str(export) == (
        "2 rows; left out: 2 group(s) of fewer than 5 people, over all questions"
    )


def test_what_the_others_leave_gives_no_small_group_away(
    sqlite_store: Store, survey: Survey
) -> None:
    """Five of Red and everybody of six would be the answer of the one who isn't of Red."""
    ask_survey(sqlite_store, survey, 20, 0)
    for number in range(5):
        answer(sqlite_store, person(sqlite_store, f"red {number}", "Red"), "Warm/Tea")
    answer(sqlite_store, person(sqlite_store, "blue", "Blue"), "Cold/Coffee")
    export = exported(sqlite_store, "survey")
    assert all(row["groups"].keys() == {"everybody"} for row in export.rows)
    assert "2 group(s) of fewer than 5 people" in str(export)
    assert "2 group(s) whose shares would give a smaller group away" in str(export)


ALL = ("everybody", "everybody")


@pytest.mark.parametrize(
    ("sizes", "small", "telling"),
    [
        ({"Red": 5, "Blue": 1}, ["Blue"], ["Red"]),
        ({"Red": 5, "Blue": 5}, [], []),
        ({"Red": 9, "Blue": 6, "Green": 2}, ["Green"], ["Blue"]),
        ({"Red": 9, "Blue": 6, "Green": 2, "Grey": 3}, ["Green", "Grey"], []),
        ({"Red": 9, "": 4}, [], ["Red"]),  # who says nothing of a party is a group, too
        ({"Red": 9, "": 5}, [], []),
    ],
)
def test_the_smallest_group_is_withheld_until_five_remain(
    sizes: dict[str, int], small: list[str], telling: list[str]
) -> None:
    people = iter(range(100))
    members = {("party", name): [next(people) for _ in range(n)] for name, n in sizes.items()}
    groups = {**members, ALL: [each for of in members.values() for each in of]}
    groups.pop(("party", ""), None)
    found = withheld(groups, 5)
    assert [sorted(value for _, value in each) for each in found] == [small, telling]


def test_a_wider_group_of_another_dimension_gives_none_away_either() -> None:
    north, south = list(range(10)), list(range(10, 20))
    groups = {
        ALL: north + south, ("region", "north"): north, ("region", "south"): south,
        ("town", "Ahl"): north[:6], ("town", "Bode"): north[6:], ("town", "Cray"): south,
    }  # fmt: skip
    assert withheld(groups, 5) == ({("town", "Bode")}, {("town", "Ahl")})


def test_who_takes_an_opinion_back_is_counted_no_more(answered: Store) -> None:
    late = person(answered, "late", "south")
    for judgement in answer(answered, late, "Cold/Coffee"):
        withdraw(answered, judgement, late.id, submission())
    assert exported(answered, "survey").rows[1]["groups"]["everybody"]["everybody"]["n"] == 15


def test_nothing_is_asked_twice_and_half_of_the_people_see_a_scale_turned_around(
    answered: Store, survey: Survey
) -> None:
    ask_survey(answered, survey, 20, 0)
    with answered.reading() as session:
        assert session.query(Task).count() == 2
        orders = {tuple(each.order) for each in session.query(Assignment).all()}
    assert orders == {(0, 1, 2, 3), (2, 1, 0, 3), (0, 1), (1, 0)}
