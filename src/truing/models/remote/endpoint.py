"""A model behind an OpenAI-compatible server: log-probabilities of given text, or a chat's reply.

Log-probabilities come from the completions API with `echo`, as vLLM and others serve it: the server
tokenises the text itself and lists every token's log-probability. The boundary follows
lm-evaluation-harness (prompts/boundary.py): the context is sent alone as well, and the answer's tokens
are those behind as many tokens as the context alone has. Text offsets, which count special tokens
differently from server to server, aren't needed. Where a token straddles the boundary, the answer is
conditioned on the whole's own tokens, since only text can be sent.

Nothing is known of the weights: a server may change them under the same name.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from truing.models.remote.client import (
    Connection,
    EndpointError,
    PatientClient,
    Refused,
    Unreachable,
)
from truing.types import InputError, stable_hash

PREFIX = "endpoint:"
_TRIAL = ("Q: 1\nA:", "Q: 1\nA: one")
_INSTEAD = {"max_tokens": "max_completion_tokens", "temperature": None, "seed": None}
"""What to send, if anything, where a server refuses one of a chat's parameters."""
_UNSUPPORTED = re.compile(
    r"support|unknown|unrecogni|unexpected|not permitted|max_completion", re.IGNORECASE
)
_NONE_LISTED = "lists no log-probabilities of the text it was given"


@dataclass(frozen=True)
class EndpointName:
    """`endpoint:URL#MODEL`, taken apart. `url` is where the API begins, `/v1` where none is given."""

    url: str
    model: str

    @staticmethod
    def parse(name: str) -> EndpointName:
        """Raises InputError for anything else than an http or https URL and a model."""
        text, mark, model = name.removeprefix(PREFIX).partition("#")
        right = f"name it {PREFIX}URL#MODEL, as in {PREFIX}http://127.0.0.1:8000/v1#llama"
        if not mark or not model.strip():
            raise InputError(f"{name}: names no model; {right}")
        try:
            url = httpx2.URL(text)
        except httpx2.InvalidURL as error:
            raise InputError(f"{PREFIX}...#{model}: not a URL ({error}); {right}") from None
        if url.userinfo:
            raise InputError(
                f"{PREFIX}...#{model}: a key in the URL would be written down; set "
                "TRUING_ENDPOINT_KEY or give --key-variable"
            )
        if url.scheme not in ("http", "https") or not url.host or url.query:
            raise InputError(f"{name}: not a plain http or https URL; {right}")
        path = url.path.rstrip("/")
        return EndpointName(str(url.copy_with(path=path or "/v1")), model)


def is_endpoint(name: str) -> bool:
    """Whether a candidate's name means a server."""
    return name.startswith(PREFIX)


@dataclass(frozen=True)
class Reply:
    """What a server wrote. `cut`: the length limit ended it."""

    text: str
    cut: bool
    fingerprint: str


class Endpoint:
    """A served model. `fingerprints` are those of its answers since the trial, the trial's own first."""

    def __init__(
        self,
        name: EndpointName,
        connection: Connection,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Asks nothing yet. Raises InputError where the key named isn't there."""
        self.name = name
        self.at_once = connection.at_once
        self._client = PatientClient(name.url, connection, say)
        self._lock = threading.Lock()
        self.fingerprints: list[str] = []
        self._together, self._max_tokens = True, 0  # how the completions API wants to be asked
        self._renamed: dict[str, str | None] = {}  # what this server wants in a chat instead

    @property
    def fingerprint(self) -> str:
        """What the server called its configuration in the trial; empty where it doesn't say."""
        return self.fingerprints[0] if self.fingerprints else ""

    def identity(self, fingerprint: str) -> str:
        """What scores are filed under: URL, model and fingerprint, since weights are unknown."""
        return stable_hash("endpoint", self.name.url, self.name.model, fingerprint)

    def about(self) -> dict[str, Any]:
        """What can be said of it in results.json."""
        return {
            "endpoint": self.name.url,
            "model": self.name.model,
            "fingerprints": [name for name in self.fingerprints if name],
        }

    def close(self) -> None:
        """End everything that is still asked."""
        self._client.close()

    def _post(
        self, path: str, body: dict[str, Any], attempts_at_500: int | None = None
    ) -> tuple[dict[str, Any], str]:
        """The answer and its fingerprint. Raises Refused or Unreachable."""
        document = self._client.post(
            path, {"model": self.name.model, **body}, attempts_at_500=attempts_at_500
        )
        fingerprint = document.get("system_fingerprint")
        fingerprint = fingerprint if isinstance(fingerprint, str) else ""
        with self._lock:
            if fingerprint not in self.fingerprints:
                self.fingerprints.append(fingerprint)
        return document, fingerprint

    # --- Log-probabilities of given text -------------------------------------------------------

    def why_no_log_probs(self) -> str:
        """Tries whether the server gives log-probabilities of a given text, and how it wants to be asked.

        Empty where it does, else the reason. Raises InputError for a key that is refused, and where the
        server can't be reached: what passes mustn't decide how a model is scored.
        """
        reason = ""
        for together, max_tokens in ((True, 0), (True, 1), (False, 0), (False, 1)):
            self._together, self._max_tokens = together, max_tokens
            try:
                (context, whole), fingerprint = self._echoed(_TRIAL, attempts_at_500=2)
                if not 0 < len(context) < len(whole) or not all(map(math.isfinite, whole[1:])):
                    raise Refused(_NONE_LISTED)
                self.fingerprints = [fingerprint]
                return ""
            except Refused as error:
                if error.status in (401, 403):
                    raise self.unusable(error) from None
                reason = reason or str(error)
                if error.status in (404, 405, 501):
                    break
            except Unreachable as error:
                if error.status != 500:
                    raise self.unusable(error) from None
                return reason or str(error)
        return reason

    def continuation_log_probs(
        self, context: str, continuations: Sequence[str]
    ) -> tuple[list[float], str]:
        """Log-probability (nats) of each continuation, NaN where undefined, and the fingerprint.

        `context` doesn't end in white space. Raises Refused or Unreachable.
        """
        texts = [context, *(context + continuation for continuation in continuations)]
        (before, *wholes), fingerprint = self._echoed(texts)
        return [_total(whole[len(before) :]) for whole in wholes], fingerprint

    def _echoed(
        self, texts: Sequence[str], attempts_at_500: int | None = None
    ) -> tuple[list[list[float]], str]:
        """Log-probabilities of every token of every text, and the last answer's fingerprint.

        NaN for what has none: a text's first token, mostly.
        """
        groups = [list(texts)] if self._together else [[text] for text in texts]
        rows: list[list[float]] = []
        fingerprint = ""
        for group in groups:
            body = {
                "prompt": group if self._together else group[0],
                "max_tokens": self._max_tokens,
                "echo": True,
                "logprobs": 1,
                "temperature": 0,
            }
            document, fingerprint = self._post("completions", body, attempts_at_500)
            rows += _token_log_probs(document, group, self._max_tokens)
        return rows, fingerprint

    # --- Chat ------------------------------------------------------------------------------------

    def try_chat(self) -> None:
        """Raises InputError where it doesn't chat."""
        try:
            reply = self.chat(
                [{"role": "user", "content": "Reply with the letter A."}], max_tokens=1
            )
        except EndpointError as error:
            raise self.unusable(error) from None
        self.fingerprints = [reply.fingerprint]

    def chat(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Reply:
        """The reply to a conversation. Raises Refused or Unreachable."""
        wanted = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        while True:
            body: dict[str, Any] = {"messages": list(messages)}
            for name, value in wanted.items():
                if sent := self._renamed.get(name, name):
                    body[sent] = value
            try:
                document, fingerprint = self._post("chat/completions", body)
            except Refused as error:
                if error.status not in (400, 422) or not self._adapted(str(error)):
                    raise
                continue
            return _reply(
                document, fingerprint, lambda choice: choice["message"].get("content") or ""
            )

    def write(self, text: str, *, max_tokens: int, stop: str) -> Reply:
        """The likeliest tokens behind a text, up to `stop`. Raises Refused or Unreachable."""
        body = {"prompt": text, "max_tokens": max_tokens, "temperature": 0, "stop": [stop]}
        document, fingerprint = self._post("completions", body)
        return _reply(document, fingerprint, lambda choice: choice["text"])

    def _adapted(self, complaint: str) -> bool:
        """Whether a complaint about a parameter could be met: newer models refuse some of the old."""
        if not _UNSUPPORTED.search(complaint):
            return False
        for name, instead in _INSTEAD.items():
            if name in complaint and name not in self._renamed:
                self._renamed[name] = instead
                return True
        return False

    def unusable(self, error: Exception) -> InputError:
        """What to tell the user where nothing can be had from it."""
        right = "see that the server runs and that URL and model are right"
        if isinstance(error, Refused) and error.status in (401, 403):
            right = (
                "set TRUING_ENDPOINT_KEY to its key, or name another variable with --key-variable"
            )
        elif isinstance(error, Refused) and error.status == 404:
            right = (
                "see that the URL ends where the API begins (often /v1) and that the server has "
                f"{self.name.model!r}"
            )
        return InputError(f"{PREFIX}{self.name.url}#{self.name.model}: {error}; {right}")


def _total(log_probs: Sequence[float]) -> float:
    return math.fsum(log_probs) if log_probs else math.nan


def _token_log_probs(
    document: Mapping[str, Any], texts: Sequence[str], max_tokens: int
) -> list[list[float]]:
    """Each text's own tokens, in the order sent; what the server generated behind them is cut off."""
    try:
        choices = sorted(document["choices"], key=lambda choice: choice["index"])
        listed = [choice["logprobs"]["token_logprobs"] for choice in choices]
        shown = [choice["text"] for choice in choices]
        lengths = [len(row) for row in listed]
    except (KeyError, TypeError, AttributeError):
        raise Refused(_NONE_LISTED) from None
    if len(listed) != len(texts):
        raise Refused(f"gave {len(listed)} answers to {len(texts)} texts")
    generated = _generated(document.get("usage"), lengths, max_tokens)
    for text, back in zip(texts, shown, strict=True):
        if not isinstance(back, str) or len(back.rstrip()) < len(text.rstrip()):
            raise Refused("doesn't echo the text it was given")
        if max_tokens == 0 and len(back) > len(text) + 8:
            raise Refused("writes on where no token was asked for")
    return [[_number(value) for value in row[: len(row) - generated]] for row in listed]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _generated(usage: object, lengths: Sequence[int], max_tokens: int) -> int:
    """How many tokens at the end of each row aren't the text's own.

    lm-evaluation-harness asks for one and cuts one off; but a server needn't list an end token, which
    its own count of tokens tells.
    """
    if max_tokens == 0 or not isinstance(usage, Mapping):
        return max_tokens
    own, new, listed = usage.get("prompt_tokens"), usage.get("completion_tokens"), sum(lengths)
    if own == listed or new == 0:
        return 0
    if isinstance(own, int) and isinstance(new, int) and own + new == listed and new < len(lengths):
        raise Refused("doesn't say which texts it has written on behind")
    return max_tokens


def _reply(
    document: Mapping[str, Any], fingerprint: str, text_in: Callable[[Mapping[str, Any]], object]
) -> Reply:
    try:
        choice = document["choices"][0]
        text = text_in(choice)
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Refused("answered without a message") from None
    if not isinstance(text, str):
        raise Refused("answered with something else than text")
    return Reply(text, choice.get("finish_reason") == "length", fingerprint)
