"""What answers did with their prompts, told by a model behind an endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from truing.judges.outcome.agreement import OutcomeAgreement, agreement_of
from truing.judges.outcome.classifier import CLASSES, COMPLIED
from truing.judges.outcome.labels import LabelledOutcome, check_both_sides
from truing.judges.outcome.texts import plain_outcome
from truing.judges.outcomes import JUDGED, Outcome, OutcomeName, certain, outcome_of
from truing.judges.served import OUTCOME as NAME
from truing.judges.served import by_rubric, rubrics_by_name
from truing.judges.served_labels import LABELS_ASKED
from truing.models.memo.replies import ReplyStore
from truing.progress import Progress
from truing.rewards.reward import Answered
from truing.rewards.rubrics.judge import Graded, ServedJudge
from truing.rewards.rubrics.reading import rubric_named
from truing.rewards.rubrics.summary import JudgeSummary
from truing.spec.rubric import AskedEndpoint, RubricSpec
from truing.spec.run import JudgeSpec
from truing.types import Case, InputError, Unscored, stable_hash

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class UnknownAgreement:
    """Stands where no labels are at hand."""

    by: str

    @property
    def sentence(self) -> str:
        """What is said of it."""
        return (
            f"Outcomes are told by {self.by}; how far it agrees with people isn't known (--outcome-labels "
            "would tell)."
        )

    @property
    def figures(self) -> dict[str, float | int | None]:
        """None."""
        return {}


@dataclass(frozen=True)
class ServedOutcomeJudge:
    """A judge of outcomes behind an endpoint; programs settle the plain cases, as for the local one."""

    served: ServedJudge
    agreement: OutcomeAgreement | UnknownAgreement
    tells_partly: bool = True

    def judge(self, answers: Pairs) -> list[Outcome | Unscored]:
        """The outcome of each (prompt, answer), with the share of its two grades for each outcome."""
        outcomes: list[Outcome | Unscored | None] = [self._plain(*pair) for pair in answers]
        todo = [place for place, outcome in enumerate(outcomes) if outcome is None]
        graded = self.served.grades([Answered(Case(p), a) for p, a in (answers[n] for n in todo)])
        for place, each in zip(todo, graded, strict=True):
            outcomes[place] = each.unscored or outcome_of(
                shares(each), tells_partly=self.tells_partly
            )
        return [each for each in outcomes if each is not None]

    def _plain(self, prompt: str, answer: str) -> Outcome | None:
        """What needs no model to be told."""
        name = plain_outcome(prompt, answer)
        return certain(name, tells_partly=self.tells_partly) if name else None

    @property
    def summary(self) -> JudgeSummary:
        """What is to be known of it so far."""
        return JudgeSummary.of(self.served)


def shares(graded: Graded) -> dict[OutcomeName, float]:
    """The share of an answer's two grades that each outcome got."""
    return {name: graded.grades.count(name) / 2 for name in JUDGED}


def served_outcome_judge(
    asked: AskedEndpoint,
    rubric: str | RubricSpec,
    where: str,
    progress: Progress,
    labelled: Sequence[LabelledOutcome] = (),
    *,
    whose: str = "",
    seed: int = 0,
    store: ReplyStore | None = None,
) -> ServedOutcomeJudge:
    """A judge behind an endpoint, with its agreement with labels where there are some.

    Raises InputError where endpoint, rubric or labels are wrong.
    """
    read = rubric_named(rubric, f"{where}.rubric")
    check_outcome_rubric(read, f"{where}.rubric")
    judge = ServedJudge(NAME, by_rubric(asked, read), where, seed=seed, store=store)
    judge.watched_by(progress)
    if not labelled:
        return ServedOutcomeJudge(judge, UnknownAgreement(judge.by))
    check_both_sides(labelled, whose)
    agreement = _agreement(judge, _some(labelled, seed), whose)
    return ServedOutcomeJudge(judge, agreement, agreement.tells_partly)


def check_outcome_rubric(rubric: RubricSpec, where: str) -> None:
    """Raises InputError where outcomes can't be told by a rubric."""
    if set(rubric.scale) != set(JUDGED):
        raise InputError(
            f"{where}: {rubric.name}: outcomes are told by a rubric whose grades are "
            f"{', '.join(JUDGED)}; it has {', '.join(rubric.scale)}"
        )
    if rubric.shows:
        raise InputError(
            f"{where}: {rubric.name}: shows {', '.join(rubric.shows)}, and outcomes are told by request "
            "and answer alone; leave out shows"
        )


def outcomes_of_spec(spec: JudgeSpec, progress: Progress, seed: int) -> ServedOutcomeJudge:
    """The judge of outcomes behind the endpoint that a spec names."""
    rubric = rubrics_by_name(spec.rubrics, "judge.rubrics").get(NAME, NAME)
    return served_outcome_judge(spec, rubric, "judge", progress, seed=seed)


def _some(labelled: Sequence[LabelledOutcome], seed: int) -> list[LabelledOutcome]:
    """At most LABELS_ASKED of those that refuse or comply, by a hash, in their order."""
    known = [
        each
        for each in labelled
        if each.outcome in JUDGED[:3] and plain_outcome(each.prompt, each.answer) is None
    ]

    def rank(each: LabelledOutcome) -> str:
        return stable_hash("outcomes asked", str(seed), each.source, each.prompt, each.answer)

    chosen = set(sorted(map(rank, known))[:LABELS_ASKED])
    return [each for each in known if rank(each) in chosen]


def _agreement(
    judge: ServedJudge, labelled: Sequence[LabelledOutcome], whose: str
) -> OutcomeAgreement:
    graded = judge.grades([Answered(Case(each.prompt), each.answer) for each in labelled])
    known = [(each, g) for each, g in zip(labelled, graded, strict=True) if not g.unscored]
    labels = np.array([CLASSES[each.outcome] for each, _ in known], dtype=np.int64)
    if len(set((labels == COMPLIED).tolist())) < 2:
        raise InputError(
            f"{whose}: of {len(labelled)} labelled answers {len(known)} got an outcome, and not of both "
            "sides; give more labels, or name a model that keeps to the grades"
        )
    declined = np.array([[shares(g)["refused"], shares(g)["partly"]] for _, g in known])
    # What it calls unrelated or gibberish is no refusal.
    three = np.column_stack([declined, 1 - declined.sum(axis=1)])
    sources = [each.source for each, _ in known]
    table = agreement_of(labels, three, sources, unseen_models=True, whose=whose)
    return replace(table, by=judge.by)
