"""A model as one GGUF file, which llama.cpp and the programs around it load.

Written are the architectures of which llama.cpp keeps the weights as transformers has them, but for the
order of Llama's heads; and byte-level BPE tokenizers whose way of cutting text llama.cpp knows by name.
Whatever else there is, llama.cpp's own convert_hf_to_gguf.py makes from a folder of merged weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truing.files import write_file_atomically
from truing.types import Dtype, InputError

if TYPE_CHECKING:
    import gguf
    from torch import Tensor

    from truing.models.language_model import LanguageModel

ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""llama.cpp's names of the architectures that are written."""
_INSTEAD = "export it with --merged and convert the folder with llama.cpp's convert_hf_to_gguf.py"
_DIGITS = {"type": "Digits", "individual_digits": True}
_PATTERNS = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+": "qwen2",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+": "llama-bpe",
}
"""How text is cut before it is merged, as the tokenizer says it, and llama.cpp's name for it."""


def write_gguf(model: LanguageModel, template: str | None, path: Path, dtype: Dtype) -> None:
    """Writes weights in the precision, tokenizer, chat template and end tokens; whole or not at all.

    Raises InputError where llama.cpp would read something else than the model is.
    """
    config = model.model.config
    if config.model_type not in ARCHITECTURES:
        raise InputError(
            f"--gguf: {config.model_type!r} models can't be written yet, only "
            f"{', '.join(ARCHITECTURES)}; {_INSTEAD}"
        )
    tokens = _Tokens(model)

    def write(file: Path) -> None:
        import gguf

        writer = gguf.GGUFWriter(file, ARCHITECTURES[config.model_type])
        try:
            _write_settings(writer, config, dtype)
            tokens.write(writer, template)
            for name, tensor in _named(model):
                _add(writer, name, tensor, dtype)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()

    write_file_atomically(path, write)


def _write_settings(writer: gguf.GGUFWriter, config: Any, dtype: Dtype) -> None:
    from gguf import LlamaFileType

    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "default" or getattr(
        config, "use_sliding_window", False
    ):
        raise InputError(f"--gguf: its positions are scaled or windowed; {_INSTEAD}")
    if config.model_type == "mistral" and config.sliding_window:
        raise InputError(f"--gguf: its attention has a window; {_INSTEAD}")
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(LlamaFileType.ALL_F32 if dtype == "float32" else LlamaFileType.MOSTLY_BF16)


def _named(model: LanguageModel) -> Iterator[tuple[str, Tensor]]:
    """The weights under llama.cpp's names. Raises InputError for one that it has none for."""
    import gguf

    config = model.model.config
    kind = next(
        k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == ARCHITECTURES[config.model_type]
    )
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    for name, tensor in model.model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        renamed = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if renamed is None:
            raise InputError(f"--gguf: llama.cpp has no place for {name}; {_INSTEAD}")
        if ARCHITECTURES[config.model_type] == "llama":
            tensor = _in_llamas_order(name, tensor, config)
        yield renamed, tensor


def _in_llamas_order(name: str, tensor: Tensor, config: Any) -> Tensor:
    """Queries and keys turn in neighbouring pairs there, and in halves of a head in transformers."""
    heads = {
        "q_proj": config.num_attention_heads,
        "k_proj": config.num_key_value_heads,
    }.get(name.split(".")[-2])
    if heads is None:
        return tensor
    halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
    return halves.transpose(1, 2).reshape(tensor.shape)


def _add(writer: gguf.GGUFWriter, name: str, tensor: Tensor, dtype: Dtype) -> None:
    from gguf import GGMLQuantizationType
    from gguf.quants import quantize

    values = tensor.detach().float().cpu().contiguous().numpy()
    if dtype == "float32" or values.ndim == 1:
        writer.add_tensor(name, values)
        return
    kind = GGMLQuantizationType.BF16
    writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)


class _Tokens:
    """A byte-level BPE tokenizer, checked. Raises InputError for any other."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        backend = getattr(model.tokenizer, "backend_tokenizer", None)
        self._parts = json.loads(backend.to_str()) if backend is not None else {}
        kind = self._parts.get("model", {}).get("type")
        if kind != "BPE" or self._parts["model"].get("byte_fallback"):
            raise InputError(f"--gguf: its tokenizer isn't byte-level BPE; {_INSTEAD}")
        self._pre = _cut(self._parts)

    def write(self, writer: gguf.GGUFWriter, template: str | None) -> None:
        """Tokens, merges, special tokens and the chat template."""
        from gguf import TokenType

        tokenizer, size = self._model.tokenizer, self._model.model.config.vocab_size
        names = {number: text for text, number in tokenizer.get_vocab().items()}
        special = {each["id"]: each["special"] for each in self._parts["added_tokens"]}
        kinds = [
            (TokenType.CONTROL if special[number] else TokenType.USER_DEFINED)
            if number in special
            else (TokenType.NORMAL if number in names else TokenType.UNUSED)
            for number in range(size)
        ]
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(self._pre)
        writer.add_token_list([names.get(number, f"[unused {number}]") for number in range(size)])
        writer.add_token_types(kinds)
        merges = self._parts["model"]["merges"]
        writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
        self._write_special(writer)
        if template:
            writer.add_chat_template(template)

    def _write_special(self, writer: gguf.GGUFWriter) -> None:
        """The tokens that begin and end a text; both kinds of end are the one that ends an answer."""
        tokenizer = self._model.tokenizer
        first, pad, unknown = (
            tokenizer.bos_token_id,
            tokenizer.pad_token_id,
            tokenizer.unk_token_id,
        )
        writer.add_eos_token_id(self._model.end_token)
        writer.add_eot_token_id(self._model.end_token)
        for token, add in (
            (first, writer.add_bos_token_id),
            (pad, writer.add_pad_token_id),
            (unknown, writer.add_unk_token_id),
        ):
            if isinstance(token, int):
                add(token)
        writer.add_add_bos_token(first is not None and tokenizer("a")["input_ids"][:1] == [first])
        writer.add_add_eos_token(False)


def _cut(parts: dict[str, Any]) -> str:
    """llama.cpp's name for how a tokenizer cuts text before merging. Raises InputError for another."""
    before = parts.get("pre_tokenizer") or {}
    steps = before.get("pretokenizers", [before])
    last = steps[-1] if steps else {}
    if last.get("type") == "ByteLevel" and not last.get("add_prefix_space"):
        if len(steps) == 1 and last.get("use_regex", True):
            return "gpt-2"
        if len(steps) == 2 and steps[0] == _DIGITS and last.get("use_regex", True):
            return "smollm"
        pattern = steps[0].get("pattern", {}).get("Regex") if len(steps) == 2 else None
        if pattern in _PATTERNS and not last.get("use_regex", True):
            return _PATTERNS[pattern]
    raise InputError(
        f"--gguf: llama.cpp knows no tokenizer that cuts text as this one does; {_INSTEAD}"
    )
