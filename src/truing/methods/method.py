"""What every method is: a way to make candidates from the base and the task's training side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from truing.methods.graders import Graders
from truing.methods.setup import Setup
from truing.runs.run import Run
from truing.spec.run import Spec


def _no_objection(setup: Setup) -> None:
    pass


@dataclass(frozen=True)
class Method:
    """One way. `title` is its line in help and docs, `describe` its sentence on a model card.

    `make` leaves a candidate of its name in the run for one seed, in a stage of that name (with
    `-seedN`, where it needs seeds) that is skipped where it is done. `check` raises InputError, before
    any time is spent, where the spec's settings of it are wrong.
    """

    name: str
    title: str
    describe: Callable[[Setup], str]
    make: Callable[[Run, Setup, Graders, int], None]
    check: Callable[[Setup], None] = _no_objection
    check_texts: Callable[[Setup], None] = _no_objection
    """Raises InputError where there is nothing to learn from, once texts are tokens and before a new
    folder is begun."""
    needs_seeds: bool = True
    """Whether there is a candidate for each seed; of the others, one for the first."""
    trained_on_reward: bool = False
    """Whether its answers follow the reward, which then can't be what they are measured by."""
    trained_on_demonstrations: bool = False
    """Whether `data.demonstrations` are for it."""
    trained_on_preferences: bool = False
    """Whether `data.preferences` are for it."""
    logged_keys: Mapping[str, str] = field(default_factory=dict)
    """Figures in its log that are shown, with their names on the screen."""

    def stages(self, spec: Spec) -> list[str]:
        """The stages of a comparison in which `make` does its work."""
        seeded = [f"{self.name}-seed{seed}" for seed in spec.seeds]
        return seeded if self.needs_seeds else [self.name]

    def to_json(self) -> dict[str, Any]:
        """What a run's record says of it, for the report."""
        return {
            "title": self.title,
            "needs_seeds": self.needs_seeds,
            "trained_on_reward": self.trained_on_reward,
        }
