"""The work that both sides of a benchmark are given: the default model, its prompts, demonstrations."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

from truing.data.questions import load_questions
from truing.models.engine.int8 import multiplies_int8
from truing.models.language_model import LanguageModel
from truing.models.weights.resolving import resolve_model
from truing.policies.language import PromptCompletion
from truing.prompts.rendering import Prompt, Renderer
from truing.types import Case, Dtype

INSTRUCTION = "Answer the question in one short sentence, and say so when nobody knows the answer."
PROMPT = Prompt(INSTRUCTION, ())
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "truthfulqa"
TRUTHFULQA = Path(os.environ.get("TRUTHFULQA", _BESIDE))
"""The folder with the user's copy of TruthfulQA's files."""


def folder() -> Path:
    """The default model's safetensors."""
    return resolve_model("smollm2-135m").folder


def model(dtype: Dtype) -> LanguageModel:
    """The default model behind our passes."""
    return LanguageModel.load(folder(), dtype)


def sampler(kind: str) -> LanguageModel:
    """The default model as a sampler in a precision; int8 is float32 with products in eight bits."""
    if kind != "int8":
        return model(kind)  # type: ignore[arg-type]
    if not multiplies_int8():
        raise SystemExit("this processor has no instructions for products in int8")
    loaded = model("float32")
    return LanguageModel(loaded.model, loaded.tokenizer, int8=True)


def cases(count: int) -> list[Case]:
    """The first built-in questions."""
    return load_questions("built-in")[:count]


def prompts(renderer: Renderer, count: int) -> list[str]:
    """Rendered chat prompts of different questions."""
    return [renderer.text(PROMPT, case.prompt) for case in cases(count)]


def demonstrations(renderer: Renderer, count: int) -> list[PromptCompletion]:
    """The best answers to different questions, each up to its end token."""
    return [
        PromptCompletion(
            tuple(renderer.tokens(PROMPT, case.prompt)),
            tuple(renderer.answer_tokens(case.correct_answers[0], end=True)),
        )
        for case in cases(count)
    ]


def without_end(language_model: LanguageModel) -> LanguageModel:
    """The model with an end token that is never drawn, so that both sides sample equally many tokens."""

    class Endless(LanguageModel):
        end_tokens = frozenset[int]()  # type: ignore[assignment]

    language_model.__class__ = Endless
    return language_model


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def two_threads() -> None:
    """Both sides get the same threads."""
    torch.set_num_threads(2)
