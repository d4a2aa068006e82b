"""What `truing eval` is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import get_args

from truing.data.rule_book import RuleBook, built_in_rules
from truing.data.survey import measurable_survey
from truing.data.surveys.readings import READINGS, Reading
from truing.data.surveys.steering import steered_groups
from truing.evaluate import EVALUATIONS
from truing.evaluate.opinion_prompts import ORDERS, OpinionsAsked, Orders
from truing.evaluate.opinions import NO_SURVEY
from truing.evaluate.rewriting_attacks import BUDGET, SELF
from truing.judges.rule_programs import built_in_rule_programs
from truing.judges.served import OUTCOME, rubrics_by_name
from truing.judges.served_outcomes import check_outcome_rubric
from truing.models.remote.client import Connection
from truing.models.remote.endpoint import EndpointName, is_endpoint
from truing.prompts.variants import FORMS, Form
from truing.rewards.reward import Answered
from truing.spec.rubric import AskedEndpoint, Prices
from truing.spec.run import EvaluationSpec
from truing.types import Case, Dtype, InputError, Score, did_you_mean


@dataclass(frozen=True)
class TaskCases:
    """A task as `truing eval` sees it: its held-out cases, its judges' programs, what whoever has no
    prompt of its own is told, and its rules with what tells whether an answer keeps each."""

    source: str
    cases: tuple[Case, ...]
    graders: Mapping[str, Callable[[Answered], Score]]
    instruction: str
    rules: RuleBook = field(default_factory=built_in_rules)
    rule_checks: Mapping[str, Callable[[Answered], Score]] = field(
        default_factory=built_in_rule_programs
    )


@dataclass(frozen=True)
class SweepSpec:
    """What is asked of whom. `limit`: only the first questions. `seed` draws the intervals.

    `variant_files` are files of many variants of one instruction. Without them and without `prompts`, the
    candidate's own prompt is asked.

    `free`: answers in the candidates' own words are graded by the judges in the folder `judge` or by the
    built-in ones. Such answers have at most `max_new_tokens`. `base` is what drift is measured from, where
    it isn't what a candidate's folder records. `task` names whose cases are asked, instead of `questions`.

    `attacks` are lists of attacks in place of the built-in ones, `attack_limit` how many are composed, and
    asked of the lists. `attacker` (self, or an endpoint) rewrites those that fail, at most `attack_budget`
    times for each candidate.

    `draws` is how many answers are drawn to a case to choose the best of.

    `refusals` are files of prompts that say whether they are to be declined (None: the built-in ones);
    `outcome_labels` labelled answers that the judge of outcomes learns from in place of those it ships
    with. `judge` may also be a model behind a server, endpoint:URL#MODEL; `outcome_judge` is one that tells
    outcomes. They grade by `rubrics` (None: the built-in ones), `prices` are of a million of their tokens
    sent and come back, `judge_key_variable` names the variable with their key.

    `survey` is a survey whose questions are asked, `scales` declares scales that it lacks, `read` says
    how its answers are read (None: by letters), `orders` in which orders its options are listed (None:
    all), `steer` names groups that candidates are steered to, as DIMENSION=VALUE.
    """

    evaluations: tuple[str, ...]
    candidates: tuple[str, ...]
    prompts: tuple[str, ...] = ()
    variant_files: tuple[Path, ...] = ()
    presets: Path | None = None
    form: Form = "auto"
    questions: str = "built-in"
    controls: tuple[str, ...] = ("built-in",)
    refusals: tuple[str, ...] | None = None
    outcome_labels: tuple[Path, ...] | None = None
    limit: int | None = None
    dtype: Dtype = EvaluationSpec().dtype
    seed: int = 0
    free: bool = False
    judge: Path | str | None = None
    max_new_tokens: int = 50
    base: str | None = None
    task: str | None = None
    attacks: tuple[str, ...] = ()
    attack_limit: int | None = None
    attacker: str | None = None
    attack_budget: int = BUDGET
    draws: int | None = None
    survey: Path | None = None
    scales: Path | None = None
    read: tuple[Reading, ...] | None = None
    orders: Orders | None = None
    steer: tuple[str, ...] | None = None
    outcome_judge: str | None = None
    rubrics: tuple[str, ...] | None = None
    prices: tuple[float, float] | None = None
    judge_key_variable: str | None = None

    def __post_init__(self) -> None:
        """Raises InputError for an unknown name, or where nothing is to be done."""
        for option, value, known in (
            ("--form", self.form, FORMS),
            ("--dtype", self.dtype, get_args(Dtype)),
            *(("--read", reading, READINGS) for reading in self.read or ()),
            ("--orders", self.orders or ORDERS[0], ORDERS),
        ):
            if value not in known:
                hint = did_you_mean(value, known)
                raise InputError(f"{option} {value}: unknown; {hint}known: {', '.join(known)}")
        check_evaluations(self.evaluations)
        if not self.candidates:
            raise InputError("no candidate is named; give --candidate")
        if self.judge is not None and not self.free:
            raise InputError("--judge: grades free answers; give --free too")
        judged = [name for name, each in EVALUATIONS.items() if "judges" in each.needs]
        if self.free and not set(judged) & set(self.evaluations):
            raise InputError(f"--free: belongs to {', '.join(judged)}; name that evaluation too")
        self._check_judges()
        self._check_owners()
        self._check_attacks()

    @property
    def judge_endpoint(self) -> str | None:
        """The server's model that grades free answers, where one does."""
        name = str(self.judge)
        return name if self.judge is not None and is_endpoint(name) else None

    @property
    def judge_folder(self) -> Path | None:
        """The folder of the judges, where they lie in one."""
        return None if self.judge is None or self.judge_endpoint else Path(self.judge)

    def asked(self, endpoint: str, connection: Connection) -> AskedEndpoint:
        """How a judge behind this endpoint is asked."""
        prices = Prices(prompt=self.prices[0], completion=self.prices[1]) if self.prices else None
        return AskedEndpoint(
            endpoint=endpoint,
            key_variable=self.judge_key_variable,
            at_once=connection.at_once,
            timeout=connection.timeout,
            prices=prices,
        )

    def _check_judges(self) -> None:
        """Raises InputError where a judge behind an endpoint isn't named as one, or how one is to grade or
        what it costs is said and none is there."""
        if self.outcome_judge is not None and not is_endpoint(self.outcome_judge):
            raise InputError(
                f"--outcome-judge {self.outcome_judge}: unknown; give a server's model, endpoint:URL#MODEL"
            )
        for name in filter(None, (self.judge_endpoint, self.outcome_judge)):
            EndpointName.parse(name)
        if self.prices and not all(isfinite(price) and price >= 0 for price in self.prices):
            raise InputError(
                "--prices: of a million tokens sent and come back; each is a number from 0 on"
            )
        endpoint = self.judge_endpoint or self.outcome_judge
        for option, given, asked in (
            ("--rubric", self.rubrics, endpoint),
            ("--prices", self.prices, endpoint),
            # A folder may hold a judge behind an endpoint, too.
            ("--judge-key-variable", self.judge_key_variable, endpoint or self.judge_folder),
        ):
            if given and not asked:
                raise InputError(
                    f"{option}: is for a judge behind an endpoint; name it with --judge or "
                    "--outcome-judge"
                )
        for name, rubric in rubrics_by_name(self.rubrics or (), "--rubric").items():
            of_outcomes = name == OUTCOME
            if not (self.outcome_judge if of_outcomes else self.judge_endpoint):
                raise InputError(
                    f"--rubric: {name}: no judge behind an endpoint is asked by it; name one with "
                    f"{'--outcome-judge' if of_outcomes else '--judge'}, or leave the rubric out"
                )
            if of_outcomes:
                check_outcome_rubric(rubric, "--rubric")

    def _check_owners(self) -> None:
        """Raises InputError where an option says something of an evaluation that isn't named."""
        rewrites = self.attack_budget != BUDGET
        for option, value, owner in (
            ("--attacks", self.attacks, "attacks"),
            ("--attack-limit", self.attack_limit, "attacks"),
            ("--attacker", self.attacker, "attacks"),
            ("--attack-budget", rewrites, "attacks"),
            ("--refusals", self.refusals, "refusals"),
            ("--draws", self.draws, "best_of_n"),
            ("--survey", self.survey, "opinions"),
            ("--scales", self.scales, "opinions"),
            ("--read", self.read, "opinions"),
            ("--orders", self.orders, "opinions"),
            ("--steer", self.steer, "opinions"),
        ):
            if value and owner not in self.evaluations:
                raise InputError(f"{option}: belongs to {owner}; name that evaluation too")
        if "opinions" in self.evaluations and self.survey is None:
            raise InputError(NO_SURVEY)
        for option, named in (
            ("--outcome-labels", bool(self.outcome_labels)),
            ("--outcome-judge", bool(self.outcome_judge)),
        ):
            if named and not {"refusals", "attacks"} & set(self.evaluations):
                raise InputError(f"{option}: belongs to refusals; name that evaluation too")
        if rewrites and not self.attacker:
            raise InputError(
                "--attack-budget: says how often an attacker rewrites; give --attacker too"
            )

    def _check_attacks(self) -> None:
        if self.attacker and self.attacker != SELF and not is_endpoint(self.attacker):
            raise InputError(
                f"--attacker {self.attacker}: unknown; give {SELF} (the candidate rewrites its own), or "
                "a server's model, endpoint:URL#MODEL"
            )
        if self.attack_budget < 1:
            raise InputError(f"--attack-budget {self.attack_budget}: must be at least 1")


def asked_opinions(spec: SweepSpec) -> OpinionsAsked | None:
    """The survey, or its first questions, and how it is asked. Raises InputError where it is wrong."""
    if spec.survey is None:
        return None
    survey = measurable_survey(spec.survey, spec.scales)
    survey = replace(survey, questions=survey.questions[: spec.limit])
    return OpinionsAsked(
        survey,
        spec.read or READINGS[:1],
        spec.orders or ORDERS[0],
        steered_groups(survey, spec.steer or ()),
    )


def check_evaluations(names: tuple[str, ...]) -> None:
    """Raises InputError for an unknown evaluation, or where none is named."""
    for name in names:
        if name not in EVALUATIONS:
            hint = did_you_mean(name, EVALUATIONS)
            raise InputError(f"evaluation {name!r}: unknown; {hint}known: {', '.join(EVALUATIONS)}")
    if not names:
        raise InputError(f"no evaluation is named; known: {', '.join(EVALUATIONS)}")
