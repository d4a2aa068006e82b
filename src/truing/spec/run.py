"""The spec: everything a run depends on, in one frozen object. The only place where a default stands.

Unknown keys, wrong types and impossible values are refused with one message that names the file and the
field. Reading from YAML and profiles are in `reading.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from truing.hints import did_you_mean
from truing.spec.best_of_n import BestOfNSpec
from truing.spec.compute import ComputeSpec
from truing.spec.data import DataSpec
from truing.spec.kinds import refusal
from truing.spec.objective import (
    ChosenObjective,
    ChosenPairObjective,
    PairObjectivePart,
    default_objective,
    default_pair_objective,
)
from truing.spec.part import Part as _Part
from truing.spec.part import merged, worded
from truing.spec.registries import registry
from truing.spec.renamed import up_to_date
from truing.spec.reward import RewardSpec
from truing.spec.task import TaskSpec
from truing.types import Dtype, InputError, stable_hash


def digest_of(data: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of a resolved spec, as a mapping or as its YAML reads.

    Not of where it is computed, which the run's identity names as it turned out.
    """
    what = {key: value for key, value in data.items() if key != "compute"}
    return stable_hash("spec", json.dumps(what, sort_keys=True))[:16]


def _known_method(name: str) -> str:
    if name not in (known := registry("methods")):
        raise ValueError(f"unknown method; {did_you_mean(name, known)}known: {', '.join(known)}")
    return name


MethodName = Annotated[
    str, AfterValidator(_known_method), Field(json_schema_extra={"registry": "methods"})
]


def _completed(data: Mapping[str, Any]) -> dict[str, Any]:
    """With new names for old ones, and with all that a task named in a word means."""
    data, _ = up_to_date(data)
    if not isinstance(data.get("task"), str):
        return dict(data)
    data, of_task = registry("task_readers")["spec"](data)
    return merged(of_task, data)


Correction = Literal["token", "sequence", "none"]
"""How samples of a policy are corrected whose sampler has other numbers than its learner."""


class AdapterSpec(_Part):
    """Which weights are trained: a low-rank adapter (Hu et al., 2022) or all of them."""

    kind: Literal["lora", "full"] = Field(
        "lora", description="a low-rank adapter, or all weights of the model"
    )
    rank: int = Field(16, ge=1, description="rank of the adapter's matrices; unused with 'full'")
    alpha: float = Field(
        32.0, gt=0, description="the adapter's change is scaled by alpha / rank; unused with 'full'"
    )


class SearchSpec(_Part):
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


class PromptSpec(_Part):
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


class SftSpec(_Part):
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


class RlSpec(_Part):
    """Reinforcement learning on text; by default REINFORCE, leave-one-out, with a price on KL."""

    start: Literal["base", "sft"] = Field(
        "base", description="which candidate is trained further: the base or the fine-tuned one"
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


class PreferenceSpec(_Part):
    """Learning from pairs of answers, of which people preferred one (`data.preferences`), or of a true
    and a false answer. The objective's keys may stand here too: {name: ipo, beta: 0.2}."""

    objective: ChosenPairObjective = Field(
        default_factory=default_pair_objective, description="how pairs are learned from"
    )
    adapter: AdapterSpec = Field(AdapterSpec(), description="which weights are trained")
    epochs: int = Field(1, ge=1, description="passes over the pairs")
    steps: int | None = Field(None, ge=1, description="updates, in place of those of the epochs")
    prompts_per_step: int = Field(
        6, ge=1, description="prompts in each update, with all their pairs"
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

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any) -> Any:
        return _objective_apart(data)


class EvaluationSpec(_Part):
    """What is measured on the held-out split."""

    max_new_tokens: int = Field(28, ge=1, description="a free answer's greatest length in tokens")
    attacks: int = Field(
        40, ge=0, description="attacks that are composed, each with its twin and controls beside it"
    )
    rules: int = Field(96, ge=0, description="at most this many cases of rules in contexts")
    kl_questions: int = Field(48, ge=0, description="held-out questions that KL is measured on")
    resamples: int = Field(2000, ge=100, description="bootstrap resamples behind each interval")
    dtype: Dtype = Field(
        "bfloat16",
        description="precision in which candidates are measured; float32 where the processor is slow "
        "in bfloat16",
    )


class JudgeSpec(_Part):
    """Judges of free answers, for `truing train judge`: what they learn from."""

    truth: str | None = Field(
        None, description="JSONL file of answers that people have labelled true or not"
    )
    informative: str | None = Field(
        None, description="JSONL file of answers that people have labelled informative or not"
    )
    dtype: Dtype = Field("float32", description="precision in which the model reads answers")


class Spec(_Part):
    """One run of the main job. Raises InputError naming the first field that is wrong."""

    model: str = Field(
        "smollm2-135m", description="a catalogue name, a Hugging Face id or a local folder"
    )
    task: TaskSpec = Field(default_factory=TaskSpec, description="what the model should do")
    data: DataSpec = Field(DataSpec(), description="the questions and their split")
    methods: tuple[MethodName, ...] = Field(
        ("prompt", "sft", "rl"), description="the methods to try"
    )
    prompt: PromptSpec = Field(PromptSpec(), description="choosing a prompt")
    best_of_n: BestOfNSpec = Field(BestOfNSpec(), description="choosing among answers")
    sft: SftSpec = Field(SftSpec(), description="supervised fine-tuning")
    preference: PreferenceSpec = Field(
        default_factory=PreferenceSpec, description="learning from pairs of answers"
    )
    reward: RewardSpec = Field(RewardSpec(), description="the reward model")
    rl: RlSpec = Field(default_factory=RlSpec, description="reinforcement learning")
    evaluation: EvaluationSpec = Field(EvaluationSpec(), description="what is measured")
    judge: JudgeSpec = Field(JudgeSpec(), description="training judges on people's labels")
    dtype: Dtype = Field(
        "bfloat16",
        description="precision of training (autocast) and sampling; float32 where the processor is "
        "slow in bfloat16",
    )
    seeds: tuple[int, ...] = Field(
        (0,), min_length=1, description="training is done once with each seed"
    )
    compute: ComputeSpec = Field(ComputeSpec(), description="where it is computed")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.methods)) != len(self.methods):
            raise ValueError("methods: each may be named once")
        own = self.task.name != TaskSpec().name or self.task.data.cases is not None
        if own and self.data.questions != DataSpec().questions:
            raise ValueError(
                f"data.questions: belongs to the task truthful; the cases of {self.task.name} are named "
                "under task.data.cases"
            )
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: each may be named once")
        if "rl" in self.methods and self.rl.start == "sft":
            if "sft" not in self.methods:
                raise ValueError("rl.start: 'sft' needs 'sft' among the methods")
            if self.rl.adapter != self.sft.adapter:
                raise ValueError("rl.start: 'sft' needs rl.adapter equal to sft.adapter")
        if any(size < 1 for size in self.sft.curve) or len(set(self.sft.curve)) != len(
            self.sft.curve
        ):
            raise ValueError("sft.curve: numbers of demonstrations, each 1 or more and named once")
        for name, adapter in (("sft", self.sft.adapter), ("rl", self.rl.adapter)):
            full = name in self.methods and adapter.kind == "full"
            if full and self.compute.base_precision == "nf4":
                raise ValueError(
                    "compute.base_precision: nf4 holds weights that aren't trained, and "
                    f"{name}.adapter.kind 'full' trains them all; use 'lora'"
                )
        if self.rl.kl_weight and (self.rl.kl_place, self.rl.kl_estimator) == ("loss", "k1"):
            raise ValueError(
                "rl.kl_estimator: k1 in the loss has an expected gradient of 0 and holds the policy by "
                "nothing; use k2 or k3, or kl_place: reward"
            )
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _refused_in_one_line(
        cls, data: Any, check: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        # Behind the check above, whose mistakes it words too. A file's path is the context.
        try:
            return check(_completed(data) if isinstance(data, Mapping) else data)
        except ValidationError as error:
            raise InputError(worded(error.errors()[0], Spec, info.context or "spec")) from None

    def digest(self) -> str:
        """16 hexadecimal digits, the same for equal specs however they were written."""
        return digest_of(self.model_dump(mode="json"))

    def to_yaml(self) -> str:
        """The resolved spec, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
