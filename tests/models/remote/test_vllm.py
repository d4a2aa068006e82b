"""vLLM's protocol: what is sent, what comes back and is refused, adapters by name, servers that go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from endpoints import Answer, Behaviour, Server, serving
from truing.models.remote.client import Connection, Refused, Unreachable
from truing.models.remote.endpoint import EndpointName
from truing.models.remote.fleet import Fleet, NoServerLeft
from truing.models.remote.token_replies import continuations, echoed
from truing.models.remote.vllm import PREFIX, Request, VllmServer
from waiting import LONG

QUICK = Connection(timeout=LONG, first_wait=0.01, attempts=2)
REQUEST = Request((3, 1, 4), 2, 5, 0.7, seed=12345, ends=(0, 9), stop="\n")
Begin = Callable[[Behaviour], tuple[VllmServer, Server]]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Begins a server that behaves so; returns a client of it too."""
    with ExitStack() as stack:

        def begun(behaviour: Behaviour) -> tuple[VllmServer, Server]:
            server = stack.enter_context(serving(behaviour))
            name = f"{PREFIX}http://127.0.0.1:{server.http.server_port}#base"
            client = VllmServer(EndpointName.parse(name, PREFIX), QUICK)
            stack.callback(client.close)
            return client, server

        yield begun


def choice(index: int = 0, **parts: Any) -> dict[str, Any]:
    usual = {
        "index": index,
        "finish_reason": "stop",
        "token_ids": [7, 0],
        "logprobs": {"token_logprobs": [-1.5, -0.25]},
    }
    return usual | parts


def drawn(path: str, body: dict[str, Any]) -> Answer:
    """Two continuations to whatever is asked; adapters are taken."""
    if path != "/v1/completions":
        return 200, "Success: in words"
    choices = [choice(1, finish_reason="length", token_ids=[5, 6]), choice(0)]
    return 200, {"model": body["model"], "choices": choices}


def test_what_is_sent_and_what_comes_back(begin: Begin) -> None:
    client, server = begin(drawn)
    found = client.draw_base(REQUEST)
    assert [each.tokens for each in found] == [(7, 0), (5, 6)]
    assert [each.stopped for each in found] == [True, False]
    assert found[0].log_probs == (-1.5, -0.25)
    [(path, body)] = server.seen
    assert path == "/v1/completions"
    assert body == {
        "model": "base", "prompt": [3, 1, 4], "n": 2, "max_tokens": 5, "temperature": 0.7,
        "seed": 12345, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0,
        "presence_penalty": 0.0, "frequency_penalty": 0.0, "logprobs": 0,
        "return_token_ids": True, "return_tokens_as_token_ids": True, "ignore_eos": True,
        "stop_token_ids": [0, 9], "stop": ["\n"], "include_stop_str_in_output": True,
    }  # fmt: skip


def test_older_servers_write_numbers_as_words() -> None:
    figures = {"tokens": ["token_id:7", "token_id:0"], "token_logprobs": [-1.5, 0.001]}
    [found] = continuations({"choices": [choice(token_ids=None, logprobs=figures)]}, 1, 5)
    assert found.tokens == (7, 0) and found.log_probs == (-1.5, 0.0)  # rounded, 16 bits


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ([choice()], "gave 1 continuations of a prompt where 2"),
        ([choice(), choice()], "gave 2 continuations"),
        ([choice(), choice(True)], "gave 2 continuations"),
        ([choice(), "text"], "without choices"),
        ([choice(), choice(1, finish_reason="abort")], "broke off"),
        ([choice(), choice(1, token_ids=None)], "no token ids"),
        ([choice(), choice(1, token_ids=[7, -1])], "no token ids"),
        ([choice(), choice(1, token_ids=[7, 2**40])], "no token ids"),
        ([choice(), choice(1, token_ids=[7, 0, 0])], "lists 2 log-probabilities of 3 tokens"),
        ([choice(), choice(1, token_ids=[], logprobs={"token_logprobs": []})], "wrote none"),
        ([choice(), choice(1, logprobs=None)], "lists no log-probabilities"),
        ([choice(), choice(1, logprobs={"token_logprobs": [-1.0, None]})], "without a log-prob"),
        ([choice(), choice(1, logprobs={"token_logprobs": [-1.0, "x"]})], "without a log-prob"),
        ([choice(), choice(1, logprobs={"token_logprobs": [-1.0, 10**400]})], "without a log-prob"),
        ([choice(), choice(1, logprobs={"token_logprobs": [-1.0, 4.5]})], "processed_logprobs"),
    ],
)
def test_what_cannot_be_is_refused(choices: list[Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        continuations({"choices": choices}, 2, 2)


def test_an_echo_is_the_prompts_own() -> None:
    row = [None, -1.0, -2.0, -9.0]
    document = {"choices": [{"logprobs": {"token_logprobs": row}}]}
    assert echoed(document, (3, 1, 4)) == [-1.0, -2.0]
    for wrong in ([], [{"logprobs": {"token_logprobs": row[:2]}}]):
        with pytest.raises(Refused):
            echoed({"choices": wrong}, (3, 1, 4))


def test_another_models_answer_is_refused(begin: Begin) -> None:
    client, _ = begin(lambda path, body: (200, {"model": "other", "choices": []}))
    with pytest.raises(Refused, match="answered by the model 'other' where 'base' was asked"):
        client.draw_base(REQUEST)


# --- Adapters ---------------------------------------------------------------------------------


def test_an_adapter_is_loaded_once_and_again_by_a_server_begun_anew(
    begin: Begin, tmp_path: Path
) -> None:
    known: set[str] = set()

    def behaves(path: str, body: dict[str, Any]) -> Answer:
        if path == "/v1/load_lora_adapter":
            known.add(body["lora_name"])
        elif path == "/v1/completions" and body["model"] not in known:
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        return drawn(path, body)

    client, server = begin(behaves)
    for _ in range(2):
        client.draw(REQUEST, "a-v1", tmp_path)
    known.clear()
    client.draw(REQUEST, "a-v1", tmp_path)
    client.unload("a-v1")
    assert not client.has("a-v1")
    paths = [path.rpartition("/")[2] for path, _ in server.seen]
    assert paths == [
        "load_lora_adapter", "completions", "completions",
        "completions", "load_lora_adapter", "completions", "unload_lora_adapter",
    ]  # fmt: skip
    assert server.seen[0][1] == {"lora_name": "a-v1", "lora_path": str(tmp_path.resolve())}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, {"detail": "Not Found"}), "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"),
        ((404, {"error": {"message": "No adapter found for /x"}}), "compute.sampler_folder"),
        ((400, {"error": {"message": "LoRA rank 32 is greater than max_lora_rank 16"}}), "--max-lora-rank"),
        ((400, {"error": {"message": "has already been loaded. If you"}}), ""),
    ],
)  # fmt: skip
def test_an_adapter_that_is_refused(
    answer: Answer, words: str, begin: Begin, tmp_path: Path
) -> None:
    client, _ = begin(lambda path, body: answer)
    if not words:
        client.load("a-v1", tmp_path)  # the same name is the same adapter
        assert client.has("a-v1")
        return
    with pytest.raises(Refused) as refused:
        client.load("a-v1", tmp_path)
    assert words in str(refused.value) and not client.has("a-v1")


def test_a_prompt_that_is_too_long_names_the_flag(begin: Begin) -> None:
    words = "This model's maximum context length is 64 tokens"
    client, _ = begin(lambda path, body: (400, {"error": {"message": words}}))
    with pytest.raises(Refused, match=r"64 tokens.*--max-model-len"):
        client.draw_base(REQUEST)


# --- Several servers --------------------------------------------------------------------------


class _Machine:
    """Does its jobs until it dies."""

    def __init__(self, name: str, jobs: int = 1000) -> None:
        self.name, self.left, self.lock = name, jobs, threading.Lock()
        self.closed = False

    def __str__(self) -> str:
        return self.name

    def close(self) -> None:
        self.closed = True

    def double(self, number: int) -> int:
        with self.lock:
            self.left -= 1
            if self.left < 0:
                raise Unreachable("is gone")
        return 2 * number


def _doubles(count: int) -> list[Callable[[_Machine], int]]:
    return [lambda machine, n=n: machine.double(n) for n in range(count)]  # type: ignore[misc]


def test_others_take_over_and_who_is_back_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    first, second, third = _Machine("first", 5), _Machine("second", 9), _Machine("third")
    fleet = Fleet([first, second, third], said.append)
    assert fleet.run(_doubles(60)) == [2 * n for n in range(60)]
    assert sorted(said) == [f"{name} is gone; the others take over" for name in ("first", "second")]
    first.left = 1000
    assert fleet.run(_doubles(4)) == [0, 2, 4, 6] and first.left == 1000  # left alone for a while
    monkeypatch.setattr("truing.models.remote.fleet.LEFT_ALONE", -1.0)
    third.left = 0
    fleet.run(_doubles(30))
    assert first.left < 1000 and "first answers again" in said
    fleet.close()
    assert first.closed and third.closed


def test_none_left_and_a_job_that_fails_by_itself() -> None:
    fleet = Fleet([_Machine("first", 1), _Machine("second", 2)])
    with pytest.raises(NoServerLeft, match="first is gone; second is gone"):
        fleet.run(_doubles(20))

    def broken(machine: _Machine) -> int:
        raise ValueError("of the job")

    with pytest.raises(ValueError, match="of the job"):
        Fleet([_Machine("first")]).run([broken])
