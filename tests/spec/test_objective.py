"""An objective in a spec: read, refused and written by the class that it is."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
import yaml
from pydantic import Field
from torch import Tensor

from truing.cli.commands_page import commands_page
from truing.learn import OBJECTIVES, Grpo, Reinforce, RejectionSampling
from truing.learn.from_spec import described, objective_of
from truing.learn.objectives.baselines import BASELINES, MovingAverage
from truing.learn.objectives.kl import KL
from truing.learn.objectives.objective import Sampled
from truing.policies.trajectories import Trajectories
from truing.spec.kinds import default_of
from truing.spec.objective import ObjectivePart
from truing.spec.reading import make_spec
from truing.spec.run import RlSpec, Spec
from truing.types import InputError
from worlds import slippery_grid

OLD = {
    "name": "grpo", "baseline": "leave_one_out", "constant": 0.0, "rate": 0.1, "ridge": 0.1,
    "to_go": False, "discount": 1.0, "gae_lambda": 1.0, "clip": 0.3, "temperature": 1.0,
    "entropy_weight": 0.0, "epochs": 2, "minibatches": 1, "max_update_kl": None,
}  # fmt: skip
"""An objective as resolved specs once had it: every key that any objective has."""


def read(**objective: Any) -> ObjectivePart:
    return make_spec({"rl": {"objective": objective}}).rl.objective


def test_a_spec_that_was_written_with_every_key_reads() -> None:
    assert read(**OLD) == Grpo(clip=0.3, epochs=2)
    assert read(**{**OLD, "name": "best_of_n", "clip": 0.2, "epochs": 1}) == RejectionSampling()
    moving = {**OLD, "name": "reinforce", "baseline": "moving_average", "clip": 0.2, "epochs": 1}
    assert read(**moving) == Reinforce(baseline=MovingAverage())


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ({"epochs": 2}, "epochs: reinforce has no use for it; leave it out (used by grpo and dr"),
        ({"name": "grpo", "baseline": "none"}, "baseline: grpo has no use for it"),
        ({"rate": 0.5}, "rate: belongs to the baseline 'moving_average' or 'value'; set baseline"),
        ({"name": "ppo", "gae_lambda": 0.9}, "gae_lambda: below 1 it mixes in values"),
        ({"name": "rloo"}, "name: must be one of 'reinforce', 'grpo'"),
        ({"name": "supervised"}, "name: must be one of"),
        ({"baseline": "mean"}, "baseline: must be one of 'none', 'constant'"),
        ({"name": "grpo", "clip": 1.5}, "clip: Input should be less than 1, got 1.5"),
        ({"baseline": "value", "ridge": -1}, "ridge: Input should be greater than or equal to 0"),
        ({"klip": 0.1}, "klip: unknown key; did you mean 'clip'?"),
        ({"kl": {"weight": 1.0}}, "kl: unknown key; known keys: name, "),
        ({"baseline": "value", "values": 3}, "values: unknown key"),
    ],
)
def test_mistakes_are_named_by_their_key(objective: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(**objective)
    assert str(caught.value).startswith(f"spec: rl.objective.{message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["grpo", None, 3])
def test_an_objective_is_a_mapping(wrong: object) -> None:
    with pytest.raises(
        InputError, match=r"rl\.objective: must be a mapping such as \{name: grpo\}"
    ):
        make_spec({"rl": {"objective": wrong}})


def test_a_mistake_in_a_call_is_named_too() -> None:
    with pytest.raises(InputError, match="Grpo: clip: Input should be less than 1, got 2"):
        Grpo(clip=2)
    with pytest.raises(InputError, match="Grpo: to_go: unknown key; known keys: name, entropy"):
        Grpo(to_go=True)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ObjectivePart.kinds())
@pytest.mark.parametrize("baseline", BASELINES)
def test_what_is_written_reads_the_same(name: str, baseline: str) -> None:
    compared = "baseline" in OBJECTIVES[name].spec_keys()
    spec = make_spec(
        {"rl": {"objective": {"name": name} | ({"baseline": baseline} if compared else {})}}
    )
    again = make_spec(yaml.safe_load(spec.to_yaml()), profile=None)
    assert again == spec and again.digest() == spec.digest()
    assert RlSpec(objective=spec.rl.objective) == RlSpec.model_validate(spec.rl.model_dump())


def test_every_objective_and_key_says_what_it_is() -> None:
    for kinds in (OBJECTIVES, BASELINES):
        for name, kind in kinds.items():
            assert default_of(kind.model_fields["name"]) == name
            assert all(field.description for field in kind.spec_keys().values())
    for name in ObjectivePart.kinds():
        assert described(make_spec({"rl": {"objective": {"name": name}}}).rl)


def test_words_for_the_model_card() -> None:
    rl = make_spec({"rl": {"objective": {"baseline": "value"}}}).rl
    assert described(rl) == (
        "REINFORCE with a learned value as baseline, with a KL penalty to the base in the reward"
    )
    best = {"objective": {"name": "rejection_sampling"}, "kl_weight": 0.0, "samples_per_prompt": 4}
    assert described(make_spec({"rl": best}).rl) == "rejection sampling, the best of 4"


def test_what_a_spec_holds_never_learns() -> None:
    rl = make_spec({"rl": {"objective": {"baseline": "moving_average"}}}).rl
    first = objective_of(rl)
    assert isinstance(first, Reinforce) and first.kl == KL(0.1)
    world = slippery_grid()
    first.learn(world.draw(4, 4, 0, world.logits))
    assert float(first.state()["weight"]) == pytest.approx(0.1)
    assert all(float(value) == 0 for value in objective_of(rl).state().values())


# --- One file and one line --------------------------------------------------------------------


class _Signs(Sampled):
    """As it would stand in a file of its own."""

    name: Literal["signs"] = "signs"
    margin: float = Field(0.0, ge=0, description="smaller returns count as none")

    def described(self, samples_per_prompt: int) -> str:
        return "signs"

    def credit(self, trajectories: Trajectories) -> Tensor:
        return self.rewards(trajectories).sum(1, keepdim=True).sign() * trajectories.mask_BT


def test_an_objective_is_a_class_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"rl\.objective\.name"):
        read(name="signs")
    monkeypatch.setitem(OBJECTIVES, "signs", _Signs)
    spec = make_spec({"rl": {"objective": {"name": "signs", "margin": 0.5}, "kl_weight": 0.0}})
    assert Spec(**yaml.safe_load(spec.to_yaml())) == spec
    assert described(spec.rl) == "signs"
    batch = slippery_grid().draw(4, 4, 0, slippery_grid().logits)
    assert torch.equal(objective_of(spec.rl).credit(batch), _Signs().credit(batch))
    assert "| `rl.objective.margin` | `0.0` | number ≥ 0 | smaller returns" in commands_page()
    with pytest.raises(InputError, match=r"margin: grpo has no use for it; .* \(used by signs\)"):
        read(name="grpo", margin=0.5)
    with pytest.raises(InputError, match="clip: signs has no use for it"):
        read(name="signs", clip=0.1)
