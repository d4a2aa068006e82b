"""POST /v1/completions: plain text continued, and scored. No chat template, no prompt of the candidate."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field, field_validator, model_validator
from starlette.concurrency import run_in_threadpool

from truing.models.engine.memory import available_bytes, gigabytes
from truing.models.language_model import LanguageModel
from truing.models.templates.speech import text_of
from truing.prompts.boundary import text_tokens
from truing.serve.access import KeyHolder
from truing.serve.answering import begin
from truing.serve.api import body_schema, read_form
from truing.serve.engine import QUEUE
from truing.serve.forms import Drawing
from truing.serve.neutral import OF_COMPLETIONS, Neutral
from truing.serve.replies import Refusal, usage
from truing.serve.scoring import (
    MOST_ALTERNATIVES,
    ScoredToken,
    log_probs_json,
    score_texts,
    scoring_bytes,
)
from truing.serve.service import Service, named_service, services
from truing.serve.streams import finished, while_connected

router = APIRouter()
MOST_PROMPTS = QUEUE
DEFAULT_TOKENS = 16


class CompletionForm(Drawing):
    """The body of POST /v1/completions."""

    neutral: ClassVar[Neutral] = OF_COMPLETIONS
    prompt: str | list[str] | list[int] | list[list[int]]
    max_tokens: int | None = Field(None, ge=0, description=f"without it {DEFAULT_TOKENS}")
    echo: bool | None = Field(None, description="the prompt, too, is part of the answer")
    logprobs: int | None = Field(
        None, ge=0, le=MOST_ALTERNATIVES, description="log-probabilities, and of so many likeliest"
    )

    @field_validator("prompt")
    @classmethod
    def _check_prompt(cls, value: Any) -> Any:
        rows = [value] if isinstance(value, str) or (value and isinstance(value[0], int)) else value
        if not 1 <= len(rows) <= MOST_PROMPTS:
            raise ValueError(f"give 1 to {MOST_PROMPTS} prompts")
        if not all(rows):
            raise ValueError("empty; give some text")
        return rows

    @model_validator(mode="after")
    def _check_together(self) -> CompletionForm:
        if self.max_tokens == 0 and not self.echo:
            raise ValueError("max_tokens is 0, so there is nothing to answer without echo")
        return self

    @property
    def most_tokens(self) -> int:
        """The greatest length of what is written."""
        return DEFAULT_TOKENS if self.max_tokens is None else self.max_tokens


@dataclass
class _Part:
    """One prompt: its text and tokens, then what was written behind it."""

    text: str
    tokens: list[int]
    written: str = ""
    new: tuple[int, ...] = ()
    finish: str = "length"


def _parts(model: LanguageModel, form: CompletionForm) -> list[_Part]:
    parts = []
    vocabulary = model.model.config.vocab_size
    for number, row in enumerate(form.prompt):
        if isinstance(row, str):
            parts.append(_Part(row, text_tokens(model.tokenizer, row)[0]))
            continue
        assert isinstance(row, list)
        if not all(0 <= token < vocabulary for token in row):
            raise Refusal(400, f"prompt[{number}]: no such token", param="prompt")
        parts.append(_Part(text_of(model.tokenizer, row), row))
    for number, part in enumerate(parts):
        most = form.most_tokens
        if not part.tokens or len(part.tokens) + most > model.context_length:
            raise Refusal(
                400,
                f"prompt[{number}]: {len(part.tokens)} tokens and {most} of answer, but the model's "
                f"context holds 1 to {model.context_length}",
                param="prompt",
                code="context_length_exceeded",
            )
    return parts


async def _write(request: Request, here: Service, form: CompletionForm, parts: list[_Part]) -> None:
    most = form.most_tokens
    if not most:
        return
    requests = [form.request(part.tokens, most) for part in parts]
    with begin(here.engine, requests, "prompt") as answers:
        await finished(request, answers)
        for part, given in zip(parts, answers.given, strict=True):
            part.written, part.finish = given.text, given.finish or ""
            part.new = tuple(given.tokens)


def _check_memory(
    request: Request, here: Service, form: CompletionForm, parts: list[_Part]
) -> None:
    """Raises Refusal where there is no memory for the scores that are asked for."""
    if form.logprobs is None:
        return
    lengths = [len(part.tokens) + form.most_tokens for part in parts]
    model = here.candidate.model
    needed = scoring_bytes(model, lengths, form.logprobs)
    committed = sum(each.engine.committed_bytes for each in services(request))
    free = available_bytes(model.device) - committed
    if needed > free:
        raise Refusal(
            400,
            f"prompt: scoring {sum(lengths)} tokens, {max(lengths)} of them in one text, takes up to "
            f"{gigabytes(needed)} of memory, and {gigabytes(max(0, free))} are free; give fewer or "
            "shorter texts",
            param="prompt",
            code="context_length_exceeded",
        )


async def _score(
    request: Request, here: Service, form: CompletionForm, parts: list[_Part]
) -> list[Any]:
    gone = threading.Event()

    async def work() -> list[Any]:
        async with here.scoring:
            # It may have become less while others were scored.
            _check_memory(request, here, form, parts)
            return await run_in_threadpool(_scored, here.candidate.model, form, parts, gone.is_set)

    return await while_connected(request, work(), gone.set)


def _scored(
    model: LanguageModel, form: CompletionForm, parts: list[_Part], gone: Callable[[], bool]
) -> list[Any]:
    rows = [[*part.tokens, *part.new] for part in parts]
    scored: list[list[ScoredToken]] = score_texts(model, rows, form.logprobs or 0, gone)
    shown = [0 if form.echo else len(part.tokens) for part in parts]
    return [log_probs_json(model, row[start:]) for row, start in zip(scored, shown, strict=True)]


@router.post("/v1/completions", openapi_extra=body_schema(CompletionForm))
async def completions(request: Request, _: KeyHolder) -> Response:
    """Texts continued, with `echo` given back, with `logprobs` scored."""
    form = await read_form(request, CompletionForm)
    here = named_service(request, form.model)
    model = here.candidate.model
    parts = await run_in_threadpool(_parts, model, form)
    _check_memory(request, here, form, parts)
    await _write(request, here, form, parts)
    scores: list[Any] = [None] * len(parts)
    if form.logprobs is not None:
        scores = await _score(request, here, form, parts)
    choices = [
        {
            "index": index,
            "text": (part.text if form.echo else "") + part.written,
            "logprobs": scored,
            "finish_reason": part.finish,
        }
        for index, (part, scored) in enumerate(zip(parts, scores, strict=True))
    ]
    given, new = sum(len(part.tokens) for part in parts), sum(len(part.new) for part in parts)
    return JSONResponse(
        {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": here.name,
            "choices": choices,
            "usage": usage(given, new, 0),
        }
    )
