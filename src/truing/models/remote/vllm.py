"""A vLLM server that draws continuations: token ids in, token ids and their log-probabilities out.

What is asked of its OpenAI API (`vllm serve`, version 0.10.2 or newer):

    POST /v1/completions            prompt as token ids, n, seed, logprobs, return_token_ids; or echo
    POST /v1/load_lora_adapter      lora_name, lora_path: a PEFT folder that the server sees
    POST /v1/unload_lora_adapter    lora_name

The last two are there with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True. A loaded adapter is a
model of its name. Whatever a server's defaults would make of its distribution (top_p and their like, from
the model's generation settings) is asked not to be, and what ends a continuation is told in token ids.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.models.remote.client import Connection, PatientClient, Refused
from truing.models.remote.endpoint import EndpointName
from truing.models.remote.token_replies import Drawn, continuations, echoed, prompt_tokens

PREFIX = "vllm:"
_WHOLE: dict[str, Any] = {
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""The whole distribution: nothing cut off, nothing made likelier."""
_NUMBERS: dict[str, Any] = {
    "logprobs": 0,  # of the tokens themselves, and of no others
    "return_token_ids": True,
    "return_tokens_as_token_ids": True,
}
_ALREADY = re.compile(r"already.*loaded", re.IGNORECASE)
_UNSEEN = re.compile(r"no adapter found|no such file|does not exist|allowed", re.IGNORECASE)
_HINTS = (
    (
        re.compile(r"max_lora_rank|lora rank", re.IGNORECASE),
        "start it with a larger --max-lora-rank",
    ),
    (
        re.compile(r"max_model_len|context length|maximum.*tokens", re.IGNORECASE),
        "start it with a larger --max-model-len",
    ),
)
"""What a server complains of, and the flag that helps."""
NO_ADAPTERS = (
    "takes no adapters; start it with --enable-lora and, in its environment, "
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
)


@dataclass(frozen=True)
class Request:
    """Continuations of a prompt that are drawn together: `count` of at most `longest` tokens, each from
    softmax(logits / temperature), by `seed`. They end behind a token in `ends`, or the text `stop`."""

    prompt: tuple[int, ...]
    count: int
    longest: int
    temperature: float
    seed: int
    ends: tuple[int, ...]
    stop: str = ""

    def body(self) -> dict[str, Any]:
        """As vLLM takes it."""
        return {
            "prompt": list(self.prompt),
            "n": self.count,
            "max_tokens": self.longest,
            "temperature": self.temperature,
            "seed": self.seed,
            **_WHOLE,
            **_NUMBERS,
            # Of its own it would end at what its copy of the model's settings names.
            "ignore_eos": True,
            "stop_token_ids": list(self.ends),
            **({"stop": [self.stop], "include_stop_str_in_output": True} if self.stop else {}),
        }


class VllmServer:
    """One server. Safe to use from several threads. Its methods raise Refused or Unreachable."""

    def __init__(
        self,
        name: EndpointName,
        connection: Connection,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Asks nothing yet. Raises InputError where the key named isn't there."""
        self.name = name
        self._client = PatientClient(name.url, connection, say)
        self._loaded: set[str] = set()
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return f"{PREFIX}{self.name.url}#{self.name.model}"

    def close(self) -> None:
        """End everything that is still asked."""
        self._client.close()

    # --- Adapters --------------------------------------------------------------------------------

    def load(self, adapter: str, folder: Path) -> None:
        """Has the server load a PEFT folder under this name, unless it has."""
        with self._lock:  # others that ask for the same one wait until it is there
            if adapter in self._loaded:
                return
            try:
                where = {"lora_name": adapter, "lora_path": str(folder.resolve())}
                self._client.tell("load_lora_adapter", where)
            except Refused as error:
                if not _ALREADY.search(error.complaint):
                    raise _adapter_refused(error, folder) from None
            self._loaded.add(adapter)

    def unload(self, adapter: str) -> None:
        """Has the server forget an adapter, which it may not have."""
        with self._lock:
            self._loaded.discard(adapter)
            with suppress(Refused):
                self._client.tell("unload_lora_adapter", {"lora_name": adapter})

    def forget(self, adapter: str) -> None:
        """Takes an adapter for one that has to be loaded; a server begun anew has none."""
        with self._lock:
            self._loaded.discard(adapter)

    def has(self, adapter: str) -> bool:
        """Whether the server loaded an adapter that it wasn't told to forget, for all that is known."""
        return adapter in self._loaded

    # --- Tokens ----------------------------------------------------------------------------------

    def draw(self, request: Request, adapter: str, folder: Path) -> list[Drawn]:
        """Continuations by the base with an adapter, which is loaded where the server has it no more."""
        self.load(adapter, folder)
        try:
            return self._drawn(request, adapter)
        except Refused as error:
            if error.status != 404:
                raise
        self.forget(adapter)
        self.load(adapter, folder)
        return self._drawn(request, adapter)

    def draw_base(self, request: Request) -> list[Drawn]:
        """Continuations by the base alone."""
        return self._drawn(request, self.name.model)

    def _drawn(self, request: Request, model: str) -> list[Drawn]:
        document = self._post({"model": model, **request.body()})
        if (acted := document.get("model")) not in (None, model):
            raise Refused(f"answered by the model {str(acted)[:80]!r} where {model!r} was asked")
        return continuations(document, request.count, request.longest)

    def scores(self, prompt: Sequence[int], adapter: str = "") -> list[float]:
        """Log-probabilities (nats) of a prompt's tokens but the first, by the base or under an adapter."""
        body = {"model": adapter or self.name.model, "prompt": list(prompt), "echo": True}
        asked = {**body, **_WHOLE, **_NUMBERS, "logprobs": 1, "max_tokens": 1, "temperature": 1.0}
        return echoed(self._post(asked), prompt)

    def tokens(self, text: str) -> list[int]:
        """The tokens that its tokenizer makes of a text, without any at the beginning or end."""
        body = {"model": self.name.model, "prompt": text, "add_special_tokens": False}
        return prompt_tokens(self._post({**body, "max_tokens": 1, **_NUMBERS}))

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._client.post("completions", body)
        except Refused as error:
            raise _with_hint(error) from None


def _with_hint(error: Refused) -> Refused:
    """The same, with the flag that would help where one is known."""
    hint = next((flag for words, flag in _HINTS if words.search(error.complaint)), "")
    return Refused(f"{error}; {hint}", error.status, error.complaint) if hint else error


def _adapter_refused(error: Refused, folder: Path) -> Refused:
    """Why an adapter couldn't be loaded, in words that help."""
    if _UNSEEN.search(error.complaint):
        words = (
            f"doesn't see the adapter in {folder} ({error}); name a folder that both see as "
            "compute.sampler_folder"
        )
        return Refused(words, error.status, error.complaint)
    if error.status in (404, 405):
        return Refused(NO_ADAPTERS, error.status, error.complaint)
    return _with_hint(error)
