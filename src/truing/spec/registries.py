"""Names that a spec may use for things of rooms above this one: looked up when they are needed.

A spec names an objective, and which there are stands once, in a visible dict where the objectives are. This
room is at the bottom of the house and may not import that one; so the dict is fetched by its place when
a spec is checked, never when this module is imported. Who adds a line to the dict has told the spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

REGISTRIES = {
    "evaluations": "truing.evaluate:EVALUATIONS",
    "task_readers": "truing.tasks.reading:READERS",
    "objectives": "truing.learn.objectives:OBJECTIVES",
    "methods": "truing.methods:METHODS",
}
"""Where each visible dict stands, as module:name."""


def registry(what: str) -> Mapping[str, Any]:
    """The visible dict of things of this sort, by name."""
    module, _, name = REGISTRIES[what].partition(":")
    things: Mapping[str, Any] = getattr(import_module(module), name)
    return things
