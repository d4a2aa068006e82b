"""A tiny candidate behind a server, and those who ask it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI

from page_server import running
from tiny import tiny
from truing.candidates import Candidate
from truing.models.decoding import BatchedGenerator
from truing.prompts.rendering import Prompt
from waiting import LONG

TOKEN = "a-key-of-ours"


def candidate(prompt: Prompt | None = None, *, chat: bool = True) -> Candidate:
    """A tiny random model that is asked through a chat template."""
    return Candidate("tiny", 0, tiny(chat=chat), prompt or Prompt())


@contextmanager
def asking(app: FastAPI) -> Iterator[Any]:
    """OpenAI's own client of a server of this application, which ends with the block."""
    import openai

    with running(app) as url, openai.OpenAI(
        base_url=f"{url}/v1", api_key=TOKEN, max_retries=0, timeout=LONG
    ) as client:  # fmt: skip
        yield client


def halt(monkeypatch: pytest.MonkeyPatch, seconds: float) -> threading.Event:
    """While this isn't set, an engine takes a step only after so many seconds."""
    go = threading.Event()
    real = BatchedGenerator.step

    def step(generator: BatchedGenerator, generations: Any) -> None:
        go.wait(seconds)
        real(generator, generations)

    monkeypatch.setattr(BatchedGenerator, "step", step)
    return go
