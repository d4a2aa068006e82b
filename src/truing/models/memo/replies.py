"""Replies of judges behind endpoints kept on disk, so that a run that goes on asks nothing twice."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from typing import Any

from truing.models.memo.disk import DiskStore
from truing.types import stable_hash


@dataclass(frozen=True)
class StoredReply:
    """What a judge replied, whether the length limit cut it off or a content filter did, and what it cost.

    A text that was cut off ends in a line break where its last line is whole. `tokens_sent` and
    `tokens_back` are as the server counts them, None where it doesn't.
    """

    text: str
    cut: bool
    tokens_sent: int | None
    tokens_back: int | None
    seconds: float
    filtered: bool = False


def reply_key(model: str, most_tokens: int, sent: str) -> bytes:
    """32 bytes that stand for the likeliest reply. `model` says as well as can be known which it was."""
    return bytes.fromhex(stable_hash("judge's reply", model, str(most_tokens), sent))


class ReplyStore(DiskStore[StoredReply]):
    """Replies by `reply_key`."""

    NAME = "judge_replies"
    COLUMN = "reply TEXT"

    def _read(self, stored: Any) -> StoredReply:
        return StoredReply(*json.loads(stored))

    def _written(self, value: StoredReply) -> str:
        return json.dumps(astuple(value))
