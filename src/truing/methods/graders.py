"""The graders of a run: the judges and the reward, made when first needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

from truing.judges.built_in import Judges
from truing.judges.graded import JUDGED, grade_metrics
from truing.judges.outcomes import JudgeOfOutcomes
from truing.judges.refusal import outcome_judge_of_run
from truing.judges.served import OUTCOME, ServedJudges, judges_of_spec
from truing.judges.served_outcomes import ServedOutcomeJudge
from truing.methods.setup import Setup
from truing.models.features import CachedEmbedder
from truing.rewards.calling import columns_of
from truing.rewards.learned.of_pairs import Pair, fit_pair_reward
from truing.rewards.learned.saved import LearnedReward, opened
from truing.rewards.mixture import PROBE_FOLDER, Mixture, build_reward, fitted_in
from truing.rewards.reward import Answered, Reward, graded
from truing.rewards.rubrics.judge import ServedJudge
from truing.rewards.rubrics.summary import JudgeSummary, summaries
from truing.rewards.truth_probe import Embedder, load_truth_probe
from truing.runs.folder import note_judges, read_judges
from truing.tasks.texts import JUDGED_EVALUATION
from truing.types import Score, Unscored

LEAST_PROMPTS = 5
"""Held-out ones with pairs, without which no reward model is fitted to them: one for each fold."""


class Graders:
    """What candidates of one run are measured with, and trained on."""

    def __init__(self, setup: Setup, folder: Path) -> None:
        """`folder` is the run's: it holds the reward model, and gets the judges' agreement."""
        self.setup, self.folder = setup, folder
        self._served: dict[str, ServedJudge] = {}
        self._before = read_judges(folder)

    @cached_property
    def embed(self) -> CachedEmbedder:
        """What judges and reward model see of an answer: often of the same answers in turn."""
        return CachedEmbedder(Embedder(self.setup.renderer, self.setup.base_prompt))

    @cached_property
    def judges(self) -> Judges | ServedJudges:
        """Fitted on the held-out split's labelled answers, each fold without its own questions; or behind
        the endpoint that the spec names."""
        judges = self._judges()
        agreement = {name: each.to_json() for name, each in judges.agreement.items()}
        note_judges(self.folder, agreement)
        return judges

    def _judges(self) -> Judges | ServedJudges:
        setup, spec = self.setup, self.setup.spec
        if spec.judge.endpoint is not None:
            cases = (*setup.train, *setup.held_out)
            judges = judges_of_spec(
                spec.judge, cases, setup.held_out, setup.progress, spec.seeds[0]
            )
            self._served |= judges.judges
            return judges
        with setup.progress.task("Fitting the judges"):
            return Judges(setup.held_out, self.embed)

    @cached_property
    def outcomes(self) -> JudgeOfOutcomes:
        """What answers did with their prompts, by the judge that ships or the one behind an endpoint."""
        judge = outcome_judge_of_run(self.folder, self.setup.spec, self.setup.progress)
        if isinstance(judge, ServedOutcomeJudge):
            self._served[OUTCOME] = judge.served
        return judge

    def note_served(self) -> list[str]:
        """Writes what is to be known of the judges behind endpoints beside their agreement with labels:
        whether they grade, what the order of grades does, what their replies cost. Returns it in words."""
        every = (*self._served.values(), *self.setup.texts.task.served)
        used = {each.name: each for each in summaries(every)}
        known = read_judges(self.folder)
        if used:
            note_judges(
                self.folder,
                {
                    name: {**known.get(name, {}), **self._totals(each)}
                    for name, each in used.items()
                },
            )
        return [line for each in used.values() for line in each.lines()]

    def _totals(self, summary: JudgeSummary) -> dict[str, float | str | None]:
        """Figures of a judge; what it cost in this process joins what it had cost before. Where either
        isn't known, neither is the sum."""
        before, usage = self._before.get(summary.name, {}), summary.usage
        counts = ("replies", "tokens_sent", "tokens_back", "seconds", "price")
        costs = {name: getattr(usage, name) for name in counts}
        for name in costs.keys() & before.keys():
            known = costs[name] is not None and before[name] is not None
            costs[name] = costs[name] + before[name] if known else None
        return {"by": summary.by, **summary.figures, **costs, "currency": usage.currency}

    @cached_property
    def pair_judge(self) -> Reward | Unscored:
        """A reward model of the held-out pairs, which nothing is trained on. How often it orders those of a
        prompt that it didn't see stands with the judges."""
        setup, people = self.setup, self.setup.texts.preferences
        held_out = people.held_out if people else ()
        prompts = len({pair.messages for pair in held_out})
        if prompts < LEAST_PROMPTS:
            return Unscored(
                f"{prompts} held-out prompt(s) with pairs, and a reward model is fitted to "
                f"{LEAST_PROMPTS} or more"
            )
        with setup.progress.task("Fitting a reward model to the held-out pairs"):
            fitted = fit_pair_reward(
                setup.renderer,
                setup.spec.model,
                setup.weights(),
                [Pair(p.messages, p.chosen, p.rejected, p.source) for p in held_out],
                "held-out pairs",
                setup.spec.seeds[0],
            )
        figures = {"accuracy": fitted.accuracy.value, "n": fitted.pairs}
        note_judges(self.folder, {"preferred (reward model)": figures})
        return LearnedReward(fitted.model, setup.renderer)

    @cached_property
    def reward(self) -> Reward:
        """The reward of the spec, with the probes that the run fitted where they take part."""
        setup = self.setup
        cases = (*setup.rollout_prompts, *setup.train, *setup.held_out)
        reward = build_reward(
            setup.spec.reward,
            self._truth_probe,
            setup.texts.task.graders,
            columns_of(cases),
            learned=fitted_in(
                self.folder / PROBE_FOLDER, partial(opened, setup.renderer, setup.weights)
            ),
        )
        for part in reward.parts if isinstance(reward, Mixture) else ():
            if part.judge is not None:
                part.judge.watched_by(setup.progress)
                self._served[part.judge.name] = part.judge
        return reward

    @property
    def judged(self) -> bool:
        """Whether free answers are graded by judges that learn from true and false answers."""
        return JUDGED_EVALUATION in self.setup.spec.task.evaluations

    def grades(self, answers: Sequence[Answered]) -> dict[str, list[Score]]:
        """The grades of answers by name: those of the learned judges, or of the task's programs."""
        if self.judged:
            pairs = [(each.case, each.answer) for each in answers]
            columns = [grade_metrics(grade) for grade in self.judges.grade(pairs)]
            return {name: [column[name] for column in columns] for name in JUDGED}
        programs = self.setup.texts.task.graders
        return {name: graded(grade, answers) for name, grade in programs.items()}

    def _truth_probe(self) -> Reward:
        return load_truth_probe(self.folder / PROBE_FOLDER, self.embed, self.setup.spec.reward)
