"""What all parts of a spec have in common, and how a mistake in one is worded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard, get_args

from pydantic import BaseModel, ConfigDict

from truing.hints import did_you_mean

LEFT_OUT = {
    name: "answers are drawn from the whole distribution, because that is the one that is learned "
    "from; a lower rl.temperature, which both know of, makes unlikely tokens rarer"
    for name in ("rl.top_p", "rl.top_k")
}
"""Keys that one might look for, and why there are none."""
WHOLE_SENTENCE = "whole_sentence"
"""The type of an error whose text needs nothing added but the place."""


class Part(BaseModel):
    """A frozen group of keys; unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def known_keys(cls) -> list[str]:
        """The keys that a spec may have here."""
        return list(cls.model_fields)


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _known_at(part: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Names of the fields of the part that `location` lies in, seen from the outermost."""
    for step in location[:-1]:
        annotation = part.model_fields[step].annotation if step in part.model_fields else None
        kinds = [kind for kind in (annotation, *get_args(annotation)) if _is_model(kind)]
        if not kinds:
            return []
        part = kinds[0]
    return part.known_keys() if issubclass(part, Part) else list(part.model_fields)


def worded(
    error: Any, whole: type[BaseModel], where: str, place: tuple[str | int, ...] = ()
) -> str:
    """One of pydantic's errors about the model `whole`, in one line that names place and mend.

    `place` is where that model stands in something larger.
    """
    location = error["loc"]
    name = ".".join(str(step) for step in (*place, *location)) or "spec"
    if error["type"] == "extra_forbidden":
        if name in LEFT_OUT:
            return f"{where}: {name}: no such key: {LEFT_OUT[name]}"
        known = _known_at(whole, location)
        hint = did_you_mean(location[-1], known).strip() or f"known keys: {', '.join(known)}"
        return f"{where}: {name}: unknown key; {hint}"
    text = error["msg"].removeprefix("Value error, ")
    if name == "spec":
        return f"{where}: {text}"
    given = "" if error["type"] == WHOLE_SENTENCE else f", got {error['input']!r}"
    return f"{where}: {name}: {text}{given}"


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested mappings as one; where both have a value, `over` wins."""
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = merged(below, value) if both else value  # type: ignore[arg-type]
    return result
