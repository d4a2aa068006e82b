"""A case's own system message, wherever it is asked: here, under variants, served, on file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from endpoints import QUICK, serving
from pilot_server import candidate
from truing.data.rules import composed_case
from truing.evaluate.local import LocalRespondent
from truing.evaluate.recorded import RecordedRespondent, read_answers
from truing.evaluate.served_answers import Interface, served_answers
from truing.evaluate.variant import StoredVariant
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.models.remote.endpoint import Endpoint, EndpointName
from truing.prompts.rendering import Prompt
from truing.prompts.variants import PromptVariant
from truing.types import Case, Completion, InputError, Unscored

ASKED = "who?"
RULES = ("", "never say ann.", "never say bob.")
CASES = [composed_case(rule, ASKED, {"rule": rule}, "r") for rule in RULES]
TALK = Case(
    "be brief.\n\nhi\n\nyes?\n\nwho?",
    messages=(
        ("system", "be brief."),
        ("user", "hi"),
        ("assistant", "yes?"),
        ("user", "who?"),
    ),
)
OWN, BARE = Prompt("be kind."), PromptVariant("bare", template="q: {question} a:")
TOLD = PromptVariant("told", prompt=Prompt("be true."))


def test_what_a_case_asks_is_told_apart_from_what_its_system_message_says() -> None:
    assert CASES[1].system == "never say ann." and CASES[1].turns == (("user", ASKED),)
    assert CASES[0].system == "" and CASES[0].turns == (("user", ASKED),)
    assert TALK.turns == (("user", "hi"), ("assistant", "yes?"), ("user", "who?"))
    assert TALK.asking("why?").messages == (*TALK.messages[:-1], ("user", "why?"))
    assert CASES[0].asking("why?").prompt == "why?"


@pytest.mark.parametrize(
    ("variant", "form", "case", "text"),
    [
        (PromptVariant("own"), "text", CASES[1], "be kind.\n\nnever say ann.\n\nQ: who?\nA:"),
        (PromptVariant("own"), "text", CASES[0], "be kind.\n\nQ: who?\nA:"),
        (TOLD, "text", CASES[1], "be true.\n\nnever say ann.\n\nQ: who?\nA:"),
        (PromptVariant("none", prompt=Prompt()), "text", CASES[1], "never say ann.\n\nQ: who?\nA:"),
        (BARE, "text", CASES[1], "never say ann.\n\nq: who? a:"),
        (BARE, "text", CASES[0], "q: who? a:"),
        (BARE, "text", TALK, "be brief.\n\nhi\n\nyes?\n\nq: who? a:"),
        (TOLD, "text", TALK, "be true.\n\nbe brief.\n\nQ: hi\nA: yes?\n\nQ: who?\nA:"),
        (TOLD, "chat", CASES[1], "be true.\n\nnever say ann.<end><user>who?<end><bot>"),
        (BARE, "chat", CASES[1], "never say ann.<end><user>q: who? a:<end><bot>"),
        (
            TOLD,
            "chat",
            TALK,
            "be true.\n\nbe brief.<end><user>hi<end><bot>yes?<end><user>who?<end><bot>",
        ),
    ],
)
def test_a_variant_puts_it_behind_its_instruction(
    variant: PromptVariant, form: Any, case: Case, text: str
) -> None:
    renderer = candidate(OWN).renderer
    assert variant.context(renderer, OWN, case, form).text == text


def test_each_case_has_an_answer_of_its_own_in_the_store(tmp_path: Path) -> None:
    served = candidate(OWN)
    answers, scores = AnswerStore(tmp_path / "a.sqlite"), ScoreStore(tmp_path / "s.sqlite")
    stored = StoredVariant(TOLD, "auto", "w", "float32", scores, answers)
    respondent = LocalRespondent(served, variant=stored)
    respondent.answer(CASES, 4)
    assert respondent.computed.answers == 3
    again = LocalRespondent(served, variant=stored)
    assert again.answer(CASES, 4) == respondent.answer(CASES, 4) and again.computed.answers == 0


@pytest.mark.parametrize("interface", ["chat", "completions"])
def test_a_server_is_sent_it_and_answers_each_case(tmp_path: Path, interface: Interface) -> None:
    bodies: list[dict[str, Any]] = []

    def behaviour(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        bodies.append(body)
        sent = body.get("prompt") or body["messages"][0]["content"]
        choice: dict[str, Any] = {"finish_reason": "stop", "text": f"heard {len(sent)}"}
        return 200, {"choices": [{**choice, "message": {"content": choice["text"]}}]}

    store = AnswerStore(tmp_path / "a.sqlite")
    with serving(behaviour) as server:
        endpoint = Endpoint(EndpointName.parse(server.name), QUICK)
        asked = (interface, "")
        first = served_answers(endpoint, asked, TOLD, [*CASES, TALK], 8, store)
        again = served_answers(endpoint, asked, TOLD, [*CASES, TALK], 8, store)
        endpoint.close()
    assert (first.computed, again.computed) == (4, 0) and len(bodies) == 4
    assert first.answers == again.answers
    heard = [body.get("prompt") or body["messages"] for body in bodies]
    system = "be true.\n\nnever say ann."
    if interface == "chat":
        assert [{"role": "system", "content": system}, {"role": "user", "content": ASKED}] in heard
        assert [{"role": r, "content": t} for r, t in TALK.messages[1:]] in [h[1:] for h in heard]
    else:
        assert f"{system}\n\nQ: who?\nA:" in heard
        assert "be true.\n\nbe brief.\n\nQ: hi\nA: yes?\n\nQ: who?\nA:" in heard


def answered(
    path: Path, lines: list[dict[str, Any]], cases: list[Case], all_cases: list[Case] | None = None
) -> list[str | None]:
    path.write_text("\n".join(map(json.dumps, lines)))
    recording = read_answers(f"answers:{path}")
    respondent = RecordedRespondent("r", 0, recording, PromptVariant("own"), all_cases or cases)
    return [
        each.text if isinstance(each, Completion) else None for each in respondent.answer(cases, 8)
    ]


def test_one_recorded_answer_is_not_given_to_two_cases(tmp_path: Path) -> None:
    file, line = tmp_path / "a.jsonl", {"prompt": ASKED, "answer": "cleo"}
    assert answered(file, [line], CASES) == [None, None, None]
    assert answered(file, [line], CASES[1:2]) == ["cleo"]  # nothing else has this prompt
    assert answered(file, [line], CASES[1:2], CASES) == [None]  # asked in another batch
    lines = [{**line, "system": rule, "answer": f"a{n}"} for n, rule in enumerate(RULES)]
    assert answered(file, lines, CASES) == ["a0", "a1", "a2"]
    behind = {**line, "system": f"be kind.\n\n{RULES[1]}"}
    assert answered(file, [behind], CASES) == [None, "cleo", None]
    talk = {"messages": [{"role": r, "content": t} for r, t in TALK.messages]}
    talk["messages"].append({"role": "assistant", "content": "me"})
    assert answered(file, [talk], [TALK]) == ["me"]
    assert answered(file, [{**line, "system": "other"}], CASES[1:2]) == [None]


def test_why_a_recorded_answer_does_not_count_is_said(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"prompt": ASKED, "answer": "cleo"}))
    respondent = RecordedRespondent("r", 0, read_answers(f"answers:{file}"), PromptVariant("own"))
    (answer, *_) = respondent.answer(CASES, 8)
    assert isinstance(answer, Unscored) and "field 'system'" in answer.reason


def test_a_system_field_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"prompt": ASKED, "answer": "cleo", "system": 3}))
    with pytest.raises(InputError, match=r"a\.jsonl:1: system: not a text"):
        read_answers(f"answers:{file}")
