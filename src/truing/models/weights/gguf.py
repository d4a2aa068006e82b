"""A GGUF file as a folder of float32 safetensors that plain transformers can load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from truing.files import is_disk_full
from truing.models.engine.making import ONE_AT_A_TIME
from truing.models.user_cache import ModelUnavailable

CONVERTER_VERSION = 1
"""Part of the converted folder's name. Raise it when the result of `convert` changes."""


def convert(gguf: Path, folder: Path, *, digits_apart: bool) -> None:
    """Dequantise `gguf` into `folder` (made here): weights, configuration and tokenizer.

    With `digits_apart` the tokenizer cuts text at every digit before it merges bytes. GGUF files
    say so in `tokenizer.ggml.pre` ('smollm': first \\p{N}, then GPT-2's pattern); transformers
    reads only GPT-2's pattern, and then tokenises "a  2" otherwise than the model was trained.
    """
    # torch and transformers take seconds to import; whoever needs no conversion needn't wait.
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"gguf_file": gguf.name, "local_files_only": True, "trust_remote_code": False}
    with ONE_AT_A_TIME:
        loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **where)
    tokenizer: Any = AutoTokenizer.from_pretrained(gguf.parent, **where)
    config = loaded.config
    # The loaded model counts as quantised and refuses to be saved; a plain one takes its values.
    del config.quantization_config
    config._name_or_path = ""
    config.rms_norm_eps = _shortest(config.rms_norm_eps)
    plain: Any = AutoModelForCausalLM
    with ONE_AT_A_TIME:
        model = plain.from_config(config, dtype=torch.float32, trust_remote_code=False)
    model.load_state_dict(loaded.state_dict())
    if digits_apart:
        _cut_at_digits(tokenizer)
    tokenizer.model_max_length = config.max_position_embeddings
    model.generation_config = loaded.generation_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _forget_origin(folder / "tokenizer_config.json", ("is_local", "local_files_only"))
    _forget_origin(folder / "config.json", ("_model_name_or_path", "_name_or_path"))
    _forget_origin(folder / "generation_config.json", ("_from_model_config",))


def _shortest(value: float) -> float:
    """A number that was stored in 32 bits, as it was meant: 9.999999747e-06 is 1e-05."""
    import numpy as np

    return float(str(np.float32(value)))


def _cut_at_digits(tokenizer: Any) -> None:
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
        ]
    )


def _forget_origin(path: Path, keys: tuple[str, ...]) -> None:
    """Drop what describes the conversion and not the model."""
    data = json.loads(path.read_text(encoding="utf-8"))
    kept = {key: value for key, value in data.items() if key not in keys}
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def convert_apart(gguf: Path, folder: Path, *, digits_apart: bool) -> None:
    """`convert` in a process of its own, so that its memory and its chatter end with it.

    The process gets no network and ends when this one does. Raises OSError on a full disk,
    ModelUnavailable where the memory ran out, RuntimeError with its last words otherwise.
    """
    # -P keeps the working directory's files from being imported in place of libraries.
    command = [sys.executable, "-P", "-m", "truing.models.weights.gguf", str(gguf), str(folder)]
    command += ["--digits-apart"] if digits_apart else []
    paths = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        log.seek(0)
        words = log.read().decode("utf-8", "replace")
    if process.returncode == 0:
        return
    if is_disk_full(error := OSError(words)):
        raise error
    if process.returncode < 0 or "MemoryError" in words:
        raise ModelUnavailable(
            f"converting {gguf.name} stopped (signal {-process.returncode}), likely for want of "
            f"memory: it takes about {16 * gguf.stat().st_size / 1e9:.1f} GB; then try again"
        )
    raise RuntimeError(f"converting {gguf} failed:\n{words[-4000:]}")


def _end_with(parent: int) -> None:
    """Exit as soon as the process `parent` is gone: nobody is left to use the result."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def main(arguments: list[str]) -> None:
    """GGUF FOLDER [--digits-apart]: what `convert_apart` runs."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    gguf, folder, *flags = arguments
    convert(Path(gguf), Path(folder), digits_apart="--digits-apart" in flags)


if __name__ == "__main__":
    main(sys.argv[1:])
