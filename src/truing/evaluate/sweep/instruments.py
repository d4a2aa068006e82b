"""What a sweep measures with: the judge of outcomes, and the base and reward of each candidate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from truing.candidates import RECORD, open_candidate
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.local import LocalRespondent
from truing.evaluate.of_run import RunInstruments, recorded_base, run_of
from truing.evaluate.sweep.request import SweepSpec
from truing.judges.outcome.labels import read_labelled
from truing.judges.outcomes import JudgeOfOutcomes
from truing.judges.refusal import load_outcome_judge
from truing.judges.served import OUTCOME, rubrics_by_name
from truing.judges.served_outcomes import ServedOutcomeJudge, served_outcome_judge
from truing.models.remote.client import Connection
from truing.models.user_cache import ModelUnavailable
from truing.models.weights.adapter_folders import is_adapter
from truing.progress import Progress
from truing.rewards.reward import Reward
from truing.rewards.rubrics.summary import JudgeSummary
from truing.spec.rubric import AskedEndpoint
from truing.types import InputError, Unscored


@dataclass
class LazyOutcomeJudge:
    """The judge of outcomes, loaded when an evaluation first asks for it."""

    spec: SweepSpec
    progress: Progress
    connection: Connection
    _judge: JudgeOfOutcomes | None = None

    def __call__(self) -> JudgeOfOutcomes:
        """The judge. Raises InputError where its labels, endpoint or rubric are wrong."""
        if self._judge is None:
            labels, endpoint = self.spec.outcome_labels or (), self.spec.outcome_judge
            self._judge = (
                load_outcome_judge(None, self.progress, labels)
                if endpoint is None
                else self._served(self.spec.asked(endpoint, self.connection), labels)
            )
        return self._judge

    def _served(self, asked: AskedEndpoint, labels: Sequence[Path]) -> ServedOutcomeJudge:
        named = rubrics_by_name(self.spec.rubrics or (), "--rubric")
        return served_outcome_judge(
            asked,
            named.get(OUTCOME, OUTCOME),
            "--outcome-judge",
            self.progress,
            read_labelled(labels) if labels else (),
            whose=", ".join(path.name for path in labels),
            seed=self.spec.seed,
        )

    @property
    def summaries(self) -> list[JudgeSummary]:
        """What is to be known of it, where it is behind an endpoint."""
        return [self._judge.summary] if isinstance(self._judge, ServedOutcomeJudge) else []

    @property
    def agreement(self) -> str:
        """How far it agrees with labels, in a sentence; empty where nobody asked for it."""
        return self._judge.agreement.sentence if self._judge else ""


@dataclass
class Instruments:
    """Base and reward of each candidate, made when an evaluation first asks for them."""

    spec: SweepSpec
    progress: Progress
    accept_licence: bool
    _runs: dict[Path, RunInstruments] = field(default_factory=dict)

    def base_of(self, name: str) -> Callable[[], LocalRespondent | Unscored]:
        """What drift is measured from: the base named, else the one that the candidate's folder records."""
        folder = Path(name).expanduser()
        if self.spec.base is not None:
            return lambda: self._named_base
        if (folder / RECORD).is_file() or is_adapter(folder):
            return cache(lambda: self._recorded_base(folder))
        return EvalContext().base

    @cached_property
    def _named_base(self) -> LocalRespondent:
        spec = self.spec
        assert spec.base is not None
        with self.progress.task(f"Loading {spec.base}"):
            candidate, _ = open_candidate(
                spec.base, spec.seed, spec.dtype, accept_licence=self.accept_licence
            )
        return LocalRespondent(candidate)

    def _recorded_base(self, folder: Path) -> LocalRespondent | Unscored:
        spec, licence = self.spec, self.accept_licence
        try:
            base = recorded_base(folder, spec.dtype, spec.seed, accept_licence=licence)
            return LocalRespondent(base)
        except (InputError, ModelUnavailable) as error:
            return Unscored(f"its base can't be had ({error}); name one with --base")

    def reward_of(self, name: str) -> Callable[[], Reward | Unscored | None]:
        """The reward of the run that the candidate's folder lies in."""
        run = run_of(Path(name))
        if run is None:
            return EvalContext().reward

        def reward() -> Reward | Unscored:
            if run not in self._runs:
                self._runs[run] = RunInstruments(run, self.progress)
            return self._runs[run].reward_or_reason()

        return reward
