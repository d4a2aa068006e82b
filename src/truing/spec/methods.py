"""The spec's parts about methods: how each makes its candidate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from truing.spec.contrast import ContrastSpec, RemindSpec, is_none
from truing.spec.kinds import refusal
from truing.spec.objective import (
    ChosenObjective,
    ChosenPairObjective,
    PairObjectivePart,
    default_objective,
    default_pair_objective,
)
from truing.spec.part import Part
from truing.spec.registries import registry
from truing.types import did_you_mean


def is_nothing(value: int) -> bool:
    """Whether a number is 0."""
    return value == 0


def _known_method(name: str) -> str:
    if name not in (known := registry("methods")):
        raise ValueError(f"unknown method; {did_you_mean(name, known)}known: {', '.join(known)}")
    return name


MethodName = Annotated[
    str, AfterValidator(_known_method), Field(json_schema_extra={"registry": "methods"})
]


Correction = Literal["token", "sequence", "none"]
"""How samples of a policy are corrected whose sampler has other numbers than its learner."""


class AdapterSpec(Part):
    """Which weights are trained: a low-rank adapter (Hu et al., 2022) or all of them."""

    kind: Literal["lora", "full"] = Field(
        "lora", description="a low-rank adapter, or all weights of the model"
    )
    rank: int = Field(16, ge=1, description="rank of the adapter's matrices; unused with 'full'")
    alpha: float = Field(
        32.0, gt=0, description="the adapter's change is scaled by alpha / rank; unused with 'full'"
    )


class SearchSpec(Part):
    """Proposing prompts and racing them, generation after generation (`truing train prompt`)."""

    in_align: bool = Field(
        False, description="whether `truing align` searches too, which takes longer"
    )
    budget: int = Field(
        3000, ge=1, description="training questions scored in all, over all prompts"
    )
    generations: int = Field(3, ge=1, description="times that new prompts are proposed")
    proposals: int = Field(16, ge=0, description="new prompts in each generation, at most")
    propose: tuple[Literal["slots", "paraphrases", "examples", "model"], ...] = Field(
        ("slots", "paraphrases", "examples", "model"), description="where new prompts come from"
    )
    proposer: str = Field(
        "self",
        description="the model that rewrites instructions: 'self', or endpoint:URL#MODEL, which "
        "instructions are then sent to",
    )
    temperature: float = Field(0.7, ge=0, description="at which it writes")


class PromptSpec(Part):
    """Choosing among instructions and few-shot sets on the training split."""

    instructions: tuple[str, ...] = Field(
        (), description="instructions to try beside the built-in ones"
    )
    built_in: int = Field(10, ge=0, description="built-in instructions to try")
    shots: tuple[int, ...] = Field((0, 4), description="sizes of few-shot sets to try")
    questions: int = Field(
        24, ge=1, description="training questions that the last round is judged on"
    )
    search: SearchSpec = Field(SearchSpec(), description="proposing prompts as well")
    remind: RemindSpec | None = Field(
        None, exclude_if=is_none, description="tell the rules, in place of choosing a prompt"
    )


class SftSpec(Part):
    """Supervised fine-tuning on demonstrations: of the store or a file, or (question, true answer)."""

    adapter: AdapterSpec = Field(AdapterSpec(), description="which weights are trained")
    epochs: int = Field(1, ge=1, description="passes over the demonstrations")
    batch_size: int = Field(16, ge=1, description="demonstrations per update")
    min_steps: int = Field(
        1, ge=1, description="at least so many updates, by more passes over few demonstrations"
    )
    held_out: float = Field(
        0.1, gt=0, lt=1, description="share of data.demonstrations held out, for the held-out loss"
    )
    max_tokens: int = Field(
        1024, ge=1, description="longer data.demonstrations, prompt and answer, are left out"
    )
    curve: tuple[int, ...] = Field(
        (),
        description="for `truing train sft`: train on so many demonstrations each, and draw the "
        "learning curve",
    )
    learning_rate: float = Field(6e-4, gt=0, description="highest learning rate (AdamW)")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the updates with rising rate")
    max_grad_norm: float = Field(1.0, gt=0, description="longer gradients are scaled down to this")
    distillation: float | None = Field(
        None,
        ge=0,
        lt=1,
        exclude_if=is_none,
        description="share of a demonstration's loss that is KL from the base, over the whole vocabulary "
        "at each of its tokens, in place of their likelihood: the more, the nearer to the base",
    )
    contrast: ContrastSpec | None = Field(
        None,
        exclude_if=is_none,
        description="learn from attacks and their twins, in place of demonstrations",
    )

    @model_validator(mode="after")
    def _one_distillation(self) -> SftSpec:
        if self.distillation and self.contrast is not None:
            raise refusal(
                "distillation",
                self.distillation,
                "has no use beside contrast; set contrast.kl_weight",
            )
        return self


class RlSpec(Part):
    """Reinforcement learning on text; by default REINFORCE, leave-one-out, with a price on KL."""

    start: Literal["base", "sft", "preference"] | None = Field(
        None,
        description="which candidate is trained further: the base, or that of a method; a method that "
        "isn't among the run's is trained for it, at its cost. Without it: preference where that is among "
        "the methods and has the same adapter, else the base",
    )
    adapter: AdapterSpec = Field(AdapterSpec(), description="which weights are trained")
    objective: ChosenObjective = Field(
        default_factory=default_objective, description="how the policy learns"
    )
    steps: int = Field(10, ge=1, description="updates, at most")
    prompts_per_step: int = Field(6, ge=1, description="questions answered for each update")
    samples_per_prompt: int = Field(
        6, ge=1, description="answers to each question; objectives that compare them need 2"
    )
    max_new_tokens: int = Field(28, ge=1, description="an answer's greatest length in tokens")
    temperature: float = Field(1.0, gt=0, description="at which answers are sampled")
    kl_weight: float = Field(0.1, ge=0, description="price of a nat of KL, in units of reward")
    kl_estimator: Literal["k1", "k2", "k3"] = Field(
        "k1", description="how KL is estimated from a token's probabilities"
    )
    kl_place: Literal["reward", "loss"] = Field(
        "reward", description="where KL is paid; in the loss, k2 or k3"
    )
    correction: Correction = Field(
        "token",
        description="where answers are sampled with other numbers than are learned with (bfloat16): "
        "losses times the ratio of a token's probabilities, at most 2, or of an answer's, masked out "
        "above 3; float32 needs none",
    )
    staleness: int = Field(
        0,
        ge=0,
        exclude_if=is_nothing,
        description="with servers or workers that sample (compute.sampler): answers may be of the policy "
        "of so many updates ago, and are drawn while it learns; older ones are left out",
    )
    max_kl: float = Field(12.0, gt=0, description="stop above this KL per answer (nats)")
    plateau: int | None = Field(
        None, ge=1, description="stop where the reward has not risen for this many steps"
    )
    learning_rate: float = Field(4e-4, gt=0, description="learning rate (AdamW)")
    max_grad_norm: float = Field(1.0, gt=0, description="longer gradients are scaled down to this")
    evaluate_every: int = Field(
        5, ge=1, description="steps between looks by the judges and between answers shown"
    )
    monitored: int = Field(40, ge=1, description="training questions that the judges look at")
    contrast: ContrastSpec | None = Field(
        None,
        exclude_if=is_none,
        description="answer attacks and their twins, rewarded by the program rule_kept",
    )


def _objective_apart(data: Any) -> Any:
    """With the objective's keys, where they stand beside the section's own, under `objective`."""
    if not isinstance(data, Mapping):
        return data
    kinds = PairObjectivePart.kinds().values()
    names = {"name", *(key for kind in kinds for key in kind.spec_keys())}
    keys = {key: value for key, value in data.items() if key in names}
    if not keys:
        return data
    if "objective" in data:
        key = next(iter(keys))
        raise refusal(key, keys[key], "stands beside 'objective'; put it inside")
    rest = {key: value for key, value in data.items() if key not in names}
    return {**rest, "objective": keys}


class PreferenceSpec(Part):
    """Learning from pairs of answers, of which people preferred one (`data.preferences`), or of a true
    and a false answer. The objective's keys may stand here too: {name: ipo, beta: 0.2}."""

    objective: ChosenPairObjective = Field(
        default_factory=default_pair_objective, description="how pairs are learned from"
    )
    adapter: AdapterSpec = Field(AdapterSpec(), description="which weights are trained")
    epochs: int = Field(1, ge=1, description="passes over the pairs")
    steps: int | None = Field(None, ge=1, description="updates, in place of those of the epochs")
    prompts_per_step: int = Field(
        4, ge=1, description="prompts in each update, with all their pairs"
    )
    max_pairs: int | None = Field(
        None, ge=1, description="at most this many pairs of a prompt, drawn by the seed"
    )
    max_tokens: int = Field(
        1024, ge=1, description="pairs with a longer answer, prompt included, are left out"
    )
    held_out: float = Field(
        0.1, gt=0, lt=1, description="share of data.preferences held out, by prompt"
    )
    learning_rate: float = Field(4e-4, gt=0, description="highest learning rate (AdamW)")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the updates with rising rate")
    max_grad_norm: float = Field(1.0, gt=0, description="longer gradients are scaled down to this")
    contrast: ContrastSpec | None = Field(
        None,
        exclude_if=is_none,
        description="learn from attacks and their twins, each right answer over the wrong one",
    )

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any) -> Any:
        return _objective_apart(data)
