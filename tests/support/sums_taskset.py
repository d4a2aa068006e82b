"""A taskset for verifiers: sums, worth 1 where the last word is right and 0.5 more where it is alone.

Its neighbours below need more than an answer each, and are refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType

import verifiers.v1 as vf

__all__ = ["SumsTaskset"]


class SumData(vf.TaskData):
    """A sum and its result."""

    answer: str


class SumTask(vf.Task[SumData]):
    """Two rewards, one of them asynchronous and both weighted."""

    @vf.reward(weight=1.0)
    async def right(self, trace: vf.Trace) -> float:
        """Whether the last word is the result."""
        words = trace.last_reply.split()
        return float(bool(words) and words[-1] == self.data.answer and not trace.is_truncated)

    @vf.reward(weight=0.5)
    async def alone(self, trace: vf.Trace) -> float:
        """Whether the answer is one word."""
        return float(len(trace.last_reply.split()) == 1)


class SumsTaskset(vf.Taskset[SumTask, vf.TasksetConfig]):
    """One to nine and one more, with a word to the model before."""

    def load(self) -> Iterable[SumTask]:
        """Yield the tasks."""
        for number in range(1, 10):
            data = SumData(
                prompt=f"{number} + {number + 1} =",
                system_prompt="Answer with a number.",
                answer=str(2 * number + 1),
            )
            yield SumTask(data, self.config.task)


class InContainer(SumTask):
    """Needs a container."""

    NEEDS_CONTAINER = True


class Prepared(SumTask):
    """Prepares a runtime."""

    async def setup(self, trace: vf.Trace, runtime: vf.Runtime) -> None:
        """Do nothing, which verifiers can't know."""


class Ungraded(vf.Task[SumData]):
    """Has no reward."""


class ByRuntime(vf.Task[SumData]):
    """Has a reward that looks into a runtime, and one that doesn't."""

    @vf.reward
    async def inside(self, trace: vf.Trace, runtime: vf.Runtime) -> float:
        """Never called."""
        return 1.0

    @vf.reward
    async def outside(self, trace: vf.Trace) -> float:
        """Called alone, this would be half of the reward."""
        return 1.0


def as_module(name: str, task: type[vf.Task], prompt: object = "1 + 1 =") -> None:
    """Make a module `name` whose taskset has one task of the type."""

    class One(vf.Taskset[task, vf.TasksetConfig]):  # type: ignore[valid-type]
        def load(self) -> Iterable[vf.Task]:
            yield task(SumData(prompt=prompt, answer="2"), self.config.task)

    module = ModuleType(name)
    module.One = One  # type: ignore[attr-defined]
    module.__all__ = ["One"]  # type: ignore[attr-defined]
    module.__file__ = __file__
    module.__spec__ = sys.modules[__name__].__spec__
    sys.modules[name] = module
