"""Batches that are drawn while their learner learns: step t's by the weights of some updates ago.

Step t is drawn by version max(0, t - 1 - k), where a version is the number of updates behind the weights,
and k the staleness. So k + 1 steps are on their way at once, and which version draws which step doesn't
depend on who is how fast: the same run draws the same batches, and one that was killed goes on with them,
as long as versions can be had again. k = 0 draws each step by the weights that learn from it, and nothing
ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Batch = TypeVar("Batch")


class Ahead(Generic[Batch]):
    """Batches of steps 1 to `last`. `draw` makes one of a step by a version; `publish` takes the weights as
    they are now for a version, before any is drawn by it."""

    def __init__(
        self,
        draw: Callable[[int, int], Batch],
        publish: Callable[[int], None],
        staleness: int,
        last: int,
    ) -> None:
        self._draw, self._publish = draw, publish
        self._staleness, self._last = staleness, last
        self._pool = ThreadPoolExecutor(1) if staleness else None
        self._drawing: dict[int, Future[Batch]] = {}

    def of(self, step: int) -> Batch:
        """The batch of a step, counted from 1, once there were `step` - 1 updates.

        Steps are asked for in order; the first may be any, where training goes on. Raises what `draw` or
        `publish` raises.
        """
        self._publish(step - 1)
        if self._pool is None:
            return self._draw(step, step - 1)
        for later in range(step, min(step + self._staleness, self._last) + 1):
            if later not in self._drawing:
                version = max(0, later - 1 - self._staleness)
                self._drawing[later] = self._pool.submit(self._draw, later, version)
        return self._drawing.pop(step).result()

    def close(self) -> None:
        """Leaves what isn't begun; what is drawn now isn't waited for."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
