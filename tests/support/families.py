"""A tiny random model of every family that the docs speak of, and the table of what each gets.

    python tests/support/families.py docs/models.md

writes the page anew; a test holds it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from tiny import END, VOCABULARY, tokenizer
from truing.models.adapter import LoraExperts, add_adapter, not_adapted
from truing.models.language_model import LanguageModel
from truing.spec.run import AdapterSpec

_CLASSIC = {"vocab_size": len(VOCABULARY), "initializer_range": 0.2} | {
    "eos_token_id": END,
    "bos_token_id": None,
    "pad_token_id": None,
}
_LLAMA = _CLASSIC | {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
_GPT = _CLASSIC | {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}
_STACKED = _CLASSIC | {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_EXPERTS = _LLAMA | {"num_experts_per_tok": 2, "moe_intermediate_size": 24}
_LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "num_key_value_heads": 4} | {
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}
_DELTA = {"head_dim": 8, "layer_types": ["linear_attention", "full_attention"]} | {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
_SLIDING = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("llama", _LLAMA),
    "Mistral": ("mistral", _LLAMA),
    "Qwen 2": ("qwen2", _LLAMA),
    "Qwen 3": ("qwen3", _LLAMA | {"head_dim": 8}),
    "Gemma 2": (
        "gemma2",
        _LLAMA
        | _SLIDING
        | {"head_dim": 8, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    ),
    "Gemma 3": ("gemma3_text", _LLAMA | _SLIDING | {"head_dim": 8}),
    "Phi 3": ("phi3", _LLAMA),
    "OLMo 2": ("olmo2", _LLAMA),
    "SmolLM 3": ("smollm3", _LLAMA),
    "GLM 4": ("glm4", _LLAMA | {"head_dim": 8}),
    "Starcoder 2": ("starcoder2", _LLAMA),
    "Nemotron": ("nemotron", _LLAMA),
    "StableLM": ("stablelm", _LLAMA),
    "GPT-2": ("gpt2", _GPT),
    "GPT-NeoX": ("gpt_neox", _LLAMA),
    "OPT": ("opt", _LLAMA | {"ffn_dim": 48, "word_embed_proj_dim": 32, "dropout": 0.0}),
    "Granite": ("granite", _LLAMA | {"logits_scaling": 4.0}),
    "Granite MoE": ("granitemoe", _EXPERTS | {"num_local_experts": 4, "logits_scaling": 4.0}),
    "Cohere": ("cohere", _LLAMA | {"logit_scale": 0.3}),
    "Cohere 2": ("cohere2", _LLAMA | _SLIDING | {"logit_scale": 0.3, "head_dim": 8}),
    "GPT-OSS": ("gpt_oss", _EXPERTS | _SLIDING | {"head_dim": 8, "num_local_experts": 4}),
    "Mixtral": ("mixtral", _EXPERTS | {"num_local_experts": 4}),
    "OLMoE": ("olmoe", _EXPERTS | {"num_experts": 4}),
    "Qwen 3 MoE": ("qwen3_moe", _EXPERTS | {"num_experts": 4, "head_dim": 8}),
    "DeepSeek V3": (
        "deepseek_v3",
        _EXPERTS
        | _LATENT
        | {"n_routed_experts": 4, "n_group": 1, "topk_group": 1}
        | {"n_shared_experts": 1, "first_k_dense_replace": 1},
    ),
    "Llama 4": (
        "llama4_text",
        _EXPERTS
        | {"intermediate_size": 32, "intermediate_size_mlp": 48, "head_dim": 8}
        | {"num_local_experts": 4, "attention_chunk_size": 32}
        | {"layer_types": ["chunked_attention", "full_attention"]},
    ),
    "Falcon": ("falcon", _STACKED | {"multi_query": True}),
    "Falcon with ALiBi": (
        "falcon",
        _STACKED | {"alibi": True, "multi_query": False, "parallel_attn": False},
    ),
    "BLOOM": ("bloom", _CLASSIC | {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "MPT": ("mpt", _CLASSIC | {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 128}),
    "GPT-J": ("gptj", _GPT | {"rotary_dim": 4}),
    "LFM2": ("lfm2", _LLAMA | {"layer_types": ["conv", "full_attention"]}),
    "Qwen 3.5": ("qwen3_5_text", _LLAMA | _DELTA),
    "Qwen 3 Next": (
        "qwen3_next",
        _EXPERTS | _DELTA | {"num_experts": 4, "shared_expert_intermediate_size": 24},
    ),
    "Nemotron-H": (
        "nemotron_h",
        _LLAMA
        | {"layers_block_type": ["mamba", "attention"], "head_dim": 8, "n_groups": 2}
        | {"mamba_num_heads": 4, "mamba_head_dim": 8, "ssm_state_size": 8},
    ),
    "Falcon-H1": (
        "falcon_h1",
        _LLAMA
        | {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8}
        | {"lm_head_multiplier": 0.5},
    ),
    "Granite 4 (hybrid)": (
        "granitemoehybrid",
        _EXPERTS
        | {"layer_types": ["mamba", "attention"], "num_local_experts": 4, "logits_scaling": 4.0}
        | {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8},
    ),
    "Bamba": (
        "bamba",
        _LLAMA
        | {"attn_layer_indices": [1], "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8},
    ),
    "MiniMax": (
        "minimax",
        _EXPERTS
        | {"layer_types": ["linear_attention", "full_attention"], "num_local_experts": 4}
        | {"head_dim": 8, "block_size": 8},
    ),
    "Mamba": ("mamba", _CLASSIC | {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}),
    "RecurrentGemma": (
        "recurrent_gemma",
        _LLAMA
        | {"lru_width": 32, "attention_window_size": 8, "block_types": ["recurrent", "attention"]},
    ),
}


def config(name: str) -> PreTrainedConfig:
    """Two layers of 32 numbers, each of another kind where the family has several."""
    kind, options = FAMILIES[name]
    return AutoConfig.for_model(kind, **options)


def plain(name: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The model as `transformers` runs it: the oracle. The same weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        # Only eager attention knows Gemma 2's softcap.
        options = {"attn_implementation": "eager"} if name == "Gemma 2" else {}
        model = AutoModelForCausalLM.from_config(config(name), dtype=torch.float32, **options)
        with torch.no_grad():  # what is 1, 0 or not drawn at all would hide mistakes
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter.add_(0.3 * torch.randn(parameter.shape))
                elif not parameter.any() or not parameter.isfinite().all():
                    parameter.copy_(0.2 * torch.randn(parameter.shape))
    return model.to(dtype).eval()


def loaded(name: str) -> LanguageModel:
    """The same weights behind our own passes."""
    return LanguageModel(plain(name), tokenizer())


def row(name: str) -> tuple[str, ...]:
    """What a family gets, as it is found on its tiny model."""
    model = loaded(name)
    sampling = (
        "prompt and beginning once, all rows in one pass"
        if not model.unpacked
        else "rows of one length in a pass"
        if model.cached
        else "rows of one length in a pass, the whole text for each token"
    )
    chat = (
        "rows in one pass"
        if not model.unpacked
        else "row by row"
        if model.cached
        else "row by row, the whole text for each token"
    )
    return (
        name,
        "no" if model.unpacked else "yes",
        sampling,
        chat,
        _adapted(model.model),
        "whole, in one pass" if model.unpacked else "in pieces",
    )


def _adapted(model: PreTrainedModel) -> str:
    """What an adapter trains."""
    add_adapter(model.requires_grad_(False), AdapterSpec(kind="lora", rank=2), seed=0)
    left_out = ", ".join(f"`{name.removesuffix('.weight')}`" for name in not_adapted(model))
    experts = any(isinstance(module, LoraExperts) for module in model.modules())
    trained = "all linear layers" + (", each expert" if experts else "")
    return f"{trained}; not {left_out}" if left_out else trained


_TITLES = ("Family", "shares prompts", "sampling", "chat and serve", "LoRA trains", "long texts")
_START, _END = "<!-- families: start -->", "<!-- families: end -->"


def page(text: str) -> str:
    """The docs page with its table made anew."""
    lines = [_TITLES, ("---",) * len(_TITLES), *(row(name) for name in FAMILIES)]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    before, rest = text.split(_START)
    return f"{before}{_START}\n\n{table}\n{_END}{rest.split(_END)[1]}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")
