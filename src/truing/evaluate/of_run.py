"""What a run's folder gives to evaluations: its cases, its base, its judges, its reward.

For candidates that are measured when the run is over: alone (`truing eval`), or so that the run gets the
rows of one more evaluation (`truing eval NAME --run RUN`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from truing.candidates import RECORD, Candidate, load_candidate, open_candidate
from truing.data.attacks import attacks_on
from truing.data.refusal_cases import task_refusals
from truing.data.rule_book import RuleBook
from truing.data.survey import Survey, task_survey
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.local import LocalRespondent
from truing.evaluate.opinion_prompts import asked_of
from truing.files import read_json
from truing.judges.built_in import Judges
from truing.judges.outcomes import JudgeOfOutcomes
from truing.judges.refusal import outcome_judge_of_run
from truing.judges.served import ServedJudges, judges_of_spec
from truing.models import devices
from truing.models.features import CachedEmbedder
from truing.models.identity import weights_of
from truing.models.precision import computed_in
from truing.models.weights.adapter_folders import AdapterFolder
from truing.progress import Progress
from truing.rewards.calling import columns_of
from truing.rewards.learned.saved import opened
from truing.rewards.mixture import PROBE_FOLDER, build_reward, fitted_in
from truing.rewards.reward import Answered, Reward
from truing.rewards.truth_probe import PROBE_FILE, Embedder, load_truth_probe
from truing.runs.folder import RunFolder, candidate_folder
from truing.spec.reading import make_spec, read_mapping
from truing.spec.run import Spec
from truing.types import Case, Dtype, InputError, Score, Unscored

Graders = Mapping[str, Callable[[Answered], Score]]
GradersOf = Callable[[Spec], Graders]
Rules = tuple[RuleBook, Graders]
"""A book of rules, and what tells whether an answer keeps each."""


def _none(spec: Spec) -> Graders:
    return {}


def run_of(candidate: Path) -> Path | None:
    """The run that a candidate's folder lies in (RUN/candidates/NAME), if it lies in one."""
    folder = candidate.expanduser().resolve()
    run = folder.parent.parent
    inside = folder.parent.name == "candidates" and (folder / RECORD).is_file()
    return run if inside and (run / "run.json").is_file() else None


class RunInstruments:
    """A run that was made: what its candidates are measured with, each made when first asked for."""

    def __init__(
        self,
        folder: Path,
        progress: Progress,
        graders_of: GradersOf = _none,
        rules: Callable[[], Rules] | None = None,
    ) -> None:
        """`graders_of` gives the programs of the task that a spec names, `rules` that task's rules.

        Raises InputError where there is no run, or its spec can't be read.
        """
        self.folder = folder
        self.progress = progress
        self.run = RunFolder.open(folder)
        spec = folder / "spec.yaml"
        self.spec: Spec = make_spec(read_mapping(spec), profile=None, where=str(spec))
        self._cases = self.run.questions()
        self.survey: Survey | None = None
        """What is asked in place of the task's survey, where that names none."""

        self._graders_of = graders_of
        self._rules = rules

    @cached_property
    def graders(self) -> Graders:
        """The programs of the run's task, by the judge's name."""
        return self._graders_of(self.spec)

    def _split(self, name: str) -> tuple[Case, ...]:
        return tuple(Case.from_json(c) for c in self._cases.values() if c["split"] == name)

    @cached_property
    def held_out(self) -> tuple[Case, ...]:
        """The questions that nobody trained on."""
        return self._split("held_out")

    @cached_property
    def controls(self) -> tuple[Case, ...]:
        """Questions without a misconception."""
        return self._split("control")

    @cached_property
    def refusals(self) -> tuple[Case, ...]:
        """Prompts of the task that say whether they are to be declined."""
        return task_refusals(self.spec.task.data.refusals)

    @property
    def names(self) -> list[str]:
        """The candidates as planned, the base first."""
        return list(self.run.record["candidates"])

    def candidate_folder(self, name: str, seed: int) -> Path:
        """See runs.folder."""
        return candidate_folder(self.folder, name, seed, self.spec.seeds[0])

    def candidate(self, name: str, seed: int, dtype: Dtype | None = None) -> Candidate:
        """A candidate in the precision that the run measures in, or another."""
        devices.announce(self.progress.note)
        folder = self.candidate_folder(name, seed)
        precision = dtype or self.spec.evaluation.dtype
        return load_candidate(folder, name, seed, precision, self.graders)

    @cached_property
    def reader(self) -> Candidate:
        """The base in the precision that judges and reward read answers in."""
        with self.progress.task(f"Loading the base of {self.folder}"):
            return self.candidate("base", self.spec.seeds[0], self.spec.dtype)

    @cached_property
    def base(self) -> LocalRespondent:
        """The base in the precision that the run measures in."""
        if computed_in(self.spec.evaluation.dtype) == computed_in(self.spec.dtype):
            return LocalRespondent(self.reader)
        return LocalRespondent(self.candidate("base", self.spec.seeds[0]))

    @cached_property
    def _embed(self) -> CachedEmbedder:
        return CachedEmbedder(Embedder(self.reader.renderer, self.reader.prompt))

    @cached_property
    def judges(self) -> Judges | ServedJudges:
        """The run's judges, fitted anew to its held-out questions; or those behind its endpoint."""
        spec = self.spec
        if spec.judge.endpoint is not None:
            cases = (*self._split("train"), *self.held_out)
            return judges_of_spec(spec.judge, cases, self.held_out, self.progress, spec.seeds[0])
        with self.progress.task("Fitting the judges"):
            return Judges(self.held_out, self._embed)

    @cached_property
    def outcomes(self) -> JudgeOfOutcomes:
        """The judge of what answers did."""
        return outcome_judge_of_run(self.folder, self.spec, self.progress)

    @cached_property
    def reward(self) -> Reward | None:
        """The reward that the run learned from; None where it learned from none."""
        methods = self.run.part("methods").values() or [
            {"trained_on_reward": "rl" in self.spec.methods}
        ]
        if not any(method.get("trained_on_reward") for method in methods):
            return None
        columns = columns_of(map(Case.from_json, self._cases.values()))
        return build_reward(
            self.spec.reward,
            self._truth_probe,
            self.graders,
            columns,
            learned=fitted_in(
                self.folder / PROBE_FOLDER,
                partial(opened, self.reader.renderer, self._base_weights),
            ),
        )

    def _base_weights(self) -> str:
        return weights_of(self.candidate_folder("base", self.spec.seeds[0]))

    def _truth_probe(self) -> Reward:
        folder = self.folder / PROBE_FOLDER
        if not (folder / PROBE_FILE).is_file():
            raise InputError(f"{folder}: holds no {PROBE_FILE}; the run's reward needs it")
        return load_truth_probe(folder, self._embed, self.spec.reward)

    def reward_or_reason(self) -> Reward | Unscored:
        """The reward, or why there is none: for rows that stand alone."""
        try:
            reward = self.reward
        except InputError as error:
            return Unscored(str(error))
        return reward or Unscored(f"{self.folder} learned from no reward")

    def context(self) -> EvalContext:
        """What an evaluation of this run is measured in: as `truing align` measured the others."""
        spec = self.spec.evaluation
        rules = self._rules
        ruled: dict[str, Any] = {}
        if rules:
            ruled = {
                "rules": lambda: rules()[0],
                "rule_checks": lambda: rules()[1],
                "attack_book": lambda: attacks_on(rules()[0]),
            }
        return EvalContext(
            held_out=self.held_out,
            controls=self.controls,
            refusals=self.refusals,
            opinions=asked_of(self.survey or task_survey(self.spec.task.survey)),
            outcomes=lambda: self.outcomes,
            max_new_tokens=spec.max_new_tokens,
            attacks=spec.attacks,
            rule_cases=spec.rules,
            kl_questions=spec.kl_questions,
            draws=spec.draws,
            draw_cases=spec.draw_cases,
            temperature=self.spec.best_of_n.temperature,
            judges=lambda: self.judges,
            graders=lambda: self.graders,
            base=lambda: self.base,
            reward=lambda: self.reward,
            **ruled,
        )


def recorded_base(folder: Path, dtype: Dtype, seed: int, *, accept_licence: bool) -> Candidate:
    """The base of a candidate's folder: its run's, else the weights that its record names.

    Raises InputError where they can't be had.
    """
    run = run_of(folder)
    if run and (run / "candidates" / "base" / RECORD).is_file():
        return load_candidate(run / "candidates" / "base", "base", seed, dtype)
    if (folder / RECORD).is_file():
        name = str(read_json(folder / RECORD).get("base", ""))
    else:
        name = AdapterFolder.open(folder).base
    return open_candidate(name, seed, dtype, accept_licence=accept_licence)[0]
