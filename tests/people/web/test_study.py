"""The page of a study: whose clock counts, what order holds, what nobody sees before the end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.testclient import TestClient

from people_work import Someone, someone
from study_people import Clock, Form, Robot, browser, forms, page_of, planned, trial_of
from truing.data.oversight import read_plan, read_trial_answers
from truing.data.oversight.plans import (
    ANSWERS,
    KEY,
    RECORD,
    Plan,
    Quote,
    Speech,
    file_hash,
    record_hash,
)
from truing.files import read_jsonl, write_json_atomically, write_jsonl_atomically
from truing.people import Store, open_store
from truing.people.erasure import erase_annotator
from truing.people.study.collecting import write_answers
from truing.people.study.taking import take_place
from truing.people.study.trials import Study
from truing.people.web.study import marked


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return planned(tmp_path_factory.mktemp("plans") / "study", people=4, rounds=1)


@pytest.fixture()
def clock() -> Clock:
    return Clock()


@pytest.fixture()
def app(sqlite_store: Store, plan: Plan, clock: Clock) -> FastAPI:
    return page_of(sqlite_store, plan, clock)


@pytest.fixture()
def ada(sqlite_store: Store) -> Someone:
    return someone(sqlite_store, "Ada")


@pytest.fixture()
def lea(sqlite_store: Store) -> Someone:
    return someone(sqlite_store, "Lea", role="lead")


@pytest.fixture(autouse=True)
def no_answers_left(plan: Plan) -> Iterator[None]:
    yield
    (plan.folder / ANSWERS).unlink(missing_ok=True)


FIRST = "consultancy"
"""An arm with advice that isn't P1's last."""


def begin(app: FastAPI, person: Someone) -> Robot:
    robot = Robot(browser(app, person))
    robot.open()
    robot.act()
    return robot


def advance(robot: Robot, plan: Plan, arm: str, slot: str = "P1") -> str:
    """Go on to the first trial of an arm, and open it; its id."""
    trial = trial_of(plan, arm, slot)
    while f"/trials/{trial.id}/" not in robot.page:
        robot.act()
    return trial.id


def sent(robot: Robot, form: Form, **fields: str) -> int:
    data = {**form.fields, "letter": "A", "confidence": "70", **fields}
    return robot.client.post(form.action, data=data, follow_redirects=False).status_code


def answers(store: Store, plan: Plan, clock: Clock) -> list[dict[str, object]]:
    write_answers(store, Study(plan, clock=clock))
    return read_jsonl(plan.folder / ANSWERS)


def test_advice_comes_after_the_first_answer_alone(app: FastAPI, plan: Plan, ada: Someone) -> None:
    robot = begin(app, ada)
    for trial in plan.of("P1"):
        arm = trial.arm
        if arm == "unaided":
            continue
        advance(robot, plan, arm)
        told = [speech.text.split('"')[0] for speech in trial.speeches]
        told += [plan.key()[trial.item].passage] if arm == "passage" else []
        assert told and not any(each in robot.page for each in told)
        robot.act()
        assert all(each in robot.page for each in told), arm


def test_quotations_are_marked() -> None:
    quotes = (Quote("the mill", True), Quote("of stone", False))
    speech = Speech(0, 'Says "the mill", and "of stone".', quotes)
    assert list(marked(speech)) == [
        ('Says "', None), ("the mill", True), ('", and "', None), ("of stone", False), ('".', None),
    ]  # fmt: skip


def test_what_comes_late_counts_as_timed_out(
    app: FastAPI, plan: Plan, clock: Clock, sqlite_store: Store, ada: Someone
) -> None:
    robot = begin(app, ada)
    trial = advance(robot, plan, FIRST)
    opened = clock.time
    clock.on(179)
    robot.act()  # in time: the first answer
    form = forms(robot.page)["answer"]
    clock.on(1.5)
    liar = {
        "Date": "Sun, 01 Mar 2026 12:00:01 GMT",
        "If-Modified-Since": "Sun, 01 Mar 2026 12:00:01 GMT",
    }
    late = robot.client.post(
        form.action,
        data={**form.fields, "letter": "B", "confidence": "99", "seconds": "1", "at": "0"},
        headers=liar,
    )
    assert "Time was up" in late.text
    row = next(each for each in answers(sqlite_store, plan, clock) if each["trial"] == trial)
    assert (row["answer_before"], row["answer_after"], row["timed_out"]) == ("A", None, True)
    assert row["seconds"] == 180.0
    # The server's own clock, put back, opens nothing again.
    robot.act()
    clock.time = opened
    assert sent(robot, form) == 303
    row = next(each for each in answers(sqlite_store, plan, clock) if each["trial"] == trial)
    assert row["answer_after"] is None


def test_steps_come_once_and_in_order(
    app: FastAPI, plan: Plan, clock: Clock, sqlite_store: Store, ada: Someone
) -> None:
    robot = begin(app, ada)
    advance(robot, plan, FIRST)
    form = forms(robot.page)["answer"]
    ahead = plan.of("P1")[trial_of(plan, FIRST).place + 1].id
    assert sent(robot, form, step="after") == 409
    assert sent(robot, Form(f"/trials/{ahead}/answer", form.fields)) == 409
    assert sent(robot, Form("/trials/P2-000/answer", form.fields)) == 404
    assert sent(robot, form, step="x") == 422
    for bad in (
        {"confidence": "100"},
        {"confidence": "49"},
        {"confidence": "6e1"},
        {"letter": "C"},
    ):
        assert sent(robot, form, **bad) == 422, bad
    assert sent(robot, form) == sent(robot, form) == 303  # twice: once
    assert sent(robot, form, letter="B") == 409
    done = form.fields | {"step": "after", "then": "pause"}
    assert sent(robot, Form(form.action, done)) == sent(robot, Form(form.action, done)) == 303
    (row,) = [
        e for e in answers(sqlite_store, plan, clock) if e["trial"] == form.action.split("/")[2]
    ]
    assert (row["answer_before"], row["answer_after"], row["confidence_after"]) == ("A", "A", 70)
    with pytest.raises(DBAPIError, match="append-only"), sqlite_store.writing() as session:
        session.execute(text("UPDATE study_steps SET letter = 'B'"))


def test_a_restart_between_any_two_steps_loses_nothing(
    plan: Plan, clock: Clock, tmp_path: Path
) -> None:
    path = str(tmp_path / "people.db")
    store = open_store(path)
    ada, robot = someone(store, "Ada"), None
    while robot is None or not robot.is_finished:
        app = page_of(store, read_plan(plan.folder), clock)
        robot = Robot(browser(app, ada))
        robot.open()
        if not robot.is_finished:
            clock.on(3)
            robot.act()
        store.close()
        store = open_store(path)
    rows = read_trial_answers(plan.folder / ANSWERS, plan)
    store.close()
    assert [row.trial for row in rows] == [trial.id for trial in plan.of("P1")]
    assert not any(row.timed_out for row in rows)
    assert {row.seconds for row in rows} == {3.0, 6.0}


def test_places_are_taken_once_and_may_run_out(store: Store, plan: Plan, clock: Clock) -> None:
    study = Study(plan, clock=clock)
    people = [someone(store, name) for name in ("Ada", "Bob", "Cleo", "Dan", "Eve")]
    slots = [take_place(store, study, each.id).slot for each in people[:4]]
    assert slots == ["P1", "P2", "P3", "P4"] and take_place(store, study, people[0].id).slot == "P1"
    app = page_of(store, plan, clock)
    assert "All places of this study are taken" in browser(app, people[4]).get("/").text
    robot = begin(app, people[0])
    robot.act()
    erased = erase_annotator(store, "Ada")
    assert erased["study_people"] == 1 and erased["study_steps"] >= 2
    write_answers(store, study)
    assert "P1" not in (plan.folder / ANSWERS).read_text()
    assert take_place(store, study, people[4].id).slot == "P1"


def test_a_file_that_came_from_elsewhere_is_left_alone(
    sqlite_store: Store, plan: Plan, clock: Clock
) -> None:
    (plan.folder / ANSWERS).write_text("by hand\n")
    write_answers(sqlite_store, Study(plan, clock=clock))
    assert (plan.folder / ANSWERS).read_text() == "by hand\n"


def test_a_dialogue_asks_so_often_and_waits_without_its_clock(
    tmp_path: Path, clock: Clock, sqlite_store: Store, ada: Someone
) -> None:
    plan = planned(tmp_path / "dialogue", people=1, rounds=4, arms=("dialogue",))
    heard: list[tuple[str, ...]] = []

    def reply(trial: object, said: tuple[str, ...], question: str) -> Speech:
        heard.append((*said, question))
        clock.on(170)
        return Speech(0, f"Well: {len(heard)}.", (), 3)

    robot = begin(page_of(sqlite_store, plan, clock, reply), ada)
    assert "question" not in forms(robot.page)
    robot.act()
    for number in range(2):
        form = forms(robot.page)["question"]
        for _ in range(2):  # sent twice, asked once
            robot._set(
                robot.client.post(form.action, data={**form.fields, "text": f"Why {number}?"})
            )
        assert len(heard) == number + 1
    assert "question" not in forms(robot.page)
    assert sent(robot, form, number="2", text="Why?") == 409
    robot.act()
    (row,) = answers(sqlite_store, plan, clock)
    assert row["turns"] == [
        {"question": f"Why {n}?", "reply": f"Well: {n + 1}.", "tokens": 3} for n in range(2)
    ]
    assert (row["timed_out"], row["seconds"]) == (False, 0.0)
    assert heard[1][-3:] == ("Why 0?", "Well: 1.", "Why 1?")
    alone = begin(
        page_of(sqlite_store, plan, clock), ada
    )  # without a model: the opening speech alone
    alone.act()
    assert "question" not in forms(alone.page)


def routes(app: FastAPI, trial: str) -> list[str]:
    paths = app.openapi()["paths"]
    return [
        re.sub(r"\{\w+\}", "1", path.replace("{trial_id}", trial)) for path in sorted(paths)
    ] + ["/static/study.js", "/openapi.json", "/docs", "/answers.jsonl", "/key.jsonl"]


def everything(plan: Plan, store: Store, people: list[Someone]) -> Iterator[tuple[str, str, str]]:
    """What every address says to everybody at every step of a study that isn't over: the trial, who asks,
    and what is said; then the export, and what the store holds."""
    clock = Clock()
    app = page_of(store, plan, clock)
    clients: list[TestClient] = [browser(app, each) for each in people]
    robot = Robot(clients[0])
    robot.open()
    last = plan.of("P1")[-1].id
    while f"/trials/{last}/" not in robot.page:
        robot.act()
        trial = re.findall(r"/trials/(P1-\d+)/", robot.page)[0]
        everybody = list(zip(clients, people, strict=True))
        for client, person in everybody if robot.answers % 4 == 2 else everybody[:1]:
            for path in routes(app, trial):
                sent = [client.get(path)]
                if robot.answers == 2:
                    sent.append(client.post(path, data={"csrf": "x"}))
                for response in sent:
                    seen = re.sub(r"[0-9a-f]{64}|20\d\d-\d\d-\d\d", "", response.text)
                    yield trial, person.name, seen
    write_answers(store, Study(plan, clock=clock))
    yield "", "export", (plan.folder / ANSWERS).read_text()
    with store.engine.connect() as connection:
        for table in ("study_people", "study_steps"):
            columns = (
                "id, study, slot" if table == "study_people" else "trial, step, letter, text, reply"
            )
            rows = connection.exec_driver_sql(f"SELECT {columns} FROM {table} ORDER BY id").all()
            yield "", "store", re.sub(r"[0-9a-f]{64}", "", repr(rows))


def turned(plan: Plan, folder: Path) -> Plan:
    """The same plan with the other option right, of every item."""
    folder.mkdir()
    for path in plan.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    options = {trial.item: trial.options for trial in plan.trials}
    sealed = read_jsonl(folder / KEY)
    for each in sealed:
        first, second = options[each["item"]]
        each["answer"] = second if each["answer"] == first else first
    write_jsonl_atomically(folder / KEY, sealed)
    record = json.loads((folder / RECORD).read_text())
    record["files"][KEY] = file_hash(folder / KEY)
    record["hash"] = record_hash(record)
    write_json_atomically(folder / RECORD, record)
    return read_plan(folder)


def test_nothing_of_an_open_study_tells_a_passage_or_an_answer(plan: Plan, tmp_path: Path) -> None:
    seen = []
    for number, version in enumerate((plan, turned(plan, tmp_path / "turned"))):
        store = open_store(str(tmp_path / f"{number}.db"))
        people = [someone(store, "Ada"), someone(store, "Lea", role="lead")]
        people.append(someone(store, "Bob"))
        seen.append(list(everything(version, store, people)))
        store.close()
    # Whichever option is right, every byte that anybody gets is the same.
    assert [each for each, other in zip(*seen, strict=True) if each != other] == []
    arms = {trial.id: trial for trial in plan.trials}
    passages = {item: each.passage for item, each in plan.key().items()}
    shown = set()
    for trial, who, page in seen[0]:
        own = arms[trial].item if trial and arms[trial].arm == "passage" and who == "Ada" else None
        for item, passage in passages.items():
            if item == own and passage in page:
                shown.add(item)
            elif passage in page or passage.split(". ")[1] in page:
                pytest.fail(f"{who} sees the passage of {item} in {trial}")
    read = [trial.item for trial in plan.of("P1") if trial.arm == "passage"]
    assert shown == set(read)


def test_the_lead_sees_how_far_all_are_and_nothing_of_what_they_say(
    app: FastAPI, plan: Plan, ada: Someone, lea: Someone
) -> None:
    robot = begin(app, ada)
    robot.act()
    lead = browser(app, lea)
    page = lead.get("/").text
    assert "How the study goes" in page and "1 of 4 places" in page
    assert "60" not in re.sub(r"<header.*?</header>", "", page, flags=re.S)
    assert plan.exclusion.words in page and plan.exclusion.words in robot.client.get("/").text
    assert lead.get("/trial").status_code == 403
    assert browser(app, ada).get("/lead").status_code == 403
    assert lead.get("/lead/people").status_code == 200 and "/guidelines" not in page


def test_the_score_is_proper_and_for_the_end(
    app: FastAPI, plan: Plan, clock: Clock, ada: Someone
) -> None:
    robot = begin(app, ada)
    while not robot.is_finished:
        assert "Your score" not in robot.page
        robot.act()
    key = plan.key()
    points = 0.0
    for row, trial in zip(
        read_trial_answers(plan.folder / ANSWERS, plan), plan.of("P1"), strict=True
    ):
        assert row.answer_after and row.confidence_after
        is_right = trial.options["AB".index(row.answer_after)] == key[trial.item].answer
        sure = row.confidence_after / 100
        points += 100 - 400 * ((1 - sure) if is_right else sure) ** 2
    said = re.search(r"Your score is <strong>(-?\d+)</strong>", robot.page)
    assert said and int(said[1]) == round(points / len(plan.of("P1")))
