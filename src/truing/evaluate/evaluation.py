"""What every evaluation is: a respondent and cases in, one row per case out, with its metrics declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from truing.evaluate.respondent import Advance, Longest, Respondent, silent
from truing.types import Case, Completion, Estimate, InputError, Metric, Row, Score, Unscored

if TYPE_CHECKING:  # so that the list of evaluations can be read without loading any of this
    from truing.data.attacks import AttackBook
    from truing.data.preference_file import Preference
    from truing.data.rule_book import RuleBook
    from truing.evaluate.lettered import Lettered
    from truing.evaluate.local import LocalRespondent
    from truing.evaluate.multiple_choice import Choices
    from truing.evaluate.opinion_prompts import OpinionsAsked
    from truing.evaluate.rewriting_attacks import Attacker
    from truing.judges.grading import Grader
    from truing.judges.outcomes import JudgeOfOutcomes
    from truing.progress import Progress
    from truing.report.task_metrics import Crossed, FromRows
    from truing.rewards.reward import Answered, Reward

Need = Literal["likelihoods", "answers", "distributions", "judges", "base", "reward"]
"""What a metric can ask for: abilities of the respondent, and instruments of the context."""
NEEDS: dict[Need, str] = {
    "likelihoods": "log-probabilities of given answers",
    "answers": "answers in the respondent's own words",
    "distributions": "the distribution of each next token",
    "judges": "judges of answers (--free)",
    "base": "a base to compare with (--base, or the run's)",
    "reward": "the reward of the run that a candidate lies in",
}

LOG_PROBABILITIES = ("margin", "best_true", "best_false")
"""What a choice between answers rests on: shares of probability hide that all became less likely."""


def _no_base() -> Unscored:
    return Unscored("no base is known; name one with --base")


def _no_graders() -> Mapping[str, Callable[[Answered], Score]]:
    return {}


def _no_reward() -> Unscored:
    return Unscored("no reward is known: the candidate lies in no run that has one")


def _no_pair_judge() -> Unscored:
    return Unscored("there are no held-out pairs to fit a reward model to")


def _built_in_rules() -> RuleBook:
    from truing.data.rule_book import built_in_rules

    return built_in_rules()


def _built_in_rule_checks() -> Mapping[str, Callable[[Answered], Score]]:
    from truing.judges.rule_programs import built_in_rule_programs

    return built_in_rule_programs()


def _built_in_attacks() -> AttackBook:
    from truing.data.attacks import attacks_on

    return attacks_on(_built_in_rules())


def _shipped_outcome_judge() -> JudgeOfOutcomes:
    from truing.judges.refusal import load_outcome_judge
    from truing.progress import SilentProgress

    return load_outcome_judge(None, SilentProgress())


@dataclass(frozen=True)
class EvalContext:
    """What evaluations share: the cases, and the instruments, each made when first asked for.

    `held_out` are the questions nobody trained on, `controls` questions without a misconception,
    `refusals` prompts that say whether they are to be declined; `outcomes` judges what answers did.
    `base` is the unaligned candidate, which drift is measured from and wins are counted against. Without
    `judges` free answers aren't judged. `graders` are the programs of the task's judges. `rules` is the
    task's book of rules, the built-in one where it has none, and `rule_checks` the program behind each
    rule by its id; `rule_cases` is how many of the book's cases are asked at most. A `reward` of None: the
    run has none, and says so by having no rows.

    `draws` answers to `draw_cases` of the cases are drawn at `temperature`, where many are looked at.

    `attack_book` is what attacks are composed of, and `attacks` how many are; `attacker` rewrites those
    that fail, where there is one.

    `opinions` is the survey that is asked, and how its answers are read. `pairs` are held-out ones of which
    people preferred an answer, and `pair_judge` a reward model fitted to them.

    Rows that are `standalone` hold their question and every figure behind a metric, as `truing eval`
    writes them; a run's folder has its questions beside its rows.
    """

    held_out: Sequence[Case] = ()
    controls: Sequence[Case] = ()
    refusals: Sequence[Case] = ()
    max_new_tokens: int = 50
    attacks: int = 40
    rule_cases: int | None = None
    kl_questions: int = 48
    draws: int = 64
    draw_cases: int = 48
    temperature: float = 1.0
    judges: Callable[[], Grader] | None = None
    graders: Callable[[], Mapping[str, Callable[[Answered], Score]]] = _no_graders
    rules: Callable[[], RuleBook] = _built_in_rules
    rule_checks: Callable[[], Mapping[str, Callable[[Answered], Score]]] = _built_in_rule_checks
    attack_book: Callable[[], AttackBook] = _built_in_attacks
    attacker: Attacker | None = None
    opinions: OpinionsAsked | None = None
    pairs: Sequence[Preference] | None = None
    pair_judge: Callable[[], Reward | Unscored] = _no_pair_judge
    outcomes: Callable[[], JudgeOfOutcomes] = _shipped_outcome_judge
    base: Callable[[], LocalRespondent | Unscored] = _no_base
    reward: Callable[[], Reward | Unscored | None] = _no_reward
    standalone: bool = False
    progress: Progress | None = None

    @contextmanager
    def bar(self, what: str) -> Iterator[Advance]:
        """Progress of something that an evaluation does for itself, where progress is shown."""
        if self.progress is None:
            yield silent
            return
        with self.progress.task(what) as advance:
            yield lambda done: advance(done)

    def choose(
        self, respondent: Respondent, cases: Sequence[Case], evaluation: str
    ) -> list[Choices | Lettered | Unscored]:
        """The respondent's choices, with a bar; names what could not be scored."""
        what = f"{respondent.name}, {evaluation}, {respondent.prompt_name}"
        if self.progress is None:
            return respondent.choose(cases)
        with self.progress.task(what, total=len(cases)) as advance:
            choices = respondent.choose(cases, lambda done: advance(done))
        reasons = [chosen if isinstance(chosen, Unscored) else chosen.nothing for chosen in choices]
        self._name_unscored(respondent, what, cases, reasons)
        return choices

    def answer(
        self,
        respondent: Respondent,
        cases: Sequence[Case],
        max_new_tokens: Longest | None = None,
        *,
        temperature: float = 0.0,
        tokens: bool = False,
    ) -> list[Completion | Unscored]:
        """The respondent's own answers, with a bar; names what could not be answered."""
        most = max_new_tokens or self.max_new_tokens
        if self.progress is None:
            return respondent.answer(cases, most, temperature=temperature, tokens=tokens)
        what = f"{respondent.name}, answers, {respondent.prompt_name}"
        with self.progress.task(what, total=len(cases)) as advance:
            answers = respondent.answer(
                cases,
                most,
                temperature=temperature,
                tokens=tokens,
                advance=lambda done: advance(done),
            )
        reasons = [answer if isinstance(answer, Unscored) else None for answer in answers]
        self._name_unscored(respondent, what, cases, reasons)
        return answers

    def _name_unscored(
        self,
        respondent: Respondent,
        what: str,
        cases: Sequence[Case],
        reasons: Sequence[Unscored | None],
    ) -> None:
        """Names the first question that is left out; where all are, the user is told how to mend it.

        What the respondent can't do at all stands in its rows.
        """
        left_out = [(c, reason.reason) for c, reason in zip(cases, reasons, strict=True) if reason]
        if not left_out or left_out[0][1] in respondent.lacks.values():
            return
        assert self.progress is not None
        case, reason = left_out[0]
        first = f"{what}: question {case.prompt[:60]!r}: {reason}"
        if self.standalone and len(left_out) == len(cases) and respondent.hint:
            raise InputError(f"{first}; so are all others: {respondent.hint}")
        self.progress.note(f"{first}; {len(left_out)} of {len(cases)} questions are unscored.")

    def prompt_of(self, case: Case) -> dict[str, str]:
        """For the detail of a row: what was asked, where the row doesn't have it as its question."""
        return {} if self.standalone else {"prompt": case.prompt}

    def row(
        self,
        respondent: Respondent,
        evaluation: str,
        case: Case,
        metrics: Mapping[str, Score],
        detail: Mapping[str, Any] | None = None,
    ) -> Row:
        """A row about the respondent."""
        question = {"question": case.prompt} if self.standalone else {}
        return Row(
            respondent.name,
            respondent.seed,
            evaluation,
            case.id,
            dict(metrics),
            case.category,
            {**question, **(detail or {})},
        )


Kind = Literal["held_out", "controls", "refusals"]
"""The kinds of cases that a context has, by the name of its field."""
Cases = Kind | Callable[[EvalContext], Sequence[Case]]
Estimator = Callable[[EvalContext, Sequence[Row], int], dict[str, Estimate]]
OfJudge = Callable[[str, str, str], tuple[Metric, ...]]


@dataclass(frozen=True)
class Evaluation:
    """One way of measuring a respondent. `title` heads its figures; `about` says what it asks.

    `metrics` are declared in the order in which they are shown; `measure` gives rows that have them, a
    row for each of `cases`. `needs` says what which metrics ask for: where the respondent or the context
    can't give it, they are unscored with the reason. `headline` are the metrics for overviews.

    Figures are means over cases. `from_rows` gives further ones, from a candidate's rows and the seed of
    the intervals; `estimate` gives those of standalone rows in place of the means, from the context too.
    Where rows are of many wordings, `crossed` tells which is of which: intervals of means and of paired
    differences then speak of other wordings *and* other items (statistics/two_way.py).
    `of_judge` gives the metrics of each of a task's judges, from its name, its label and its program.
    """

    name: str
    title: str
    about: str
    metrics: tuple[Metric, ...]
    measure: Callable[[EvalContext, Respondent], list[Row]]
    cases: Cases = "held_out"
    needs: Mapping[Need, tuple[str, ...]] = field(default_factory=dict)
    estimate: Estimator | None = None
    from_rows: FromRows | None = None
    crossed: Crossed | None = None
    of_judge: OfJudge | None = None
    headline: tuple[str, ...] = ()
    short_title: str = ""
    usual: bool = True
    """Whether it is measured where a task doesn't say what is."""
    source: Callable[[EvalContext], str] | None = None
    """Where its cases are from, if they are its own and not made of a file's."""

    @property
    def heading(self) -> str:
        """The title where the evaluation stands alone."""
        return self.short_title or self.title

    def cases_in(self, context: EvalContext) -> Sequence[Case]:
        """The cases that it asks about."""
        if callable(self.cases):
            return self.cases(context)
        cases: Sequence[Case] = getattr(context, self.cases)
        return cases

    def metric(self, name: str) -> Metric | None:
        """The declared metric of this name."""
        return next((metric for metric in self.metrics if metric.name == name), None)


def of_choice(chosen: Choices | Lettered | Unscored, metrics: Sequence[str]) -> dict[str, Score]:
    """Some of a choice's metrics; where there is no choice, the reason in place of each."""
    if isinstance(chosen, Unscored):
        return dict.fromkeys(metrics, chosen)
    return {metric: chosen.metrics[metric] for metric in metrics}


def likelihoods(chosen: Choices | Lettered | Unscored) -> dict[str, Any]:
    """What stands behind the metrics of a choice, for standalone rows."""
    return {"log_likelihoods": {}} if isinstance(chosen, Unscored) else chosen.detail
