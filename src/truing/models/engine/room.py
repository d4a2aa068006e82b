"""How much goes through a model at once: as much as memory has room for, and less once it ran out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, TypeVar

import torch
from transformers import PreTrainedModel

from truing.models.engine.memory import available_bytes, key_value_bytes

LEAST = 32
"""Tokens of a pass that isn't made any smaller."""
MOST_ROWS = 512
"""Rows that are sampled side by side at most, off the processor."""
_SHARE = 0.5  # of the free memory, for what is reckoned here: kernels and the allocator take some
_LOG = logging.getLogger(__name__)

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")
_Items = TypeVar("_Items", bound=Sequence[Any])


class Room:
    """The most tokens of a pass. `tell` hears a sentence the first time that memory runs out."""

    def __init__(self, tokens: int, tell: Callable[[str], None] = _LOG.warning) -> None:
        self.tokens = tokens
        self.tell = tell
        self._first = tokens
        self._told = False
        self._changing = Lock()

    @property
    def share(self) -> float:
        """What is left of the size at first: 1 as long as memory hasn't run out."""
        return self.tokens / self._first

    def shrink(self, tokens: int) -> bool:
        """After memory ran out under passes of `tokens`: half as many from now on. False where that
        would be too few to try again."""
        with self._changing:
            if tokens <= LEAST:
                return False
            self.tokens = min(self.tokens, tokens // 2)
            told, self._told = self._told, True
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        if not told:
            self.tell(
                f"memory ran out in a pass of up to {tokens} tokens; from here on passes are smaller: "
                "slower, with the same figures."
            )
        return True


def in_room(
    work: Callable[[_Part], _Result],
    part: _Part,
    room: Room,
    split: Callable[[_Part], Sequence[_Part]],
) -> list[_Result]:
    """The work's results: one of the whole part, or where memory runs out several, of smaller parts.

    `split` gives these; the part itself where it can't be split, and a smaller `room` is what helps.
    """
    tokens = room.tokens
    try:
        return [work(part)]
    except torch.OutOfMemoryError:
        # Another pass at the same time may have made it smaller already.
        if room.tokens >= tokens and not room.shrink(tokens):
            raise
    # Outside the handler, which holds on to the tensors of the pass that failed.
    return [each for less in split(part) for each in in_room(work, less, room, split)]


def halves(items: _Items) -> list[_Items]:
    """Both, or all where there is but one item."""
    middle = len(items) // 2
    return [items[:middle], items[middle:]] if middle else [items]  # type: ignore[list-item]


def fitting_tokens(model: PreTrainedModel, dtype: torch.dtype) -> int:
    """Tokens whose activations and keys and values fit the memory that is free on the model's device."""
    config = model.config.get_text_config()
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    activations = (8 * config.hidden_size + 3 * inner) * dtype.itemsize
    each = activations + 2 * key_value_bytes(model, dtype)
    return max(LEAST, int(_SHARE * available_bytes(model.device) // each))


def fitting_rows(model: PreTrainedModel, dtype: torch.dtype, tokens: int) -> int:
    """Rows of so many tokens whose keys and values fit the memory that is free on the model's device."""
    free, each = available_bytes(model.device), key_value_bytes(model, dtype)
    return fitting_rows_in(free, each, tokens)


def fitting_rows_in(free: int, token_bytes: int, tokens: int) -> int:
    """The same for so many bytes that are free, with keys and values of a token in `token_bytes`."""
    return max(1, min(MOST_ROWS, int(_SHARE * free // max(1, tokens * token_bytes))))
