"""A tiny model with a byte-level BPE tokenizer, which programs of others can read."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from tiny import config

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TURN_END = 2


def tokenizer(*, digits_apart: bool = True) -> PreTrainedTokenizerFast:
    """The bytes, a few merges, and ChatML's tokens; the end of a text is another than that of a turn."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "a"), ("1", "2")]
    words = [*SPECIAL, *letters, *("".join(pair) for pair in merges)]
    backend = Tokenizer(BPE({word: n for n, word in enumerate(words)}, merges))
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Digits(individual_digits=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, cut]) if digits_apart else cut
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=SPECIAL[0],
        extra_special_tokens=SPECIAL[1:],
        clean_up_tokenization_spaces=False,
        chat_template=TEMPLATE,
    )


def saved(folder: Path, family: str = "llama", *, digits_apart: bool = True) -> Path:
    """The model as a folder; its weights are drawn, the last rows of its vocabulary name no token."""
    texts = tokenizer(digits_apart=digits_apart)
    settings = config(family, vocabulary=len(texts) + 5, pad=0)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(settings, dtype=torch.float32).save_pretrained(folder)
    texts.save_pretrained(folder)
    return folder
