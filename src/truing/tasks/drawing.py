"""Words drawn for generated cases: which one depends on the place alone, so that the cases stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from truing.types import stable_hash

Item = TypeVar("Item")


def shuffled(items: Sequence[Item], *place: str | int) -> list[Item]:
    """The items in an order that belongs to a place (`"format", "move", "city"`)."""
    where = [str(part) for part in place]
    return sorted(items, key=lambda item: stable_hash(*where, str(item)))


def drawn(items: Sequence[Item], *place: str | int) -> Item:
    """The item for a place: always the same one, each as likely."""
    return shuffled(items, *place)[0]
