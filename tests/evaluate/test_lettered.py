"""Choices by letters: every order, the letter in a reply, a served model that only chats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from endpoints import CASES, Answer, Chat, knows, scored, serving
from truing.evaluate.lettered import CUT_OFF, LETTER_TOKENS, TORN, Lettered, orders
from truing.evaluate.named_choice import named
from truing.evaluate.served_choices import _taken
from truing.models.memo.scores import ScoreStore
from truing.models.remote.replies import chat_reply
from truing.types import Unscored


@pytest.fixture
def store(tmp_path: Path) -> ScoreStore:
    return ScoreStore(tmp_path / "scores.sqlite")


def test_without_log_probabilities_it_chooses_letters_in_every_order(store: ScoreStore) -> None:
    with serving(Chat(knows)) as server:
        found = scored(server, store)
        chats = [body for path, body in server.seen if path.endswith("/chat/completions")]
    assert len(chats) == 1 + 5 * len(CASES)  # a trial; three orders of three, two of two
    assert found.computed == 5 * len(CASES)
    for choices in found.choices:
        assert isinstance(choices, Lettered)
        assert choices.metrics["mc1"] == choices.metrics["binary"] == 1.0
        assert isinstance(choices.metrics["mc2"], Unscored)


def test_what_was_chosen_is_not_asked_again(store: ScoreStore) -> None:
    def behave(path: str, body: dict[str, Any]) -> Answer:
        if path.endswith("/v1/completions"):  # without a fingerprint, which the chat then has
            return 200, {"choices": [{"index": 0, "text": "", "logprobs": None}]}
        status, said, *_ = Chat(knows)(path, body)
        return status, said | {"system_fingerprint": "fp_1"}

    with serving(behave) as server:
        assert scored(server, store).computed == 25
        assert scored(server, store).computed == 0


def test_a_model_that_always_says_the_same_letter_is_at_chance(store: ScoreStore) -> None:
    with serving(Chat(lambda message: "A")) as server:
        for choices in scored(server, store).choices:
            assert isinstance(choices, Lettered)
            assert choices.metrics["mc1"] == pytest.approx(1 / 3)
            assert choices.metrics["binary"] == 0.5


def test_a_reply_without_a_letter_leaves_the_question_unscored(store: ScoreStore) -> None:
    def sometimes(message: str) -> str:
        return "I'd rather not say." if "who is bob" in message else knows(message)

    with serving(Chat(sometimes)) as server:
        choices = scored(server, store).choices
    assert isinstance(choices[1], Lettered) and isinstance(choices[1].metrics["mc1"], Unscored)
    assert choices[0].metrics["mc1"] == 1.0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("reply", "finish", "place"),
    [
        ("B", "length", None), ("The answer is B", "length", None), ("B) a dog", "length", None),
        ("B) a dog. It barks and", "length", 1), ("B\n", "length", 1), ("B", "stop", 1),
        ("B) a dog. Or no, C) a c", "length", None), ("Let me see. The answer is B", "model_length", None),
        ("<think>B) a dog. So", "length", None), ("</think>\nB\n", "length", 1),
    ],
)  # fmt: skip
def test_a_letter_counts_where_it_is_whole(reply: str, finish: str, place: int | None) -> None:
    document = {"choices": [{"message": {"content": reply}, "finish_reason": finish}]}
    assert _taken(chat_reply(document, 64), ("a cat", "a dog", "a cow"), (2, 1, 0)) == (
        1 if place else TORN
    )


def test_a_reply_that_was_cut_off_leaves_its_question_unscored(store: ScoreStore) -> None:
    finish = "length"

    def cuts(path: str, body: dict[str, Any]) -> Answer:
        status, said, *_ = Chat(knows)(path, body)
        if status == 200 and "who is bob" in body["messages"][-1]["content"]:
            said["choices"][0]["finish_reason"] = finish
        return status, said

    with serving(cuts) as server:
        bob = scored(server, store).choices[1]
        assert isinstance(bob, Lettered) and bob.detail["cut_off"] == 5
        assert bob.detail["taken"] == {"all": [None] * 3, "two": [None] * 2}
        assert bob.metrics["mc1"] == bob.metrics["binary"] == Unscored(CUT_OFF)
        again = scored(server, store)
        assert (again.computed, again.choices[1]) == (0, bob)  # the same limit cuts it the same
    with serving(cuts) as server:  # another address, so nothing is known of it
        finish = "content_filter"
        found = scored(server, store)
        assert isinstance(found.choices[1], Unscored)
        assert "content filter" in found.choices[1].reason and found.computed == 20
        finish = "stop"
        again = scored(server, store)
        assert again.computed == 5 and again.choices[1].metrics["mc1"] == 1.0  # type: ignore[union-attr]


def test_every_choice_stands_once_in_every_place() -> None:
    for count in (2, 3, 7):
        shown = orders([str(n) for n in range(count)], "why?", 0)
        for place in range(count):
            assert sorted(order[place] for order in shown) == list(range(count))
    assert orders(["a", "b", "c"], "why?", 0) == orders(["a", "b", "c"], "why?", 0)
    drawn = {tuple(orders([str(n) for n in range(5)], "why?", seed)) for seed in range(9)}
    assert len(drawn) > 1


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        ("B", 1), (" b. ", 1), ("(C)", 2), ("B) a dog", 1), ("A. cats", 0), ("**B**", 1),
        ("The answer is B.", 1), ("Answer: **C**", 2), ("a dog", 1), ("A dog.", 1),
        ("<think>A or B?</think>\nC", 2), ("A cat, I think", None), ("The answer is a cat", None),
        ("D", None), ("", None), ("answer is A. No, the answer is B.", None), ("I don't know", None),
    ],
)  # fmt: skip
def test_the_letter_in_a_reply(reply: str, place: int | None) -> None:
    assert named(reply, ["a cat indeed", "a dog", "a cow"]) == place


def test_newer_parameters_are_used_where_the_old_are_refused(store: ScoreStore) -> None:
    chat = Chat(knows)

    def strict(path: str, body: dict[str, Any]) -> Answer:
        for name in ("max_tokens", "temperature"):
            if name in body:
                return 400, {"error": {"message": f"Unsupported parameter: '{name}'"}}
        return chat(path, body)

    with serving(strict) as server:
        assert isinstance(scored(server, store, "chat").choices[0], Lettered)
        assert server.seen[-1][1]["max_completion_tokens"] == LETTER_TOKENS
        assert all(path.endswith("chat/completions") for path, _ in server.seen)
