"""What every method is: a way to make candidates from the base and the task's training side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from truing.methods.graders import Graders
from truing.methods.setup import Setup
from truing.runs.run import Run
from truing.spec.contrast import ContrastSpec
from truing.spec.run import BASE_START, Spec
from truing.types import InputError


def _no_objection(setup: Setup) -> None:
    pass


@dataclass(frozen=True)
class Method:
    """One way. `title` is its line in help and docs, `describe` its sentence on a model card.

    `make` leaves a candidate of its name in the run for one seed, in a stage of that name (with
    `-seedN`, where it needs seeds) that is skipped where it is done. `check` raises InputError, before
    any time is spent, where the spec's settings of it are wrong.
    """

    name: str
    title: str
    describe: Callable[[Setup], str]
    make: Callable[[Run, Setup, Graders, int], None]
    check: Callable[[Setup], None] = _no_objection
    check_texts: Callable[[Setup], None] = _no_objection
    """Raises InputError where there is nothing to learn from, once texts are tokens and before a new
    folder is begun."""
    needs_seeds: bool = True
    """Whether there is a candidate for each seed; of the others, one for the first."""
    trained_on_reward: bool = False
    """Whether its answers follow the reward, which then can't be what they are measured by."""
    trained_on_demonstrations: bool = False
    """Whether `data.demonstrations` are for it."""
    trained_on_preferences: bool = False
    """Whether `data.preferences` are for it."""
    logged_keys: Mapping[str, str] = field(default_factory=dict)
    """Figures in its log that are shown, with their names on the screen."""

    def to_json(self) -> dict[str, Any]:
        """What a run's record says of it, for the report."""
        return {
            "title": self.title,
            "needs_seeds": self.needs_seeds,
            "trained_on_reward": self.trained_on_reward,
        }


@dataclass(frozen=True)
class Planned:
    """A candidate that a run makes: a method's own, or a defence, by a method with options of its own.

    `start_of` names the candidate that begins from it, where it is made for that alone: its cost is that
    candidate's, and it is neither saved nor measured.
    """

    name: str
    method: Method
    spec: Spec
    is_defence: bool = False
    start_of: str = ""

    @property
    def start(self) -> str:
        """The method whose candidate it begins from; empty: the base."""
        start = self.spec.rl_start if self.method.name == "rl" else BASE_START
        return "" if start == BASE_START else start

    @property
    def needs_seeds(self) -> bool:
        """See Method."""
        return self.method.needs_seeds

    @property
    def contrast(self) -> ContrastSpec | None:
        """What it learns from, where that is attacks and their twins."""
        section = getattr(self.spec, self.method.name, None)
        contrast: ContrastSpec | None = getattr(section, "contrast", None)
        return contrast

    @property
    def trained_on_reward(self) -> bool:
        """Whether its answers follow the run's reward."""
        return self.method.trained_on_reward and self.contrast is None

    @property
    def trained_on_demonstrations(self) -> bool:
        """Whether `data.demonstrations` are for it."""
        return self.method.trained_on_demonstrations and self.contrast is None

    @property
    def trained_on_preferences(self) -> bool:
        """Whether `data.preferences` are for it."""
        return self.method.trained_on_preferences and self.contrast is None

    def seen_from(self, setup: Setup) -> Setup:
        """The run's setup as its method is to see it."""
        texts = setup.texts
        if self.start_of:
            return replace(setup, account=self.start_of)
        if self.contrast is not None:
            texts = replace(texts, demonstrations=None, preferences=None)
        elif not self.is_defence:
            return setup
        return replace(setup, spec=self.spec, texts=texts, candidate=self.name, whole=setup)

    def check(self, setup: Setup) -> None:
        """See Method. Raises InputError naming the defence, or whose start it is, where it is wrong."""
        self._named(lambda: self.method.check(self.seen_from(setup)))

    def check_texts(self, setup: Setup) -> None:
        """See Method; named as in `check`."""
        self._named(lambda: self.method.check_texts(self.seen_from(setup)))

    def _named(self, check: Callable[[], None]) -> None:
        try:
            check()
        except InputError as error:
            raise InputError(f"{self._place}{error}") from None

    @property
    def _place(self) -> str:
        """What a mistake in its settings is put down to, beside what the method says itself."""
        if self.start_of:
            return f"{self.start_of}.start: "
        return f"defence {self.name}: " if self.is_defence else ""

    def make(self, run: Run, setup: Setup, graders: Graders, seed: int) -> None:
        """See Method."""
        self.method.make(run, self.seen_from(setup), graders, seed)

    def stages(self, spec: Spec) -> list[str]:
        """The stages of a comparison in which `make` does its work."""
        seeded = [f"{self.name}-seed{seed}" for seed in spec.seeds]
        return seeded if self.needs_seeds else [self.name]

    def to_json(self) -> dict[str, Any]:
        """What a run's record says of it, for the report."""
        of = {"defence": self.method.name} if self.is_defence else {}
        return {**self.method.to_json(), "trained_on_reward": self.trained_on_reward, **of}
