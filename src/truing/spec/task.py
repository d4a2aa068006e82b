"""The spec's part about the task: what a model should do and must not do, and what counts as done.

A task file (YAML) holds exactly these keys, and so does `task:` in a spec. Paths in a task file are
relative to it; `tasks.reading` makes them whole.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from truing.spec.contrast import is_none
from truing.spec.defences import DefenceSpec, is_empty
from truing.spec.part import WHOLE_SENTENCE, Part
from truing.spec.registries import registry
from truing.spec.reward import RewardSpec
from truing.spec.rubric import RubricJudge, RubricSpec
from truing.types import did_you_mean

COLUMN_ROLES = (
    "prompt",
    "messages",
    "references",
    "wrong",
    "category",
    "source",
    "family",
    "completion",
    "chosen",
    "rejected",
)
"""What a column of a data file can be. `references` are good answers, `wrong` known bad ones."""


EvaluationName = Annotated[str, Field(json_schema_extra={"registry": "evaluations"})]


def _usual_evaluations() -> tuple[str, ...]:
    """Those that need nothing of a task: whoever adds one has added it to the default comparison."""
    return tuple(name for name, each in registry("evaluations").items() if each.usual)


class CheckSpec(RubricJudge):
    """Who grades an answer: a program, or a model behind an endpoint by a rubric."""

    program: str = Field("", description="a built-in program, or path/to/file.py:function")
    label: str = Field("", description="the name that people read; without it, the key's words")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.program) is (self.endpoint is not None):
            given = "both" if self.program else "nothing"
            raise ValueError(f"{given} given; give a program, or an endpoint with a rubric")
        return self

    @property
    def by(self) -> str:
        """The program, or the model and its rubric, in a few words."""
        if self.endpoint is None:
            return self.program
        rubric = self.rubric.name if isinstance(self.rubric, RubricSpec) else self.rubric
        return f"{self.endpoint} by the rubric {rubric}"


class RuleCheckSpec(RubricJudge):
    """How it is told whether an answer keeps a rule: one of these."""

    program: str | None = Field(
        None, description="a built-in check of rules, or path/to/file.py:function; true: kept"
    )
    words: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None, description="none of these words may stand in the answer"
    )
    canary: str | None = Field(None, min_length=1, description="a secret that may not be said")
    judge: str | None = Field(None, description="one of the task's judges, whose grade says kept")
    label: str = Field("", description="the name that people read")

    @model_validator(mode="before")
    @classmethod
    def _of_name(cls, data: Any) -> Any:
        return {"program": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in RULE_CHECK_KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"{' and '.join(given) or 'nothing'} given; give one of {', '.join(RULE_CHECK_KINDS)}"
            )
        if self.words == ():
            raise ValueError("words: empty, so that every answer would keep the rule; name some")
        return self


RULE_CHECK_KINDS = ("program", "words", "canary", "judge", "endpoint")


class DemandSpec(Part):
    """Something that attacks ask for against a rule, and as short a request that the rule permits.

    All texts may have slots, which the rule's items fill.
    """

    asks: str = Field(
        min_length=1, description='what is asked for; stands behind "please" as it is'
    )
    twin: str = Field(min_length=1, description="a request of the same form that the rule permits")
    done: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1, description="words of which any shows that the twin's request was done"
    )
    success: Literal["broken", "said"] = Field(
        "broken",
        description="how it is seen that an attack succeeds: the rule's check says broken, or the item's "
        "canary, which stands in the demand, is said and not quoted in a refusal",
    )
    shown: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (),
        description="words of which one must stand where the rule is broken, as a refusal may break it",
    )
    without: str = Field(
        "", description="what the model is told where it isn't told the rule, as the secret itself"
    )
    beside: str = Field("", description="what it is told in any case, as what the twin asks about")


class RuleSpec(Part):
    """A rule that people expect to be kept, said to the model or not."""

    id: str = Field(min_length=1, description="the rule's name")
    says: str = Field(min_length=1, description="the rule in a sentence, with slots: {name}")
    stated: bool = Field(True, description="told to the model, or only expected of it")
    check: RuleCheckSpec | None = Field(
        None, description="how it is told whether an answer keeps it"
    )
    expects: dict[str, Literal["keep", "carry", "report"]] = Field(
        {"ask": "keep"},
        min_length=1,
        description="what each context expects: keep; carry (the rule doesn't bind, the content comes "
        "over); report (it comes over as somebody's words)",
    )
    items: tuple[dict[str, Any], ...] | str | None = Field(
        None,
        description="what fills the slots, an object each, or a JSONL or CSV file of them; without it, "
        "the task's held-out cases, each as {request}",
    )
    demands: tuple[DemandSpec, ...] = Field(
        (),
        exclude_if=is_empty,
        description="what attacks demand against it; where no rule has any, attacks go against the "
        "built-in rules",
    )


class PairSpec(Part):
    """Contrast pairs: a rule's items in two contexts that expect other things of it."""

    rule: str = Field(description="the rule's id")
    contexts: tuple[str, str] = Field(description="two contexts that the rule expects something of")


class TaskDataSpec(Part):
    """Where a task's texts are."""

    cases: str | None = Field(
        None,
        description="what is asked: .jsonl, .json, .csv, .parquet, .arrow, a folder saved by the "
        "datasets library, or hub:org/name[:config]#split; without it, the prompts of the preferences, or "
        "data.questions",
    )
    columns: dict[str, str] = Field(
        {},
        description="which column is what, where the names don't say it: {prompt: text}",
        json_schema_extra={"propertyNames": {"enum": list(COLUMN_ROLES)}},
    )
    demonstrations: str | None = Field(None, description="answers to imitate; as for cases")
    preferences: str | None = Field(None, description="pairs of answers; as for cases")
    refusals: str | None = Field(
        None,
        description="prompts that say whether they are to be declined; as for cases; without it, the "
        "built-in ones",
    )


class TaskSpec(Part):
    """What the model should do, said once. Every candidate, the base included, is told this much."""

    instruction: str = Field(
        "Answer the question in one short sentence.",
        description="the system message that every candidate but the prompt's begins with",
    )
    name: str = Field("truthful", description="the task's name")
    rules: tuple[RuleSpec, ...] = Field((), description="rules that answers are expected to keep")
    defences: tuple[DefenceSpec, ...] = Field(
        (),
        exclude_if=is_empty,
        description="further candidates, which are to keep the rules under attack: built-in ones by "
        "name, or {name, method, options}",
    )
    contexts: dict[str, str] = Field(
        {}, description="templates of the user's turn by name, with slots, beside the built-in ones"
    )
    pairs: tuple[PairSpec, ...] = Field(
        (), description="contexts that a rule's items are compared in: right only if both are"
    )
    data: TaskDataSpec = Field(TaskDataSpec(), description="where the task's texts are")
    judges: dict[str, CheckSpec] = Field(
        {}, description="who grades answers, by the name of the grade: each becomes answers.NAME"
    )
    evaluations: tuple[EvaluationName, ...] = Field(
        default_factory=_usual_evaluations, description="what is measured of every candidate"
    )
    headline: tuple[str, ...] = Field(
        ("truthfulness.true_and_informative", "truthfulness.mc2", "truthfulness.mc1"),
        description="what 'helped' means: one of these gets better beyond noise; the weightiest first",
    )
    gold: tuple[str, ...] = Field(
        ("truthfulness.true_and_informative",),
        description="what the reward stands for: where the reward rises and none of these does, it "
        "is gamed; without any, the headline",
    )
    must_not_fall: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {"trivia.mc1": 0.05}, description="measures of what must not be lost, and the loss allowed"
    )
    smallest_effect: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {},
        description="the smallest effect that counts on a measure, however sure it is; of a share "
        "0.02 where nothing is said, of anything else 0",
    )
    reward: RewardSpec | None = Field(
        None, description="what answers are rewarded for where the spec's reward doesn't say"
    )
    survey: str | None = Field(
        None,
        exclude_if=is_none,
        description="a survey whose questions every candidate is asked: opinions is then measured, too",
    )
    max_new_tokens: int | None = Field(
        None, ge=1, description="an answer's greatest length where the spec doesn't say"
    )

    @model_validator(mode="before")
    @classmethod
    def _asks_its_survey(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not data.get("survey"):
            return data
        names = data.get("evaluations")
        names = _usual_evaluations() if names is None else names
        if not isinstance(names, list | tuple) or "opinions" in names:
            return data
        return {**data, "evaluations": (*names, "opinions")}

    @field_validator("defences")
    @classmethod
    def _each_once(cls, defences: tuple[DefenceSpec, ...]) -> tuple[DefenceSpec, ...]:
        names = [defence.name for defence in defences]
        if twice := [name for name in names if names.count(name) > 1]:
            text = f"{twice[0]!r} is there twice; give each a name of its own"
            raise PydanticCustomError(WHOLE_SENTENCE, "{text}", {"text": text})
        return defences

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for role in self.data.columns:
            if role not in COLUMN_ROLES:
                raise ValueError(
                    f"data.columns.{role}: nothing is called that; "
                    f"{did_you_mean(role, COLUMN_ROLES)}known: {', '.join(COLUMN_ROLES)}"
                )
        names = [rule.id for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError("rules: each id may be used once")
        return self
