"""Free answers kept on disk, so that an interrupted evaluation goes on where it was.

An answer is filed under the weights, the precision, the settings it was sampled with, the version of
the code and the prompt's tokens.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from truing.models.engine.tree import Tokens
from truing.models.memo.disk import DiskStore, token_key
from truing.models.sampling import Sampling
from truing.types import stable_hash

SAMPLING_VERSION = 5
"""To be raised when the code that samples gives other answers than before."""


@dataclass(frozen=True)
class Answer:
    """What a candidate said. `finished` is False where the length limit cut it off."""

    text: str
    finished: bool


def answer_key(model: str, dtype: str, sampling: Sampling, prompt: Tokens) -> bytes:
    """32 bytes that stand for one answer. `model` is the hash of all that decides
    its answers: weights, tokenizer, template, end tokens."""
    drawn = f"{sampling.temperature}|{sampling.seed if sampling.temperature else 'greedy'}"
    ends = json.dumps(sampling.stop)
    settings = f"{SAMPLING_VERSION}|{model}|{dtype}|{drawn}|{sampling.max_new_tokens}|{ends}"
    return token_key(settings, prompt)


def served_answer_key(model: str, interface: str, max_new_tokens: int, sent: str) -> bytes:
    """32 bytes that stand for the likeliest answer of a served model.

    `model` says as well as can be known which one it was, `sent` what it was asked.
    """
    return bytes.fromhex(stable_hash("served answer", model, interface, str(max_new_tokens), sent))


class AnswerStore(DiskStore[Answer]):
    """Answers by `answer_key`."""

    NAME = "answers"
    COLUMN = "answer TEXT"

    def _read(self, stored: Any) -> Answer:
        text, finished = json.loads(stored)
        return Answer(text, finished)

    def _written(self, value: Answer) -> str:
        return json.dumps([value.text, value.finished])
