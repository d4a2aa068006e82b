"""The spec's part about objectives. Which there are, and the keys of each, stands where they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny

from truing.spec.kinds import IN_SPEC, KindPart, chosen, own_keys
from truing.spec.registries import registry
from truing.types import InputError

DEFAULT_OBJECTIVE = "reinforce"
DEFAULT_PREFERENCE = "dpo"


class ObjectivePart(KindPart):
    """The keys of an objective, and its words for people; `learn.objectives.Objective` is the rest.

    `learns_from`: what its trajectories are; `rl.objective` takes those of the policy's own samples.
    """

    learns_from: ClassVar[Literal["samples", "demonstrations", "pairs"]] = "samples"

    name: str = Field(description="the objective")

    @classmethod
    def kinds(cls) -> Mapping[str, type[ObjectivePart]]:
        """See KindPart: those that `rl.objective` may name."""
        return _learning_from("samples")

    @property
    def smallest_group(self) -> int:
        """The least number of trajectories that must share a start; fewer have no gradient."""
        return 1

    def described(self, samples_per_prompt: int) -> str:
        """The objective in a few words, for model cards."""
        raise NotImplementedError

    def require_group(self, samples: int) -> None:
        """Raises InputError where `samples` trajectories for each start are too few."""
        if samples < self.smallest_group:
            raise InputError(
                f"samples_per_prompt: {type(self).__name__} compares the samples of a prompt and "
                f"needs at least {self.smallest_group}, got {samples}"
            )


class PairObjectivePart(ObjectivePart):
    """The keys of an objective that learns from pairs of answers."""

    learns_from = "pairs"

    @classmethod
    def kinds(cls) -> Mapping[str, type[ObjectivePart]]:
        """See KindPart: those that `preference.objective` may name."""
        return _learning_from("pairs")


def _learning_from(what: str) -> dict[str, type[ObjectivePart]]:
    every: Mapping[str, type[ObjectivePart]] = registry("objectives")
    return {name: kind for name, kind in every.items() if kind.learns_from == what}


def read_objective(data: Any) -> Any:
    """The objective that a mapping in `rl` means; an objective as it is."""
    return _read(data, ObjectivePart.kinds(), DEFAULT_OBJECTIVE, "grpo")


def read_pair_objective(data: Any) -> Any:
    """The objective that a mapping in `preference` means; an objective as it is."""
    return _read(data, PairObjectivePart.kinds(), DEFAULT_PREFERENCE, DEFAULT_PREFERENCE)


def _read(data: Any, kinds: Mapping[str, type[ObjectivePart]], usual: str, example: str) -> Any:
    if isinstance(data, ObjectivePart):
        return data
    if not isinstance(data, Mapping):
        raise ValueError(f"must be a mapping such as {{name: {example}}}")
    name = data.get("name", usual)
    kind = chosen(kinds, name)

    def why_not(key: str, users: list[str]) -> str:
        return f"{name} has no use for it; leave it out (used by {' and '.join(users)})"

    keys = {key: value for key, value in data.items() if key != "name"}
    return kind.model_validate(own_keys(keys, kind, kinds, why_not), context=IN_SPEC)


def default_objective() -> ObjectivePart:
    """What is learned by where a spec doesn't say."""
    objective: ObjectivePart = read_objective({})
    return objective


def default_pair_objective() -> PairObjectivePart:
    """What is learned by from pairs where a spec doesn't say."""
    objective: PairObjectivePart = read_pair_objective({})
    return objective


ChosenObjective = Annotated[ObjectivePart, BeforeValidator(read_objective), SerializeAsAny()]
"""A field that holds any objective: a mapping with its name and keys, or the object."""
ChosenPairObjective = Annotated[
    PairObjectivePart, BeforeValidator(read_pair_objective), SerializeAsAny()
]
"""The same for an objective that learns from pairs."""
