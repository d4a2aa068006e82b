"""How much memory is left, and how much a text's keys and values take."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch
from transformers import PreTrainedConfig, PreTrainedModel

_GROUP = Path("/sys/fs/cgroup")
_FILES = (  # of a control group: its limit, what it uses, what of that could be given back at once
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def available_bytes(device: torch.device | None = None, group: Path = _GROUP) -> int:
    """Bytes that may still be taken: on the device, or of the machine and of the control group
    (a container's limit) that this process runs in, whichever has less."""
    if device is not None and device.type == "cuda":
        # What PyTorch holds but doesn't use is free as well.
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    free = int(psutil.virtual_memory().available)
    for files in _FILES:
        free = min(free, _left_in_group(group, *files))
    return max(0, free)


def _left_in_group(group: Path, limit: str, used: str, stat: str, reclaimable: str) -> int:
    try:
        most, now = int((group / limit).read_text()), int((group / used).read_text())
        lines = (line.split() for line in (group / stat).read_text().splitlines())
        back = next((int(value) for name, value in lines if name == reclaimable), 0)
    except (OSError, ValueError):  # no such group, or one without a limit ("max")
        return 1 << 62
    return most - now + back


def attention_heads(config: PreTrainedConfig) -> int:
    """Heads of queries; 1 of a model without attention, whose states are no larger than one's keys."""
    return int(getattr(config, "num_attention_heads", None) or 1)


def key_value_bytes(model: PreTrainedModel, dtype: torch.dtype) -> int:
    """Bytes of the keys and values of one token."""
    config = model.config.get_text_config()
    heads = attention_heads(config)
    kept = getattr(config, "num_key_value_heads", None) or heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    return int(2 * config.num_hidden_layers * kept * size * dtype.itemsize)


def gigabytes(count: float) -> str:
    """'2.4 GB'."""
    return f"{count / 1e9:.1f} GB"
