"""Which rows are sampled side by side, and what has been drawn of them.

Which parts there are follows from the prompts, the numbers of samples and new tokens, and how many run at
once: whoever samples a part, in whatever order, with the threads that are its share, gets the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from truing.models.engine.nesting import neighbours
from truing.models.engine.room import halves
from truing.models.language_model import LanguageModel

ROWS = 256  # completions sampled side by side: steps of fewer wait for the weights to be read
SHORT_ROWS = 512  # as many where prompts and answers are short ...
SHORT_TOKENS = 512 * 160  # ... so that the cache holds no more tokens than these
ROWS_OF_A_WORKER = 64
"""With fewer rows, passes wait for the weights to be read: one is then faster than two at once."""


@dataclass(frozen=True)
class Part:
    """Rows that are sampled together: the samples of these numbers of each prompt, which has at most
    so many tokens."""

    prompts: Sequence[Sequence[int]]
    longest: Sequence[int]
    samples: range

    def __len__(self) -> int:
        return len(self.prompts) * len(self.samples)

    def halves(self) -> list[Part]:
        """The first and the second half of the rows; itself where there is but one."""
        if len(self.prompts) > 1:
            both = zip(halves(self.prompts), halves(self.longest), strict=True)
            return [Part(prompts, longest, self.samples) for prompts, longest in both]
        return [Part(self.prompts, self.longest, samples) for samples in halves(self.samples)]


class Rows:
    """What has been drawn so far, by the row's first slot number; `longest`: tokens of each at most."""

    def __init__(self, longest: Sequence[int]) -> None:
        self.longest, count = list(longest), len(longest)
        self.tokens: list[list[int]] = [[] for _ in range(count)]
        self.log_probs: list[list[float]] = [[] for _ in range(count)]
        self.finished = [False] * count
        self.entropy = 0.0
        self.drawn = 0

    @staticmethod
    def joined(parts: Sequence[Rows]) -> Rows:
        """Those of parts behind one another."""
        if len(parts) == 1:
            return parts[0]
        rows = Rows([])
        for part in parts:
            rows.longest += part.longest
            rows.tokens += part.tokens
            rows.log_probs += part.log_probs
            rows.finished += part.finished
            rows.entropy += part.entropy
            rows.drawn += part.drawn
        return rows


@dataclass(frozen=True)
class SamplePlan:
    """The parts that prompts are sampled in; `together` of them run at once. `shares` has the numbers of
    each part's prompts."""

    parts: Sequence[Part]
    shares: Sequence[Sequence[int]]
    samples: int
    together: int

    @staticmethod
    def of(
        model: LanguageModel,
        prompts: Sequence[Sequence[int]],
        samples: int,
        longest: Sequence[int],
    ) -> SamplePlan:
        """For `samples` of each prompt, with as many new tokens as `longest` says at most."""
        order = neighbours(prompts)
        order.sort(key=lambda number: -longest[number])  # rows of one length leave steps together
        together = min(model.workers, max(1, len(prompts) * samples // ROWS_OF_A_WORKER))
        most_rows = _rows_at_once(model, prompts, max(longest, default=1))
        shares = _shared_out(order, samples, together, most_rows)
        parts = [
            Part([prompts[n] for n in share], [longest[n] for n in share], range(samples))
            for share in shares
        ]
        return SamplePlan(parts, shares, samples, together)


def _shared_out(
    numbers: Sequence[int], samples: int, together: int, most: int
) -> list[Sequence[int]]:
    """Prompts' numbers in parts of about one size, of which `together` make `most` rows at most."""
    most = max(1, most // samples // together)
    parts = max(1, -(-len(numbers) // (most * together))) * together
    size = max(1, -(-len(numbers) // parts))
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def _rows_at_once(model: LanguageModel, prompts: Sequence[Sequence[int]], new_tokens: int) -> int:
    """Off the processor as many as memory has room for; on it more of short ones; fewer once it ran out."""
    most = ROWS
    if model.device.type != "cpu" and prompts:
        most = model.fitting_rows(max(map(len, prompts)) + new_tokens)
    elif prompts:
        tokens = sum(map(len, prompts)) / len(prompts) + new_tokens
        most = max(ROWS, min(SHORT_ROWS, int(SHORT_TOKENS / tokens)))
    if model.most_rows is not None:
        most = min(most, model.most_rows)
    return max(1, int(most * model.room.share))
