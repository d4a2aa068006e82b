"""OpenAssistant conversation trees: every user message that has replies, with the way to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from truing.types import InputError

_ROLES = {"prompter": "user", "assistant": "assistant"}
_DEEPEST = 200


@dataclass(frozen=True)
class Reply:
    """An assistant's message; `rank` is 1 for the best, None where nobody ranked it."""

    candidate: str
    text: str
    rank: int | None


@dataclass(frozen=True)
class Node:
    """A prompt in a tree. The demonstration is the best-ranked reply that a person wrote."""

    messages: list[dict[str, str]]
    replies: list[Reply]
    demonstration: str


def _message(node: object) -> dict[str, Any]:
    if not isinstance(node, dict) or node.get("role") not in _ROLES:
        raise InputError("OASST tree: every message has a role, prompter or assistant")
    if not isinstance(node.get("text"), str) or not isinstance(node.get("replies", []), list):
        raise InputError("OASST tree: every message has a text and a list of replies")
    return node


def _reply(node: dict[str, Any]) -> Reply:
    rank = node.get("rank")
    if rank is not None and (type(rank) is not int or rank < 0):
        raise InputError(f"OASST tree: rank {rank!r} isn't a whole number from 0")
    candidate = str(node.get("model_name") or "model") if node.get("synthetic") else "human"
    return Reply(candidate, node["text"], None if rank is None else rank + 1)


def _node(path: list[dict[str, str]], replies: list[Reply]) -> Node:
    people = [reply for reply in replies if reply.candidate == "human"]
    # Python sorts stably: among the unranked the first one stays first, behind all ranked.
    people.sort(key=lambda reply: (reply.rank is None, reply.rank or 0))
    return Node(path, replies, people[0].text if people else "")


def oasst_nodes(record: dict[str, Any]) -> Iterator[Node]:
    """The prompts of one tree, from the root down. Deleted and empty messages end their branch.

    Raises InputError for a tree that isn't one, or that is deeper than a conversation can be.
    """
    waiting: list[tuple[list[dict[str, str]], dict[str, Any]]] = [([], _message(record["prompt"]))]
    while waiting:
        path, message = waiting.pop()
        if len(path) > _DEEPEST:
            raise InputError(f"OASST tree: deeper than {_DEEPEST} messages")
        path = [*path, {"role": _ROLES[message["role"]], "content": message["text"]}]
        below = [_message(each) for each in message.get("replies") or []]
        below = [each for each in below if not each.get("deleted") and each["text"].strip()]
        if message["role"] == "prompter":
            # One text twice can't be told apart, and would be ranked against itself.
            replies = {each["text"]: _reply(each) for each in reversed(below)}
            ordered = list(reversed(replies.values()))
            if ordered:
                yield _node(path, ordered)
        waiting.extend((path, each) for each in reversed(below))
