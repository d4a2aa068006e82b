"""Names in a spec that have changed: the old ones are read, and one line says the new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truing.types import InputError

RENAMED = {
    "approaches": "methods",
    "rl.objective.name: best_of_n": "rl.objective.name: rejection_sampling",
}
"""Old and new, as `key` or `key: value`; a nested key has a dot for each level."""


def up_to_date(
    data: Mapping[str, Any], renamed: Mapping[str, str] = RENAMED
) -> tuple[dict[str, Any], list[str]]:
    """The mapping with new names in place of old ones, and a line for each, to be shown once."""
    result = _copied(data)
    notes = [_rename(result, old, new) for old, new in renamed.items()]
    notes += [_probe_of(result, place) for place in ("reward", "task.reward")]
    return result, [note for note in notes if note]


def _probe_of(data: dict[str, Any], place: str) -> str:
    """Calls a reward_model that comes from no folder by its new name; see `_rename`.

    Raises InputError where judgements are named, of which a reward model could have been meant.
    """
    holder = _holder(data, f"{place}.parts")
    parts = holder.get("parts") if holder else None
    if holder is None or not isinstance(parts, list | tuple):
        return ""
    old = [number for number, part in enumerate(parts) if _is_old_probe(part)]
    if not old:
        return ""
    where = f"{place}.parts.{old[0]}"
    if data.get("reward_model"):
        raise InputError(
            f"{where}: reward_model: learns from reward_model.judgements in 'truing train reward'; name "
            "the folder that it leaves as `from`, or truth_probe for the probes of before"
        )
    holder["parts"] = [
        {**part, "name": "truth_probe"} if number in old else part
        for number, part in enumerate(parts)
    ]
    return f"{where}: reward_model without a folder (`from`) is called truth_probe now"


def _is_old_probe(part: Any) -> bool:
    named = isinstance(part, Mapping) and part.get("name") == "reward_model"
    return named and "from" not in part


def _copied(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _copied(value) if isinstance(value, Mapping) else value for key, value in data.items()
    }


def _holder(data: dict[str, Any], key: str, *, make: bool = False) -> dict[str, Any] | None:
    """The innermost mapping that a dotted key lies in, if there is one or it can be made."""
    holder = data
    for name in key.split(".")[:-1]:
        inner = holder.setdefault(name, {}) if make else holder.get(name)
        if not isinstance(inner, dict):
            return None
        holder = inner
    return holder


def _rename(data: dict[str, Any], old: str, new: str) -> str:
    """Changes `data`; returns what to say, nothing where the old name isn't used."""
    key, _, value = old.partition(": ")
    last = key.split(".")[-1]
    holder = _holder(data, key)
    if holder is None or last not in holder:
        return ""
    if value:
        return _renamed_value(holder, key, value, new.partition(": ")[2])
    target, name = _holder(data, new, make=True), new.split(".")[-1]
    if target is None:
        return ""  # a mistake, which the check of the whole names
    if name in target:
        raise InputError(f"{key}: is called {new} now, and both are there; leave {key} out")
    target[name] = holder.pop(last)
    return f"{key} is called {new} now"


def _renamed_value(holder: dict[str, Any], key: str, value: str, new: str) -> str:
    last = key.split(".")[-1]
    if holder[last] != value:
        return ""
    holder[last] = new
    return f"{key}: {value} is called {new} now"
