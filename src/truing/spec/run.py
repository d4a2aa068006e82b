"""The spec: everything a run depends on, in one frozen object. The only place where a default stands.

Unknown keys, wrong types and impossible values are refused with one message that names the file and the
field. Reading from YAML and profiles are in `reading.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

import yaml
from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from truing.spec.best_of_n import BestOfNSpec
from truing.spec.compute import ComputeSpec
from truing.spec.contrast import is_none
from truing.spec.data import DataSpec
from truing.spec.defences import DefenceSpec, is_empty
from truing.spec.methods import (
    AdapterSpec,
    Correction,
    MethodName,
    PreferenceSpec,
    PromptSpec,
    RlSpec,
    SearchSpec,
    SftSpec,
)
from truing.spec.part import Part as _Part
from truing.spec.part import merged, worded
from truing.spec.registries import registry
from truing.spec.renamed import up_to_date
from truing.spec.reward import RewardSpec
from truing.spec.reward_model import RewardModelSpec
from truing.spec.rubric import AskedEndpoint, Rubric
from truing.spec.task import TaskSpec
from truing.spec.tracking import TrackingSpec
from truing.types import Dtype, InputError, stable_hash

BASE_START = "base"
"""What `rl.start` says where training begins from the base."""


def digest_of(data: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of a resolved spec, as a mapping or as its YAML reads.

    Not of where it is computed, which the run's identity names as it turned out, nor of who is shown it.
    """
    what = {key: value for key, value in data.items() if key not in ("compute", "tracking")}
    return stable_hash("spec", json.dumps(what, sort_keys=True))[:16]


def _completed(data: Mapping[str, Any]) -> dict[str, Any]:
    """With new names for old ones, and with all that a task named in a word means."""
    data, _ = up_to_date(data)
    if not isinstance(data.get("task"), str):
        return dict(data)
    data, of_task = registry("task_readers")["spec"](data)
    return merged(of_task, data)


class EvaluationSpec(_Part):
    """What is measured on the held-out split."""

    max_new_tokens: int = Field(28, ge=1, description="a free answer's greatest length in tokens")
    attacks: int = Field(
        40, ge=0, description="attacks that are composed, each with its twin and controls beside it"
    )
    rules: int = Field(96, ge=0, description="at most this many cases of rules in contexts")
    kl_questions: int = Field(48, ge=0, description="held-out questions that KL is measured on")
    draws: int = Field(64, ge=2, description="best_of_n: answers that are drawn to a case")
    draw_cases: int = Field(
        48, ge=1, description="best_of_n: held-out cases that they are drawn to"
    )
    resamples: int = Field(2000, ge=100, description="bootstrap resamples behind each interval")
    dtype: Dtype = Field(
        "bfloat16",
        description="precision in which candidates are measured; float32 where the processor is slow "
        "in bfloat16",
    )


class JudgeSpec(AskedEndpoint):
    """Judges of free answers: for `truing train judge` what they learn from, or are held against; and a
    judge behind an endpoint in place of the local ones."""

    truth: str | None = Field(
        None, description="JSONL file of answers that people have labelled true or not"
    )
    informative: str | None = Field(
        None, description="JSONL file of answers that people have labelled informative or not"
    )
    dtype: Dtype = Field("float32", description="precision in which the model reads answers")
    rubrics: tuple[Rubric, ...] = Field(
        (),
        exclude_if=is_empty,
        description="what the endpoint grades by, in place of the built-in rubrics truth, informative and "
        "outcome, each called as the one that it replaces: YAML or JSON files",
    )
    labels: int | None = Field(
        None,
        ge=1,
        exclude_if=is_none,
        description="labelled answers that the endpoint is asked about at most; without it, 200",
    )
    outcomes: bool | None = Field(
        None,
        exclude_if=is_none,
        description="whether the endpoint also tells what answers did with their requests (refusals, "
        "attacks)",
    )

    @model_validator(mode="after")
    def _of_the_endpoint(self) -> Self:
        if self.endpoint is None:
            for name in ("rubrics", "labels", "outcomes"):
                if getattr(self, name):
                    raise ValueError(
                        f"{name}: is for a judge behind an endpoint; name it as endpoint"
                    )
        return self


class Spec(_Part):
    """One run of the main job. Raises InputError naming the first field that is wrong."""

    model: str = Field(
        "smollm2-135m", description="a catalogue name, a Hugging Face id or a local folder"
    )
    task: TaskSpec = Field(default_factory=TaskSpec, description="what the model should do")
    data: DataSpec = Field(DataSpec(), description="the questions and their split")
    methods: tuple[MethodName, ...] = Field(
        ("prompt", "sft", "preference", "rl"),
        description="the methods to try; without preference where a task names no pairs of answers",
    )
    prompt: PromptSpec = Field(PromptSpec(), description="choosing a prompt")
    best_of_n: BestOfNSpec = Field(BestOfNSpec(), description="choosing among answers")
    sft: SftSpec = Field(SftSpec(), description="supervised fine-tuning")
    preference: PreferenceSpec = Field(
        default_factory=PreferenceSpec, description="learning from pairs of answers"
    )
    reward: RewardSpec = Field(RewardSpec(), description="what answers are rewarded for")
    reward_model: RewardModelSpec | None = Field(
        None,
        exclude_if=is_none,
        description="a reward model from people's judgements, for `truing train reward`",
    )
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
    tracking: TrackingSpec = Field(
        TrackingSpec(), description="who is shown the figures of a training"
    )

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
        starts = {"sft": self.sft.adapter, "preference": self.preference.adapter}
        start = self.rl.start or BASE_START
        if "rl" in self.methods and self.rl.adapter != starts.get(start, self.rl.adapter):
            raise ValueError(f"rl.start: {start!r} needs rl.adapter equal to {start}.adapter")
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
        self._sampled_apart()
        if self.rl.kl_weight and (self.rl.kl_place, self.rl.kl_estimator) == ("loss", "k1"):
            raise ValueError(
                "rl.kl_estimator: k1 in the loss has an expected gradient of 0 and holds the policy by "
                "nothing; use k2 or k3, or kl_place: reward"
            )
        return self

    def _sampled_apart(self) -> None:
        """Raises ValueError where samples can't come from servers, or from an earlier policy, as the spec
        says."""
        if self.rl.staleness and not self.compute.is_sampled_apart:
            raise ValueError(
                "rl.staleness: answers that are sampled here are of the policy as it is; set 0, or name "
                "who else samples as compute.sampler: workers, or servers"
            )
        if self.rl.staleness and self.rl.correction == "none":
            raise ValueError(
                "rl.staleness: answers of an earlier policy need rl.correction: token or sequence"
            )
        if self.compute.servers and "rl" in self.methods and self.rl.adapter.kind == "full":
            raise ValueError(
                "compute.sampler: servers are sent adapters, and rl.adapter.kind 'full' trains all "
                "weights; use 'lora'"
            )

    @model_validator(mode="wrap")
    @classmethod
    def _refused_in_one_line(
        cls, data: Any, check: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        # Behind the check above, whose mistakes it words too. A file's path is the context.
        where = info.context or "spec"
        try:
            spec = check(_completed(data) if isinstance(data, Mapping) else data)
        except ValidationError as error:
            raise InputError(worded(error.errors()[0], Spec, where)) from None
        for defence in spec.task.defences:
            spec.defended(defence, where)
        return spec

    @property
    def rl_start(self) -> str:
        """The method whose candidate reinforcement learning begins from, or `base`."""
        if self.rl.start is not None:
            return self.rl.start
        alike = self.rl.adapter == self.preference.adapter and self.rl.contrast is None
        return "preference" if alike and "preference" in self.methods else BASE_START

    def defended(self, defence: DefenceSpec, where: str = "spec") -> Self:
        """The spec that a defence is made by: its options laid over its method's section.

        Raises InputError naming the option that is wrong.
        """
        section: _Part = getattr(self, defence.method, _Part())
        own = merged(section.model_dump(), defence.options)
        place = ("task", "defences", self.task.defences.index(defence))
        try:
            made = type(section).model_validate(own)
        except ValidationError as error:
            first, options = error.errors()[0], (*place, "options")
            raise InputError(worded(first, type(section), where, options)) from None
        if not own:
            return self
        # Whether it goes with the rest, as where the spec itself had these keys.
        methods = dict.fromkeys((*self.methods, defence.method))
        alone = {"methods": tuple(methods), "task": {**self.task.model_dump(), "defences": ()}}
        whole = {**self.model_dump(), **alone, defence.method: made.model_dump()}
        type(self).model_validate(whole, context=f"{where}: {'.'.join(map(str, place))}")
        return self.model_copy(update={defence.method: made})

    def digest(self) -> str:
        """16 hexadecimal digits, the same for equal specs however they were written."""
        return digest_of(self.model_dump(mode="json"))

    def to_yaml(self) -> str:
        """The resolved spec, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


__all__ = [
    "AdapterSpec",
    "Correction",
    "EvaluationSpec",
    "JudgeSpec",
    "PreferenceSpec",
    "PromptSpec",
    "RlSpec",
    "SearchSpec",
    "SftSpec",
    "Spec",
    "digest_of",
]
