"""What the JSON of completions and chats says: replies, and log-probabilities of given text.

A server may send anything: what isn't of the form is refused, what isn't a number is undefined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from truing.models.remote.body import whole_text
from truing.models.remote.client import Refused
from truing.models.templates.thoughts import without_thoughts

NONE_LISTED = "lists no log-probabilities of the text it was given"
_LONGEST_TOKEN = 32  # characters, on average over a reply
_ALWAYS = 4096  # characters that any reply may have
_MOST_TOKENS = 10**9  # that a server may say it used for one reply
_ROUNDING = 0.01  # nats by which a log-probability in 16 bits may exceed 0
_TEXT_PARTS = ("text", "output_text")
_REASONING = ("reasoning_content", "reasoning")
_CUT = ("length", "model_length", "max_tokens")
"""What servers call the end that the length limit, or the model's context, put to a reply."""
_FILTERED = ("content_filter", "safety")


@dataclass(frozen=True)
class Reply:
    """What a server wrote. `cut`: the length limit ended it; `filtered`: a content filter did, or kept all
    of it back; `thought`: it reasons before it answers.

    `tokens_sent` and `tokens_back` are as the server counts them, None where it doesn't.
    """

    text: str
    cut: bool
    fingerprint: str
    thought: bool = False
    tokens_sent: int | None = None
    tokens_back: int | None = None
    filtered: bool = False

    @property
    def said(self) -> str:
        """The text without thoughts and white space around it. One that something ended before its end
        ends in a line break where its last line is whole."""
        said = without_thoughts(self.text)
        behind = self.text[len(self.text.rstrip()) :]
        whole = said and (self.cut or self.filtered) and "\n" in behind
        return f"{said}\n" if whole else said

    def unfiltered(self) -> Reply:
        """Itself. Raises Refused where a filter ended it: what is left of it isn't the model's own."""
        if self.filtered:
            raise Refused("kept the answer back (content filter)")
        return self


class Ending(Protocol):
    """A reply of which it is known what ended it."""

    @property
    def cut(self) -> bool:
        """Whether the length limit did."""
        ...

    @property
    def filtered(self) -> bool:
        """Whether a content filter did."""
        ...


def ended_early(reply: Ending, owner: str = "the") -> str:
    """What ended a reply before its own end; empty where nothing did."""
    if reply.filtered:
        return f"{owner} server kept back the reply (content filter)"
    return f"{owner} reply was cut off by the length limit" if reply.cut else ""


def fingerprint_in(document: Mapping[str, Any]) -> str:
    """What the server calls its configuration; empty where it doesn't say."""
    fingerprint = document.get("system_fingerprint")
    return whole_text(fingerprint)[:200] if isinstance(fingerprint, str) else ""


def chat_reply(document: Mapping[str, Any], max_tokens: int) -> Reply:
    """The reply of a chat. Raises Refused."""
    choice = _choice(document)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise Refused("answered without a message")
    content = message.get("content")
    parts = content if isinstance(content, list) else ["" if content is None else content]
    texts = [_part(part) for part in parts]
    reply = _reply(document, choice, "".join(texts), max_tokens)
    beside = any(message.get(name) for name in _REASONING) or "thinking" in map(_kind, parts)
    return replace(reply, thought=reply.thought or beside or _counts_reasoning(document))


def completion_reply(document: Mapping[str, Any], max_tokens: int) -> Reply:
    """What was written behind a text. Raises Refused."""
    choice = _choice(document)
    return _reply(document, choice, choice.get("text"), max_tokens)


def _choice(document: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, Mapping):
        raise Refused("answered without a message")
    return choice


def _kind(part: object) -> object:
    return part.get("type") if isinstance(part, Mapping) else None


def _part(part: object) -> str:
    """The text in one part of a message's content; thoughts, pictures and the like have none."""
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and isinstance(kind := part.get("type"), str):
        text = part.get("text") if kind in _TEXT_PARTS else ""
        if isinstance(text, str):
            return text
    raise Refused("answered with something else than text")


def _reply(
    document: Mapping[str, Any], choice: Mapping[str, Any], text: object, max_tokens: int
) -> Reply:
    if not isinstance(text, str):
        raise Refused("answered with something else than text")
    if len(text) > _LONGEST_TOKEN * max_tokens + _ALWAYS:
        raise Refused(f"wrote {len(text):,} characters where {max_tokens} tokens were asked for")
    ended_by = str(choice.get("finish_reason")).lower()
    if ended_by == "abort":
        raise Refused("broke off its reply")
    thought = without_thoughts(text) != text.strip()
    sent, back = (_count(document, name) for name in ("prompt_tokens", "completion_tokens"))
    return Reply(
        whole_text(text),
        ended_by in _CUT,
        fingerprint_in(document),
        thought,
        sent,
        back,
        ended_by in _FILTERED,
    )


def _count(document: Mapping[str, Any], name: str) -> int | None:
    """A number of tokens that the server used; None where it gives none that can be."""
    usage = document.get("usage")
    count = usage.get(name) if isinstance(usage, Mapping) else None
    usable = isinstance(count, int) and not isinstance(count, bool) and 0 <= count < _MOST_TOKENS
    return count if usable else None


def _counts_reasoning(document: Mapping[str, Any]) -> bool:
    usage = document.get("usage")
    details = usage.get("completion_tokens_details") if isinstance(usage, Mapping) else None
    return isinstance(details, Mapping) and bool(details.get("reasoning_tokens"))


def token_log_probs(
    document: Mapping[str, Any], texts: Sequence[str], max_tokens: int
) -> list[list[float]]:
    """Each text's own tokens, in the order sent; what the server generated behind them is cut off.

    Raises Refused.
    """
    choices = _in_order(document.get("choices"))
    if len(choices) != len(texts):
        raise Refused(f"gave {len(choices)} answers to {len(texts)} texts")
    listed = [_listed(choice) for choice in choices]
    generated = _generated(document.get("usage"), [len(row) for row in listed], max_tokens)
    for text, choice in zip(texts, choices, strict=True):
        back = choice.get("text")
        if not isinstance(back, str) or len(back.rstrip()) < len(text.rstrip()):
            raise Refused("doesn't echo the text it was given")
        if max_tokens == 0 and len(back) > len(text) + 8:
            raise Refused("writes on where no token was asked for")
    return [[_log_prob(value) for value in row[: len(row) - generated]] for row in listed]


def _in_order(choices: object) -> list[Mapping[str, Any]]:
    """The choices by their index. Raises Refused where they aren't choices."""
    if not isinstance(choices, list) or not all(isinstance(each, Mapping) for each in choices):
        raise Refused(NONE_LISTED)
    if not all(isinstance(each.get("index"), int) for each in choices):
        raise Refused(NONE_LISTED)
    return sorted(choices, key=lambda choice: int(choice["index"]))


def _listed(choice: Mapping[str, Any]) -> list[Any]:
    figures = choice.get("logprobs")
    row = figures.get("token_logprobs") if isinstance(figures, Mapping) else None
    if not isinstance(row, list):
        raise Refused(NONE_LISTED)
    return row


def _log_prob(value: object) -> float:
    """NaN for what is no log-probability: another type, a positive number, one with too many digits."""
    if not isinstance(value, int | float) or isinstance(value, bool) or value > _ROUNDING:
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _generated(usage: object, lengths: Sequence[int], max_tokens: int) -> int:
    """How many tokens at the end of each row aren't the text's own.

    lm-evaluation-harness asks for one and cuts one off; but a server needn't list an end token, which
    its own count of tokens tells.
    """
    if max_tokens == 0 or not isinstance(usage, Mapping):
        return max_tokens
    own, new, listed = usage.get("prompt_tokens"), usage.get("completion_tokens"), sum(lengths)
    if own == listed or new == 0:
        return 0
    if isinstance(own, int) and isinstance(new, int) and own + new == listed and new < len(lengths):
        raise Refused("doesn't say which texts it has written on behind")
    return max_tokens
