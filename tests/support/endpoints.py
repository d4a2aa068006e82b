"""A small OpenAI-compatible server in a thread: a tiny model's exact log-probabilities, or mischief."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch

from tiny import END, plain, tokenizer
from truing.evaluate.served_choices import choose_mode, served_choices
from truing.evaluate.variant_choices import Scoring
from truing.models.memo.scores import ScoreStore
from truing.models.remote.client import Connection
from truing.models.remote.endpoint import Endpoint, EndpointName
from truing.prompts.variants import Form, prompt_variants
from truing.types import Case
from waiting import LONG

Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]
Behaviour = Callable[[str, dict[str, Any]], Answer]
KEY = "sesame-0123456789"


class Server:
    """Answers by `behaviour`: (path, body) -> (status, JSON or text, headers). Remembers all it saw."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.keys: list[str | None] = []
        self.most_at_once = self._now = 0
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with outer.lock:
                    outer.seen.append((self.path, body))
                    outer.keys.append(self.headers.get("authorization"))
                    outer._now += 1
                    outer.most_at_once = max(outer.most_at_once, outer._now)
                    found = outer.behaviour(self.path, body)
                try:
                    status, said, *more = found
                    text = said if isinstance(said, str) else json.dumps(said)
                    if status == 0:  # says nothing for a while
                        time.sleep(said)
                        return
                    if status < 0:  # dies in the middle of what it says
                        self.send_response(-status)
                        self.send_header("content-length", str(len(text.encode())))
                        self.end_headers()
                        self.wfile.write(text.encode()[: len(text) // 2])
                        self.close_connection = True
                        return
                    self.send_response(status)
                    for name, value in (more[0] if more else {}).items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(text.encode())))
                    self.end_headers()
                    self.wfile.write(text.encode())
                finally:
                    with outer.lock:
                        outer._now -= 1

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True

    @property
    def name(self) -> str:
        """The candidate's name; without /v1, which is where the API is looked for then."""
        return f"endpoint:http://127.0.0.1:{self.http.server_port}#tiny"


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Server]:
    """The server while the context lasts."""
    server = Server(behaviour)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()


class Completions:
    """The completions API over plain `transformers`, the oracle: echo with log-probabilities, or the
    likeliest tokens up to `stop`.

    `refuses_zero`: a token has to be written behind the text; `end_unlisted`: that is the end token,
    which isn't listed. `alone`: one text at a time.
    """

    def __init__(
        self, *, refuses_zero: bool = False, end_unlisted: bool = False, alone: bool = False
    ) -> None:
        self.model, self.tokenizer = plain("llama"), tokenizer()
        self.refuses_zero, self.end_unlisted, self.alone = refuses_zero, end_unlisted, alone

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        if path != "/v1/completions":
            return 404, {"error": {"message": "no such path"}}
        prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
        if self.refuses_zero and body["max_tokens"] == 0:
            return 400, {"error": {"message": "max_tokens must be at least 1"}}
        if self.alone and len(prompts) > 1:
            return 400, {"error": {"message": "one prompt, please"}}
        if not body.get("echo"):
            return 200, self._written(body)
        assert body["logprobs"] == 1 and body["model"] == "tiny"
        choices, own = [], 0
        for index, text in enumerate(prompts):
            tokens = self.tokenizer.encode(text)
            own += len(tokens)
            listed = self._log_probs(tokens)
            if body["max_tokens"] and not self.end_unlisted:
                text, tokens, listed = text + "b", [*tokens, 5], [*listed, -9.0]
            pieces = [self.tokenizer.decode([token]) for token in tokens]
            choices.append(
                {
                    "index": index,
                    "text": text,
                    "logprobs": {"tokens": pieces, "token_logprobs": listed},
                }
            )
        written = body["max_tokens"] * len(prompts)
        return 200, {
            "choices": choices[::-1],  # the order isn't promised
            "system_fingerprint": "fp",
            "usage": {"prompt_tokens": own, "completion_tokens": written},
        }

    def _written(self, body: dict[str, Any]) -> dict[str, Any]:
        assert body["temperature"] == 0 and body["model"] == "tiny"
        tokens = list(self.tokenizer.encode(body["prompt"]))
        start, text = len(tokens), ""
        while len(tokens) < start + body["max_tokens"] and body["stop"][0] not in text:
            with torch.no_grad():
                tokens.append(int(self.model(torch.tensor([tokens])).logits[0, -1].argmax()))
            if tokens[-1] == END:
                break
            text = self.tokenizer.decode(tokens[start:], skip_special_tokens=True)
        ended = tokens[-1] == END or body["stop"][0] in text
        choice = {
            "text": text.partition(body["stop"][0])[0],
            "finish_reason": "stop" if ended else "length",
        }
        return {"choices": [choice], "system_fingerprint": "fp"}

    def _log_probs(self, tokens: list[int]) -> list[float | None]:
        with torch.no_grad():
            scores = self.model(torch.tensor([tokens])).logits[0].log_softmax(-1)
        return [None, *(float(scores[t, token]) for t, token in enumerate(tokens[1:]))]


class Chat:
    """A chat API without log-probabilities. `reply` makes the reply from the last message."""

    def __init__(self, reply: Callable[[str], str]) -> None:
        self.reply = reply

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        if path != "/v1/chat/completions":
            return 404, {"error": {"message": "no such path"}}
        message = {"role": "assistant", "content": self.reply(body["messages"][-1]["content"])}
        return 200, {"choices": [{"message": message, "finish_reason": "stop"}]}


CASES = [
    Case(f"who is {word}?", (f"{word} is a cat", "nobody"), ("it is a dog", "me"))
    for word in ("ann", "bob", "cleo", "dan", "eve")
]
QUICK = Connection(timeout=LONG, first_wait=0.01, at_once=2)


def scored(
    server: Server, store: ScoreStore, form: Form = "auto", connection: Connection = QUICK
) -> Scoring:
    """The cases scored by a running server, the question alone."""
    return scored_by_name(server.name, store, form, connection)


def scored_by_name(
    name: str, store: ScoreStore, form: Form = "auto", connection: Connection = QUICK
) -> Scoring:
    """The same, by the candidate's name."""
    endpoint = Endpoint(EndpointName.parse(name), connection)
    try:
        mode, _ = choose_mode(endpoint, form)
        return served_choices(endpoint, mode, prompt_variants(["none"])[0], CASES, store, 0)
    finally:
        endpoint.close()


def knows(message: str) -> str:
    """Takes the answer that says 'is a cat', and A where only that is asked for."""
    if "letter A" in message:
        return "A"
    found = re.search(r"^([A-Z])\) \w+ is a cat$", message, re.MULTILINE)
    assert found and message.endswith("Reply with one letter and nothing else.")
    return f"{found[1]})"
