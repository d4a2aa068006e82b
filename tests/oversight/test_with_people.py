"""A study from its plan over eight participants' browsers to its report, with a restart in the middle."""

from __future__ import annotations

import json
from pathlib import Path

from parties import Party, honest_quotes
from people_work import someone
from study_people import Clock, Robot, browser, page_of, planned
from truing.data.oversight import read_plan, read_trial_answers
from truing.data.oversight.plans import ANSWERS
from truing.oversight.replying import replying
from truing.people import open_store
from truing.people.study.collecting import STORE
from truing.recipes.oversight import report_study
from truing.types import Estimate

PEOPLE, ROUNDS = 8, 10


def test_eight_people_and_forty_items_from_plan_to_report(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    plan = planned(folder, PEOPLE, ROUNDS)
    assert len({trial.item for trial in plan.trials}) == 40 and len(plan.trials) == 320
    clock, path = Clock(), str(folder / STORE)
    store = open_store(path)
    people = [someone(store, f"Person {number}") for number in range(PEOPLE)]
    app = page_of(store, plan, clock)
    robots = [Robot(browser(app, each)) for each in people]
    for number, robot in enumerate(robots):
        robot.trusts = number % 2 == 1
        robot.open()
    robots[0].act()
    clock.on(plan.time_limit + 1)
    # Whatever the browser says of the time: it is late by the server's clock.
    robots[0].extra = {"seconds": "1", "at": "2026-03-01T12:00:01Z"}
    robots[0].act()
    assert "Time was up for question 1" in robots[0].page
    while not all(robot.is_finished for robot in robots):
        for robot in robots:
            if not robot.is_finished:
                clock.on(5)
                robot.act()
        if sum(robot.answers for robot in robots) in range(250, 258):  # in the middle of trials
            store.close()
            store = open_store(path)
            app = page_of(store, read_plan(folder), clock)
            for robot, person in zip(robots, people, strict=True):
                robot.client = browser(app, person)
                robot.open()
    store.close()

    late = plan.of("P1")[0].id
    answers = read_trial_answers(folder / ANSWERS, plan)
    assert [each.trial for each in answers] == [trial.id for trial in plan.trials]
    assert [each.trial for each in answers if each.timed_out] == [late]
    steps = {"unaided": 1}
    expected = sum(steps.get(trial.arm, 2) for trial in plan.trials)
    assert sum(robot.answers for robot in robots) == expected - steps.get(plan.trials[0].arm, 2) + 1

    study, document = report_study(folder)
    key = plan.key()
    misled = [
        trial.person in ("P2", "P4", "P6", "P8")
        for trial in plan.trials
        if trial.arm == "consultancy" and trial.id != late
        and trial.options[trial.side or 0] != key[trial.item].answer
    ]  # fmt: skip
    for arm, name, value in (
        ("passage", "accuracy", 1.0),
        ("consultancy", "over_trust", sum(misled) / len(misled)),
        ("consultancy", "under_trust", 0.0),
    ):
        figure = study.arms[arm][name]
        assert isinstance(figure, Estimate) and figure.value == value, (arm, name)
    assert study.readable and document["missing"] == 0
    assert not {"passage", "answer"} & set(
        json.loads((folder / ANSWERS).read_text().split("\n")[0])
    )


def test_an_adviser_answers_for_its_side_and_reads_the_passage(tmp_path: Path) -> None:
    plan = planned(tmp_path / "study", people=1, rounds=4, arms=("dialogue",))
    prompts: list[str] = []

    def speak(prompt: str) -> str:
        prompts.append(prompt)
        return honest_quotes(prompt)

    reply = replying(plan, Party(speak))
    for trial in plan.trials:
        speech = reply(trial, [trial.speeches[0].text], "Where does it say so?")
        sealed = plan.key()[trial.item]
        assert trial.side is not None and speech.side == trial.side
        is_right = trial.options[trial.side] == sealed.answer
        assert [quote.verified for quote in speech.quotes] == [is_right]
        assert sealed.passage in prompts[-1] and "Reader: Where does it say so?" in prompts[-1]
    assert reply(plan.trials[0], [], "x").tokens > 0
    assert replying(plan, Party(lambda prompt: " "))(plan.trials[0], [], "x").side is None
