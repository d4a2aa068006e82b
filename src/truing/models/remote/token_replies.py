"""Tokens in the JSON of completions, as vLLM gives them: their numbers and log-probabilities.

`return_token_ids` puts numbers into each choice; older servers write them as `token_id:N` in the place of
the tokens' texts (`return_tokens_as_token_ids`). Both are asked for, and either will do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.models.remote.client import Refused

NO_NUMBERS = "gives no token ids (return_token_ids); vLLM 0.10.2 or newer gives them"
LOGITS = (
    "gives numbers above 0 for log-probabilities; start it with --logprobs-mode processed_logprobs"
)
_AS_NUMBER = re.compile(r"token_id:(\d{1,9})")
_ROUNDING = 0.01  # nats by which a log-probability in 16 bits may exceed 0
_ENDED = ("stop", "length")


@dataclass(frozen=True)
class Drawn:
    """A continuation: its tokens, the log-probability of each (nats), and whether the server ended it
    before its length limit."""

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    stopped: bool


def continuations(document: Mapping[str, Any], count: int, longest: int) -> list[Drawn]:
    """The continuations of one prompt by their index. Raises Refused where they aren't `count`, are
    longer than `longest` tokens, or lack a number."""
    choices = document.get("choices")
    if not isinstance(choices, list) or not all(isinstance(each, Mapping) for each in choices):
        raise Refused("answered without choices")
    indices = [each.get("index") for each in choices]
    if sorted(map(str, indices)) != sorted(map(str, range(count))):
        raise Refused(f"gave {len(choices)} continuations of a prompt where {count} were asked for")
    drawn = [_drawn(each) for each in sorted(choices, key=lambda each: int(each["index"]))]
    if any(not 0 < len(each.tokens) <= longest for each in drawn):
        raise Refused(f"wrote none or more than the {longest} tokens that were asked for")
    return drawn


def _drawn(choice: Mapping[str, Any]) -> Drawn:
    if choice.get("finish_reason") not in _ENDED:
        raise Refused(f"broke off (finish_reason {choice.get('finish_reason')!r})")
    tokens, log_probs = _numbers(choice), _log_probs(choice)
    if len(tokens) != len(log_probs):
        raise Refused(f"lists {len(log_probs)} log-probabilities of {len(tokens)} tokens")
    if None in log_probs:
        raise Refused("lists tokens without a log-probability")
    known = tuple(value for value in log_probs if value is not None)
    return Drawn(tuple(tokens), known, choice["finish_reason"] == "stop")


def echoed(document: Mapping[str, Any], prompt: Sequence[int]) -> list[float]:
    """Log-probabilities (nats) of a prompt's tokens but the first, whose echo was asked for. Raises
    Refused."""
    choices = document.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], Mapping):
        raise Refused("answered without a choice")
    given = _log_probs(choices[0])[1 : len(prompt)]
    if len(given) < len(prompt) - 1 or None in given:
        raise Refused("lists no log-probabilities of the tokens it was given (echo)")
    return [value for value in given if value is not None]


def prompt_tokens(document: Mapping[str, Any]) -> list[int]:
    """What the server made of a text. Raises Refused."""
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    tokens = _numbers_in(choice.get("prompt_token_ids")) if isinstance(choice, Mapping) else None
    if tokens is None:
        raise Refused(NO_NUMBERS)
    return tokens


def _numbers(choice: Mapping[str, Any]) -> list[int]:
    tokens = _numbers_in(choice.get("token_ids"))
    if tokens is not None:
        return tokens
    figures = choice.get("logprobs")
    texts = figures.get("tokens") if isinstance(figures, Mapping) else None
    if not isinstance(texts, list):
        raise Refused(NO_NUMBERS)
    found = [_AS_NUMBER.fullmatch(text) for text in texts if isinstance(text, str)]
    if len(found) < len(texts) or not all(found):
        raise Refused(NO_NUMBERS)
    return [int(match[1]) for match in found if match]


def _numbers_in(tokens: object) -> list[int] | None:
    """Token ids; None where they aren't."""
    whole = isinstance(tokens, list) and all(
        isinstance(each, int) and not isinstance(each, bool) and 0 <= each < 2**31
        for each in tokens
    )
    return list(tokens) if whole and isinstance(tokens, list) else None


def _log_probs(choice: Mapping[str, Any]) -> list[float | None]:
    """None for what is none. Raises Refused where there is no list of them, or they are logits."""
    figures = choice.get("logprobs")
    row = figures.get("token_logprobs") if isinstance(figures, Mapping) else None
    if not isinstance(row, list):
        raise Refused("lists no log-probabilities (logprobs)")
    known = [_log_prob(value) for value in row]
    if any(value is not None and value > _ROUNDING for value in known):
        raise Refused(LOGITS)
    return known


def _log_prob(value: object) -> float | None:
    """As a float of at most 0; what rounding puts above it too."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    if not math.isfinite(number):
        return None
    return min(number, 0.0) if number <= _ROUNDING else number
