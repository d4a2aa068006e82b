"""What is answered, in the form of OpenAI's API, so that its clients understand it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}


class Refusal(Exception):
    """An answer other than what was asked for: a status, a sentence, the field, a word for programs."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code


def problem(message: str, status: int, param: str | None = None, code: str | None = None) -> Any:
    """The document that says what went wrong."""
    kind = _TYPES.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def problem_response(message: str, status: int, **more: str | None) -> JSONResponse:
    """The same as an answer; one that may be tried again says when."""
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(problem(message, status, **more), status, headers=headers)


@dataclass(frozen=True)
class Head:
    """What all documents of one answer share."""

    id: str
    created: int
    model: str

    def whole(self, choices: list[dict[str, Any]], usage: dict[str, Any]) -> dict[str, Any]:
        """A chat completion."""
        return {**self._fields("chat.completion"), "choices": choices, "usage": usage}

    def chunk(
        self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """A piece of a streamed one."""
        document = {**self._fields("chat.completion.chunk"), "choices": choices}
        return document if usage is None else {**document, "usage": usage}

    def _fields(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    """One answer of a chat completion."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish}


def piece(index: int, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    """One answer's part of a chunk."""
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def usage(prompt: int, written: int, known: int) -> dict[str, Any]:
    """Tokens of the prompt (of which `known` had been computed before) and of the answers."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": known},
    }


def event(document: Any) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(document, ensure_ascii=False)}\n\n"


DONE = "data: [DONE]\n\n"
