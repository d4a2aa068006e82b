"""Who runs a model's packs where they aren't run in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from truing.models.engine.tree import SharedPrefix
    from truing.models.sample_plan import Rows, SamplePlan
    from truing.models.sampling import Sampling
    from truing.models.scoring import Scored, ScorePlan


class Elsewhere(Protocol):
    """Plans in, what their packs give out: in any order, several at once, each with its number."""

    def scored(
        self, plans: Iterable[tuple[ScorePlan, SharedPrefix | None]]
    ) -> Iterator[tuple[int, list[list[Scored]]]]:
        """Of each plan the scores of each pack, as `score_pack` gives them. Of a prefix only its tokens
        count."""
        ...

    def sampled(
        self, plans: Iterable[tuple[SamplePlan, Sampling]], tell: Callable[[int], None]
    ) -> Iterator[tuple[int, list[Rows]]]:
        """Of each plan the rows of each part; `tell` hears how many rows are finished."""
        ...
