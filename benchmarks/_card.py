"""What card.py measures with: sizes, figures beside goals, the time that is left, random models."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from _work import without_end
from truing.models.language_model import LanguageModel

Config = tuple[type[PreTrainedConfig], dict[str, int]]
TINY = {
    "vocab_size": 2000,
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
}


@dataclass(frozen=True)
class Sizes:
    """What is measured: models, and how much work each part does."""

    large: Config
    middle: Config
    exact: Config
    product: int
    scored: tuple[int, int]  # texts, tokens of each
    sampled: tuple[int, int]  # prompts, new tokens
    step: tuple[int, int, int]  # prompts, samples, new tokens
    prompt: int = 64
    rounds: int = 4


CARD = Sizes(
    large=(
        LlamaConfig,
        {
            "vocab_size": 32000,
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
        },
    ),
    middle=(
        Qwen2Config,
        {
            "vocab_size": 151936,
            "hidden_size": 1536,
            "intermediate_size": 8960,
            "num_hidden_layers": 28,
            "num_attention_heads": 12,
            "num_key_value_heads": 2,
        },
    ),
    exact=(
        LlamaConfig,
        TINY | {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 12},
    ),
    product=8192,
    scored=(64, 512),
    sampled=(32, 128),
    step=(8, 8, 128),
)
SMALL = Sizes(
    large=(LlamaConfig, TINY),
    middle=(Qwen2Config, TINY),
    exact=(LlamaConfig, TINY),
    product=1024,
    scored=(8, 128),
    sampled=(8, 24),
    step=(2, 4, 16),
    prompt=16,
    rounds=3,
)


@dataclass
class Figure:
    """One measured number beside its goal; without a value, why there is none."""

    name: str
    goal: str
    value: float | None = None
    reached: bool | None = None
    unit: str = ""
    note: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name}: left out, {self.note}"
        verdict = {True: "reached", False: "missed", None: "not held to it"}[self.reached]
        note = f"; {self.note}" if self.note else ""
        return f"{self.name}: {self.value:.3g}{self.unit} (goal {self.goal}: {verdict}){note}"


class Bench:
    """The device, the sizes and the time that is left."""

    def __init__(self, device: torch.device, sizes: Sizes, minutes: float) -> None:
        self.device, self.sizes = device, sizes
        self.on_card = device.type != "cpu"
        self._end = time.monotonic() + 60 * minutes

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    def seconds(self, work: Callable[[], object]) -> float:
        """Of the work, until the device has done it."""
        self._wait()
        started = time.perf_counter()
        work()
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def rounds(self, *works: Callable[[], object]) -> list[list[float]]:
        """Seconds of each work, done in turn, a first round left out; fewer rounds where time ends."""
        for work in works:
            work()
        taken: list[list[float]] = [[] for _ in works]
        for _ in range(self.sizes.rounds):
            for seconds, work in zip(taken, works, strict=True):
                seconds.append(self.seconds(work))
            if self.left < 0:
                break
        return taken

    def judged(self, reached: bool) -> bool | None:
        """Goals are those of large models on a card."""
        return reached if self.on_card and self.sizes is CARD else None


def tokenizer(size: int) -> PreTrainedTokenizerFast:
    """A word for each number, `w7` for 7; the first is the end, the second stands for what isn't one."""
    vocabulary = {"<end>": 0, "<unknown>": 1} | {f"w{n}": n for n in range(2, size)}
    words = Tokenizer(WordLevel(vocabulary, unk_token="<unknown>"))
    words.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        eos_token="<end>",
        pad_token="<end>",
        unk_token="<unknown>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def network(config: Config, device: torch.device, dtype: torch.dtype) -> PreTrainedModel:
    """The same random weights each time, made where they are used."""
    kind, sizes = config
    settings = kind(**sizes, eos_token_id=0, pad_token_id=0, bos_token_id=None)
    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(
            settings, dtype=dtype, attn_implementation="sdpa"
        ).eval()


def model(config: Config, device: torch.device, dtype: torch.dtype) -> LanguageModel:
    """The same behind our passes; no answer ends before its last token."""
    return without_end(
        LanguageModel(network(config, device, dtype), tokenizer(config[1]["vocab_size"]))
    )


def texts(count: int, length: int, vocabulary: int, seed: int = 1) -> list[list[int]]:
    """Random rows of words."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, vocabulary, (count, length), generator=generator).tolist()  # type: ignore[no-any-return]


def in_products(language_model: LanguageModel) -> int:
    """Parameters that every token is multiplied with: all but a table that rows are looked up in."""
    module = language_model.model
    table, head = module.get_input_embeddings().weight, module.get_output_embeddings().weight
    every = sum(p.numel() for p in module.parameters())
    return every if table is head else every - table.numel()
