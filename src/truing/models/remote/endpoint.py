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
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from truing.models.remote.client import (
    Connection,
    EndpointError,
    PatientClient,
    Refused,
    Unreachable,
)
from truing.models.remote.replies import (
    NONE_LISTED,
    Reply,
    chat_reply,
    completion_reply,
    fingerprint_in,
    token_log_probs,
)
from truing.types import InputError, stable_hash

PREFIX = "endpoint:"
TRIAL_TOKENS = 16
ROOM_TO_THINK = 512
"""Tokens of a trial: few, which suffice a model that answers at once, then enough for one that thinks."""
_NO_ROOM = re.compile(
    r"max\w*_tokens|(output|token|length) limit|too (small|low|short|few)|at least", re.IGNORECASE
)
_TRIAL = ("Q: 1\nA:", "Q: 1\nA: one")
_INSTEAD = {"max_tokens": "max_completion_tokens", "temperature": None, "seed": None}
"""What to send, if anything, where a server refuses one of a chat's parameters."""
_UNSUPPORTED = re.compile(
    r"support|unknown|unrecogni|unexpected|not permitted|max_completion", re.IGNORECASE
)


@dataclass(frozen=True)
class EndpointName:
    """`endpoint:URL#MODEL`, taken apart. `url` is where the API begins, `/v1` where none is given."""

    url: str
    model: str

    @staticmethod
    def parse(name: str, prefix: str = PREFIX) -> EndpointName:
        """Raises InputError for anything else than an http or https URL and a model."""
        text, mark, model = name.removeprefix(prefix).partition("#")
        right = f"name it {prefix}URL#MODEL, as in {prefix}http://127.0.0.1:8000/v1#llama"
        if not mark or not model.strip():
            raise InputError(f"{name}: names no model; {right}")
        try:
            url = httpx2.URL(text)
            url.raw_host.decode("ascii").encode("idna")  # as the name will be looked up
        except (httpx2.InvalidURL, ValueError) as error:
            raise InputError(f"{prefix}...#{model}: not a URL ({error}); {right}") from None
        if url.userinfo:
            raise InputError(
                f"{prefix}...#{model}: a key in the URL would be written down; set "
                "TRUING_ENDPOINT_KEY or give --key-variable"
            )
        if url.scheme not in ("http", "https") or not url.host or url.query:
            raise InputError(f"{name}: not a plain http or https URL; {right}")
        path = url.path.rstrip("/")
        return EndpointName(str(url.copy_with(path=path or "/v1")), model)


def is_endpoint(name: str) -> bool:
    """Whether a candidate's name means a server."""
    return name.startswith(PREFIX)


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
        self.at_once, self._key_option = connection.at_once, connection.key_option
        self._client = PatientClient(name.url, connection, say)
        self._lock = threading.Lock()
        self.fingerprints: list[str] = []
        self._together, self._max_tokens = True, 0  # how the completions API wants to be asked
        self._renamed: dict[str, str | None] = {}  # what this server wants in a chat instead
        self.thinks = False  # whether a trial's reply showed that the model reasons first

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
        fingerprint = fingerprint_in(document)
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
                    raise Refused(NONE_LISTED)
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
            rows += token_log_probs(document, group, self._max_tokens)
        return rows, fingerprint

    # --- Chat ------------------------------------------------------------------------------------

    def try_chat(self) -> None:
        """Raises InputError where it doesn't chat. Learns whether the model reasons first."""
        trial = [{"role": "user", "content": "Reply with the letter A."}]
        try:
            reply = self.tried(lambda room: self.chat(trial, max_tokens=room))
        except EndpointError as error:
            raise self.unusable(error) from None
        self.fingerprints = [reply.fingerprint]
        self.thinks = reply.thought
        if reply.cut and not reply.thought:
            with suppress(EndpointError):  # the trial itself has succeeded
                self.thinks = self.chat(trial, max_tokens=ROOM_TO_THINK).thought

    def tried(self, send: Callable[[int], Reply]) -> Reply:
        """The reply to a request of few tokens, or with room to think where the server says that those
        are too few. Raises Refused or Unreachable."""
        try:
            return send(TRIAL_TOKENS)
        except Refused as error:
            if error.status not in (400, 422) or not _NO_ROOM.search(error.complaint):
                raise
        return replace(send(ROOM_TO_THINK), thought=True)

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
                document, _ = self._post("chat/completions", body)
            except Refused as error:
                if error.status not in (400, 422) or not self._adapted(error.complaint):
                    raise
                continue
            return chat_reply(document, max_tokens)

    def write(self, text: str, *, max_tokens: int, stop: str) -> Reply:
        """The likeliest tokens behind a text, up to `stop`. Raises Refused or Unreachable."""
        body = {"prompt": text, "max_tokens": max_tokens, "temperature": 0, "stop": [stop]}
        document, _ = self._post("completions", body)
        return completion_reply(document, max_tokens)

    def _adapted(self, complaint: str) -> bool:
        """Whether a complaint about a parameter could be met: newer models refuse some of the old."""
        if not _UNSUPPORTED.search(complaint):
            return False
        for name, instead in _INSTEAD.items():
            if name not in self._renamed and re.search(rf"\b{name}\b", complaint):
                self._renamed[name] = instead
                return True
        return False

    def unusable(self, error: Exception) -> InputError:
        """What to tell the user where nothing can be had from it."""
        right = "see that the server runs and that URL and model are right"
        if isinstance(error, Refused) and error.status in (401, 403):
            right = (
                "set TRUING_ENDPOINT_KEY to its key, or name another variable with "
                f"{self._key_option}"
            )
        elif isinstance(error, Refused) and error.status == 404:
            right = (
                "see that the URL ends where the API begins (often /v1) and that the server has "
                f"{self.name.model!r}"
            )
        elif isinstance(error, EndpointError) and error.status == 429:
            right = "wait and give the same command again, or ask fewer at once (at_once)"
        return InputError(f"{PREFIX}{self.name.url}#{self.name.model}: {error}; {right}")


def _total(log_probs: Sequence[float]) -> float:
    return math.fsum(log_probs) if log_probs else math.nan
