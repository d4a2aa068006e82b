"""vLLM's OpenAI server as far as samplers use it, over a tiny model and our own sampler: completions of
token ids with echo and log-probabilities, adapters by name; and servers that are wrong, busy or dying."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from endpoints import Answer
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling, sample
from truing.policies.language import (
    LanguagePolicy,
    PromptCompletion,
    text_log_probs,
)
from truing.policies.served_sampler import request_seed
from truing.policies.trajectories import length_mask
from truing.spec.run import AdapterSpec
from truing.types import stable_hash

NAME = "tiny"
_WANTED = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}


def step_seeds(seed: int, steps: int) -> list[int]:
    """The seeds of a training's steps."""
    return [int(stable_hash("rl step", str(seed), str(n))[:8], 16) for n in range(1, steps + 1)]


class FakeVllm:
    """See the module; a behaviour of `endpoints.Server`.

    A request's seed is taken back to the step's seed it was made of, among `seeds`, so that the answers
    are those of the sampler here; another is used as it is. `raw`: log-probabilities are those at
    temperature 1. `shift`: its tokenizer's numbers are so far from ours. `rank`: adapters of more are
    refused. `ignores`: adapters are loaded and not applied. `fails`: what to answer in place of the nth
    completion, counted from 1 over those that draw.
    """

    def __init__(
        self,
        model: LanguageModel,
        seeds: Iterable[int] = (),
        *,
        raw: bool = False,
        shift: int = 0,
        rank: int = 64,
        ignores: bool = False,
        adapters: bool = True,
        fails: Callable[[int], Answer | None] = lambda number: None,
    ) -> None:
        self.model, self.seeds, self.raw, self.shift = model, list(seeds), raw, shift
        self.rank, self.ignores, self.adapters, self.fails = rank, ignores, adapters, fails
        self.loaded: dict[str, LanguageModel] = {}
        self.asked: list[str] = []  # what was loaded (+), unloaded (-) and drawn by, in order
        self.drawn = 0
        self.lock = threading.Lock()

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        if path == "/v1/load_lora_adapter" and self.adapters:
            return self._load(body["lora_name"], Path(body["lora_path"]))
        if path == "/v1/unload_lora_adapter" and self.adapters:
            self.asked.append("-" + body["lora_name"])
            if self.loaded.pop(body["lora_name"], None) is None:
                return _error(404, f"The lora adapter '{body['lora_name']}' cannot be found.")
            return 200, "Success: LoRA adapter removed successfully."
        if path != "/v1/completions":
            return 404, {"detail": "Not Found"}
        acting = {NAME: self.model, **self.loaded}.get(body["model"])
        if acting is None:
            return _error(404, f"The model `{body['model']}` does not exist.")
        if isinstance(body["prompt"], str):
            tokens = [token + self.shift for token in self.model.encode(body["prompt"])]
            return 200, {"choices": [{"index": 0, "prompt_token_ids": tokens}]}
        if body.get("echo"):
            return 200, self._echo(acting, body["prompt"])
        self.drawn += 1
        failure = self.fails(self.drawn)
        if failure is not None and failure[0] != -200:
            return failure
        answer = self._draw(acting, body)
        return (-200, answer) if failure else (200, answer)

    def _load(self, name: str, folder: Path) -> Answer:
        self.asked.append("+" + name)
        if name in self.loaded:
            return _error(
                400, f"The lora adapter '{name}' has already been loaded. If you want ..."
            )
        if not (folder / "adapter_config.json").is_file():
            return _error(404, f"No adapter found for {folder}")
        config = json.loads((folder / "adapter_config.json").read_text())
        if config["r"] > self.rank:
            return _error(
                400, f"LoRA rank {config['r']} is greater than max_lora_rank {self.rank}."
            )
        adapter = AdapterSpec(kind="lora", rank=config["r"], alpha=config["lora_alpha"])
        policy = LanguagePolicy(self.model, self.model, adapter, "float32", seed=9)
        tensors = load_file(folder / "adapter_model.safetensors")
        values = {
            name.removeprefix("base_model.model.").removesuffix(".weight"): value
            for name, value in tensors.items()
        }
        if not self.ignores:
            policy.set_parameters(values)
        self.loaded[name] = policy.trained
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _echo(self, acting: LanguageModel, prompt: list[int]) -> dict[str, Any]:
        scores = _scores(acting, prompt[:1], prompt[1:], 1.0)
        row = [None, *scores, -1.0]  # a token is drawn behind it
        return {"choices": [{"index": 0, "text": "", "logprobs": {"token_logprobs": row}}]}

    def _draw(self, acting: LanguageModel, body: dict[str, Any]) -> dict[str, Any]:
        assert {name: body[name] for name in _WANTED} == _WANTED and body["ignore_eos"]
        assert frozenset(body["stop_token_ids"]) == self.model.end_tokens
        prompt, temperature = body["prompt"], body["temperature"]
        seed = self._seed(prompt, body["seed"])
        stop = body.get("stop", [""])[0]
        sampling = Sampling(body["max_tokens"], temperature, seed, stop)
        self.asked.append(body["model"])
        found = sample(acting, [prompt], body["n"], sampling).completions[0]
        choices = []
        for index, each in enumerate(found):
            given = list(each.token_log_probs)
            if self.raw:
                given = _scores(acting, prompt, each.tokens, 1.0)
            choices.append(
                {
                    "index": index,
                    "text": each.text,
                    "token_ids": list(each.tokens),
                    "logprobs": {"token_logprobs": given},
                    "finish_reason": "stop" if each.finished else "length",
                }
            )
        return {"model": body["model"], "choices": choices[::-1]}

    def _seed(self, prompt: list[int], asked: int) -> int:
        made = {request_seed(Sampling(1, seed=seed), prompt, 0): seed for seed in self.seeds}
        return made.get(asked, asked)


def _error(status: int, message: str) -> Answer:
    return status, {"error": {"message": message, "code": status}}


def _scores(
    model: LanguageModel, prompt: list[int], tokens: Iterable[int], temperature: float
) -> list[float]:
    action = PromptCompletion(tuple(prompt), tuple(tokens))
    with torch.no_grad():
        mask = length_mask([len(action.tokens)])
        return text_log_probs(model, [action], mask, temperature)[0].tolist()
