"""Safetensors files that are the same bytes for the same content.

The library writes the entries of the metadata in the order of a hash map, which differs each time.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from truing.files import write_file_atomically
from truing.types import InputError

UNREADABLE = (
    *(OSError, ValueError, TypeError, KeyError, AttributeError, IndexError, RuntimeError),
    *(ArithmeticError, SafetensorError, StrictDataclassError),
)
"""What libraries raise over a model's folder whose files are broken, or don't belong together."""
_METADATA = "__metadata__"


def write_tensors_atomically(
    path: Path, tensors: Mapping[str, Tensor | np.ndarray[Any, Any]], metadata: dict[str, str]
) -> None:
    """Writes tensors, wherever they are, or arrays, as `write_file_atomically` does; metadata in order."""
    here = {
        name: torch.as_tensor(each).detach().cpu().contiguous() for name, each in tensors.items()
    }

    def ordered(temporary: Path) -> None:
        save_file(here, temporary, metadata)
        _order_metadata(temporary)

    write_file_atomically(path, ordered)


@contextmanager
def opened_tensors(path: Path, framework: str, remedy: str) -> Iterator[Any]:
    """A safetensors file while the context lasts; `framework` is 'pt' or 'np'.

    Raises InputError, with the `remedy`, where it isn't there or isn't whole, in the context too.
    """
    try:
        with safe_open(path, framework=framework) as stored:
            yield stored
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a whole safetensors file ({error}); {remedy}") from None


def _order_metadata(path: Path) -> None:
    # Eight bytes with the header's length, the header as JSON, the tensors: these stay where they are.
    with path.open("r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        if _METADATA not in header:
            return
        header[_METADATA] = dict(sorted(header[_METADATA].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        assert len(text) <= length, "the library writes its header without white space"
        file.seek(8)
        file.write(text.ljust(length))
