"""What all parts of a spec have in common, and how a mistake in one is worded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict

from truing.types import did_you_mean

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


def _bare(kind: Any) -> Any:
    """A type without what is said about it, and without None beside it."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif len(others := _choices(kind)) == 1:
            kind = others[0]
        else:
            return kind


def _choices(kind: Any) -> list[Any]:
    """What a union may be beside None."""
    if get_origin(kind) not in (Union, UnionType):
        return []
    return [each for each in get_args(kind) if each is not NoneType]


def _inside(kind: Any, step: Any) -> Any:
    """The type of what lies at a key or a place in a value of this type; None where it can't be told."""
    if _is_model(kind):
        return kind.model_fields[step].annotation if step in kind.model_fields else None
    inner = [each for each in get_args(kind) if each is not Ellipsis]
    if get_origin(kind) is tuple and isinstance(step, int):
        return inner[min(step, len(inner) - 1)]
    return inner[-1] if inner else None


def _walked(part: type[BaseModel], location: Sequence[Any]) -> tuple[list[Any], Any]:
    """The keys and places of pydantic's `location`, without its names of a union's choices, and the type
    of what lies there."""
    steps, kind = [], _bare(part)
    for step in location:
        if choices := _choices(kind):
            nested = [each for each in choices if get_args(each) or _is_model(each)]
            kind = _bare(nested[0]) if nested else None
        else:
            steps.append(step)
            kind = _bare(_inside(kind, step))
    return steps, kind


def _known_in(kind: Any) -> list[str]:
    """The keys that a value of this type may have."""
    if not _is_model(kind):
        return []
    return kind.known_keys() if issubclass(kind, Part) else list(kind.model_fields)


SHOWN = 200
"""Characters of what was given that a message shows."""
_BELONGS = {
    "dict_type": "should be a mapping of names to values",
    "model_type": "should be a mapping of names to values",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "string_type": "should be a text; put a number, yes or no in quotes",
}
"""What would be right, by the type of pydantic's error, where its own words are of a program's types."""


def worded(
    error: Any, whole: type[BaseModel], where: str, place: tuple[str | int, ...] = ()
) -> str:
    """One of pydantic's errors about the model `whole`, in one line that names place and mend.

    `place` is where that model stands in something larger.
    """
    location, _ = _walked(whole, error["loc"])
    name = ".".join(str(step) for step in (*place, *location)) or "spec"
    if error["type"] == "extra_forbidden":
        if name in LEFT_OUT:
            return f"{where}: {name}: no such key: {LEFT_OUT[name]}"
        known = _known_in(_walked(whole, error["loc"][:-1])[1])
        hint = did_you_mean(location[-1], known).strip() or f"known keys: {', '.join(known)}"
        return f"{where}: {name}: unknown key; {hint}"
    said = error["msg"].removeprefix("Value error, ").replace("Tuple should", "List should")
    said = said.replace("Dictionary should", "Mapping should")
    text = _BELONGS.get(error["type"], said.replace(" after validation", ""))
    if name == "spec":
        return f"{where}: {text}"
    shown = repr(error["input"])
    cut = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
    given = "" if error["type"] == WHOLE_SENTENCE else f", got {cut}"
    return f"{where}: {name}: {text}{given}"


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested mappings as one; where both have a value, `over` wins."""
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = merged(below, value) if both else value  # type: ignore[arg-type]
    return result
