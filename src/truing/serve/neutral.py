"""OpenAI's fields that aren't done here: taken at the values that ask for nothing, refused at others.

Clients send such fields of themselves (an answer sent back has `"refusal": null`, a library has
`tools: []`), and nobody is served other than asked where they ask for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Neutral = Mapping[str, tuple[Any, ...]]
"""By field the values beside null that ask for nothing."""

OF_DRAWING: Neutral = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
}
OF_CHAT: Neutral = {
    **OF_DRAWING,
    "audio": (),
    "function_call": ("none", "auto"),  # of no functions at all
    "functions": ([],),
    "logprobs": (False,),
    "modalities": (["text"],),
    "moderation": (),
    "parallel_tool_calls": (True, False),
    "prediction": (),
    "prompt_cache_key": (),
    "prompt_cache_options": ({},),
    "prompt_cache_retention": ("in_memory",),
    "reasoning_effort": ("none",),
    "response_format": ({"type": "text"},),
    "safety_identifier": (),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
}
OF_COMPLETIONS: Neutral = {
    **OF_DRAWING,
    "best_of": (1,),
    "n": (1,),
    "stream": (False,),
    "stream_options": ({},),
    "suffix": ("",),
    "user": ("",),
}
OF_MESSAGES: Neutral = {
    "annotations": ([],),
    "audio": (),
    "function_call": (),
    "refusal": (),
    "tool_calls": ([],),
}
OF_TEXT: Neutral = {"prompt_cache_breakpoint": ()}
OF_STREAMS: Neutral = {"include_obfuscation": (False,)}


def asks_for_nothing(value: Any, neutral: tuple[Any, ...]) -> bool:
    """Whether a field's value is null or one of the neutral ones; an object's zeros count as absent."""
    if isinstance(value, dict):
        value = {name: part for name, part in value.items() if not _is(part, 0)}
    return value is None or any(_is(value, each) for each in neutral)


def _is(value: Any, other: Any) -> bool:
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)
