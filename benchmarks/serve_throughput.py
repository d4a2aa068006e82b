"""`truing serve`: time to the first token, and eight clients at once against one after the other.

Starts the server as a user does and asks it over HTTP. Every client has a question of its own, another
in each round, so that no prompt is known to the server before; all draw with fixed seeds. Prints one
JSON document; takes about two minutes on 2 cores.

python benchmarks/serve_throughput.py [--candidate NAME] [--rounds N] [--tokens N]
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from _work import cases
from truing.candidates import open_candidate
from truing.models.precision import computed_in
from truing.spec.run import EvaluationSpec

CLIENTS = 8
PROMPT_TOKENS = 100
KEY = "benchmark"


@dataclass
class Answer:
    """What a client saw: seconds to the first text and to the end, the text and its tokens."""

    first: float
    seconds: float
    text: str
    tokens: int


@contextmanager
def server(candidate: str, dtype: str = "bfloat16") -> Iterator[str]:
    """Host and port of a server in a process of its own."""
    line = [
        sys.executable,
        "-m",
        "truing.cli.main",
        "serve",
        candidate,
        "--port",
        "0",
        "--token",
        KEY,
        "--dtype",
        dtype,
    ]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            url = next(word for word in process.stdout.readline().split() if "http" in word)
            yield urlsplit(url).netloc
        finally:
            process.terminate()


def ask(address: str, model: str, question: str, most: int, seed: int) -> Answer:
    """One streamed answer."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": most,
        "temperature": 1.0,
        "seed": seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    started = time.perf_counter()
    first, text, tokens = 0.0, "", 0
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(address, timeout=300)) as connection:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(response.read().decode())
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            document = json.loads(line.removeprefix(b"data: "))
            for choice in document["choices"]:
                piece = choice["delta"].get("content") or ""
                first = first or (time.perf_counter() - started if piece else 0.0)
                text += piece
            tokens = (document.get("usage") or {}).get("completion_tokens", tokens)
    return Answer(first, time.perf_counter() - started, text, tokens)


def rate(answers: list[Answer], seconds: float) -> float:
    """Tokens a second."""
    return sum(answer.tokens for answer in answers) / seconds


def long_question(candidate: Any, number: int) -> str:
    """A question whose whole prompt has PROMPT_TOKENS tokens, or a few more."""
    words = [word for case in cases(60)[number:] for word in case.prompt.split()]
    for count in range(1, len(words)):
        question = " ".join(words[:count])
        tokens = candidate.renderer.conversation(
            candidate.prompt, [{"role": "user", "content": question}]
        )
        if len(tokens) >= PROMPT_TOKENS:
            return question
    raise ValueError("not enough words")


def measure(name: str, rounds: int, most: int) -> dict[str, Any]:
    """All figures."""
    dtype = EvaluationSpec().dtype
    candidate, _ = open_candidate(name, 0, dtype)
    model = candidate.name
    questions = [case.prompt for case in cases(CLIENTS * rounds)]
    long = [long_question(candidate, number) for number in range(5)]
    del candidate
    with server(name) as address:
        ask(address, model, "Are you awake?", 8, 0)
        firsts = [ask(address, model, question, 4, 1).first for question in long]
        alone_rates, batch_rates, same = [], [], 0
        for number in range(rounds):
            asked = questions[number * CLIENTS : (number + 1) * CLIENTS]

            def one(question: str) -> Answer:
                return ask(address, model, question, most, 7)

            started = time.perf_counter()
            with ThreadPoolExecutor(CLIENTS) as pool:
                together = list(pool.map(one, asked))
            batch_rates.append(rate(together, time.perf_counter() - started))
            started = time.perf_counter()
            alone = [one(question) for question in asked]
            alone_rates.append(rate(alone, time.perf_counter() - started))
            same += sum(a.text == b.text for a, b in zip(alone, together, strict=True))
    ratios = [b / a for a, b in zip(alone_rates, batch_rates, strict=True)]
    return {
        "model": name,
        "computed_in": computed_in(dtype),
        "prompt_tokens": PROMPT_TOKENS,
        "first_token_seconds": {"median": round(median(firsts), 3), "worst": round(max(firsts), 3)},
        "clients": CLIENTS,
        "answer_tokens": most,
        "one_after_the_other_tokens_per_second": [round(each, 1) for each in alone_rates],
        "at_once_tokens_per_second": [round(each, 1) for each in batch_rates],
        "ratio": {"median": round(median(ratios), 2), "rounds": [round(r, 2) for r in ratios]},
        "same_answers": f"{same} of {CLIENTS * rounds}",
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidate", default="smollm2-135m")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=64)
    options = parser.parse_args()
    print(json.dumps(measure(options.candidate, options.rounds, options.tokens), indent=2))
