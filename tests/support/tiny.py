"""Tiny random models of every family and a character tokenizer, built in a moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from truing.models.language_model import LanguageModel

END, USER, BOT = 0, 1, 2
SPECIAL = ["<end>", "<user>", "<bot>", "<unk>"]
VOCABULARY = [*SPECIAL, *"abcdefghijklmnopqrstuvwxyz .,?!:'0\n-"]
CHAT_TEMPLATE = (
    "{% for m in messages %}"
    "{{ '<user>' if m['role'] == 'user' else '<bot>' if m['role'] == 'assistant' else '' }}"
    "{{ m['content'] }}<end>{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"
)
WINDOW = 4  # shorter than the texts of the tests
FAMILIES = ("llama", "qwen2", "qwen3", "gemma3", "gemma2", "gpt2")


def config(
    family: str, *, vocabulary: int = len(VOCABULARY), pad: int | None = None
) -> PreTrainedConfig:
    """Two layers of 32 numbers. Gemma 3 has a sliding window in its first layer; Gemma 2 softcaps."""
    common = {
        "vocab_size": vocabulary,
        "initializer_range": 0.2,
        "bos_token_id": None,
        "eos_token_id": END,
        "pad_token_id": pad,
    }
    if family == "gpt2":
        return GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=128, **common)
    common |= {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
    }
    if family in ("gemma2", "gemma3"):
        common |= {
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "sliding_window": WINDOW,
            "layer_types": ["sliding_attention", "full_attention"],
        }
    if family == "qwen3":
        common["head_dim"] = 8
    if family == "gemma2":
        common |= {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}
    kinds = {
        "llama": LlamaConfig,
        "qwen2": Qwen2Config,
        "qwen3": Qwen3Config,
        "gemma3": Gemma3TextConfig,
        "gemma2": Gemma2Config,
    }
    return kinds[family](**common)


def plain(family: str, *, seed: int = 0, **options: int | None) -> PreTrainedModel:
    """The model as `transformers` runs it: the oracle. The same seed gives the same weights."""
    # Only eager attention knows Gemma 2's softcap.
    attention = "eager" if family == "gemma2" else "sdpa"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(
            config(family, **options), dtype=torch.float32, attn_implementation=attention
        )
        with torch.no_grad():  # norms and biases start as ones and zeros, which would hide mistakes
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter.add_(0.1 * torch.randn(parameter.shape))
    return model.eval()


def tokenizer(*, chat: bool = False) -> PreTrainedTokenizerFast:
    """One token for each character, and four special ones."""
    vocabulary = {token: number for number, token in enumerate(VOCABULARY)}
    characters = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    characters.pre_tokenizer = Split(Regex(r"[\s\S]"), "isolated")
    characters.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=characters,
        eos_token="<end>",
        unk_token="<unk>",
        extra_special_tokens=["<user>", "<bot>"],
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE if chat else None,
    )


def tiny(
    family: str = "llama", *, seed: int = 0, chat: bool = False, **options: int | None
) -> LanguageModel:
    """The same weights behind our own passes."""
    return LanguageModel(plain(family, seed=seed, **options), tokenizer(chat=chat))


def saved(folder: Path, context: int = 1024, *, seed: int = 0) -> Path:
    """A Llama with a chat template and room for so many tokens, as a folder."""
    settings = config("llama", pad=0)
    settings.max_position_embeddings = context
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(settings, dtype=torch.float32).save_pretrained(folder)
    tokenizer(chat=True).save_pretrained(folder)
    return folder


def alone(model: PreTrainedModel, prompt: Sequence[int], continuation: Sequence[int]) -> Tensor:
    """Log-probabilities of a continuation's tokens, run through plain `transformers` on its own."""
    text = torch.tensor([[*prompt, *continuation]])
    scores = model(input_ids=text, use_cache=False).logits[0].float().log_softmax(-1)
    places = torch.arange(len(prompt) - 1, len(prompt) + len(continuation) - 1)
    return scores[places, torch.tensor(continuation)]


def texts(seed: int, lengths: Sequence[int], vocabulary: int = len(VOCABULARY)) -> list[list[int]]:
    """Random token rows of the given lengths, without the end token."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(1, vocabulary, (n,), generator=generator).tolist() for n in lengths]
