"""Free answers of served models: against a local model's, the store, failures, the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from endpoints import QUICK, Answer, Behaviour, Chat, Completions, Server, serving
from labelled import world, write_world
from tiny import plain, tiny, tokenizer
from truing.candidates import Candidate
from truing.cli.main import app
from truing.evaluate.served_answers import choose_interface, served_answers
from truing.evaluate.sweep import open_ended as open_ended_module
from truing.evaluate.variant import StoredVariant
from truing.evaluate.variant_answers import FreeAnswers, variant_answers
from truing.judges import trees
from truing.models.memo import answers as answer_store
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.models.remote.endpoint import Endpoint, EndpointName
from truing.prompts.rendering import Prompt
from truing.prompts.variants import Form, prompt_variants
from truing.types import InputError, Unscored

CASES = world()[0][:6]
QUESTIONS = [case.prompt for case in CASES]
NEW = 8
[NONE] = prompt_variants(["none"])


def answered(
    server: Server, store: AnswerStore, form: Form = "auto", most: int = NEW
) -> FreeAnswers:
    endpoint = Endpoint(EndpointName.parse(server.name), QUICK)
    try:
        interface = choose_interface(endpoint, form)
        return served_answers(endpoint, interface, NONE, [*CASES, CASES[0]], most, store)
    finally:
        endpoint.close()


def test_a_served_model_says_what_it_says_here(tmp_path: Path) -> None:
    """The same weights behind the completions API and in our own passes."""
    stores = ScoreStore(tmp_path / "scores"), AnswerStore(tmp_path / "a")
    candidate = Candidate("tiny", 0, tiny(), Prompt())
    variant = StoredVariant(NONE, "text", "w", "float32", *stores)
    local = variant_answers(candidate, variant, CASES, NEW)
    store = AnswerStore(tmp_path / "b")
    with serving(Completions()) as server:  # doesn't chat
        found = answered(server, store)
        assert found.answers == [*local.answers, local.answers[0]]
        assert found.computed == len(QUESTIONS)  # the one that comes twice is asked once
        asked = len(server.seen)
        assert answered(server, store).computed == 0
        assert len(server.seen) == asked + 2  # the trials of both interfaces
        assert answered(server, store, most=NEW + 1).computed == len(QUESTIONS)


def test_each_case_may_have_a_greatest_length_of_its_own(tmp_path: Path) -> None:
    def cut(path: str, body: dict[str, Any]) -> Answer:
        choice = {"message": {"content": "cat " * body["max_tokens"]}, "finish_reason": "length"}
        return 200, {"choices": [choice]}

    store, longest = AnswerStore(tmp_path / "a"), [1, 2, 3, 4, 5, 6]
    with serving(cut) as server:
        endpoint = Endpoint(EndpointName.parse(server.name), QUICK)
        interface = choose_interface(endpoint, "chat")
        for most, fresh in ((longest, 6), (longest[::-1], 6), (longest, 0), (3, 0)):
            found = served_answers(endpoint, interface, NONE, CASES, most, store)
            lengths = most if isinstance(most, list) else [most] * 6
            assert found.computed == (fresh if most != 3 else 4)
            assert [each.text.split() for each in found.answers] == [["cat"] * n for n in lengths]  # type: ignore[union-attr]
        endpoint.close()


def replying(reply: str, fingerprint: str = "one", finish: str = "stop") -> Behaviour:
    def behave(path: str, body: dict[str, Any]) -> Answer:
        assert path == "/v1/chat/completions" and body["temperature"] == 0
        choice = {"message": {"content": reply}, "finish_reason": finish}
        return 200, {"choices": [choice], "system_fingerprint": fingerprint}

    return behave


def test_thoughts_are_no_part_of_an_answer(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "a")
    with serving(replying("<think>Hm.\nWho?</think>\n\nA cat.\nOr two. ")) as server:
        first = answered(server, store).answers[0]
        assert first == answer_store.Answer("A cat.\nOr two.", True)  # no line break ends a chat's
        server.behaviour = replying("<think>Hm", "two", "length")
        again = answered(server, store)  # another fingerprint: another model, as far as is known
        assert again.computed == len(QUESTIONS)
        assert again.answers[0] == answer_store.Answer("", False)
        server.behaviour = replying("anything", "one")
        assert answered(server, store).answers[0] == first


def test_what_fails_is_asked_again(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "a")
    good = replying("yes")

    def picky(path: str, body: dict[str, Any]) -> Answer:
        if body["messages"][-1]["content"] == QUESTIONS[1]:
            return 400, {"error": {"message": "not that one"}}
        return good(path, body)

    with serving(picky) as server:
        found = answered(server, store)
        assert isinstance(found.answers[1], Unscored) and "not that one" in found.answers[1].reason
        assert found.computed == len(QUESTIONS) - 1
        server.behaviour = good
        assert answered(server, store).computed == 1


def test_what_a_content_filter_leaves_is_no_answer(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "a")
    with serving(replying("I was about", finish="content_filter")) as server:
        found = answered(server, store)
        assert all(isinstance(e, Unscored) and "content filter" in e.reason for e in found.answers)
        server.behaviour = replying("A cat.")
        assert answered(server, store).computed == len(QUESTIONS)  # nothing of it was kept


def test_a_form_that_the_server_lacks_is_refused(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "a")
    with serving(Chat(lambda message: "A")) as server, pytest.raises(InputError, match="404"):
        answered(server, store, "text")
    with serving(Completions()) as server, pytest.raises(InputError, match="404"):
        answered(server, store, "chat")


def test_the_command_grades_a_served_models_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRUING_ENDPOINT_KEY", raising=False)
    monkeypatch.setattr(trees, "TREES", 20)
    monkeypatch.setattr(open_ended_module, "default_model", lambda: str(tmp_path / "model"))
    plain("llama").save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    cases, answers = world()
    write_world(tmp_path, cases, answers)
    monkeypatch.chdir(tmp_path)

    def evaluate(server: Server, *options: str) -> Any:
        line = ["eval", "truthfulness", "--candidate", server.name, "--prompt", "none", "--free"]
        line += ["--questions", "questions.jsonl", "--max-new-tokens", str(NEW), "--out", "out"]
        return CliRunner().invoke(app, [*line, *options], catch_exceptions=False)

    with serving(Completions()) as server:
        done = evaluate(server, "--json")
        assert done.exit_code == 0, done.output
        document = json.loads(done.stdout)
        found = document["candidates"][server.name]["truthfulness"]["none"]
        assert {"mc1", "true", "true_and_informative"} <= found.keys()
        assert document["models"][server.name]["answers"] == "completions"
        assert document["free"]["answers_generated"] == len(cases)
        rows = [json.loads(line) for line in Path("out/rows.jsonl").read_text().splitlines()]
        assert all(isinstance(row["detail"]["answer"], str) for row in rows)
        again = json.loads(evaluate(server, "--json").stdout)
        assert again["free"]["answers_generated"] == again["answers_computed"] == 0
        assert again["candidates"] == document["candidates"]
