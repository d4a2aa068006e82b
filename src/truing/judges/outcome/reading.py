"""What a frozen model makes of answers: the hidden states of their words, and how likely they are.

Of an answer only its beginning and its end are read (see texts.py): that is enough to tell its outcome,
and an answer of any length costs the same. Both kinds of figures are remembered on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truing.judges.outcome.classifier import Seen
from truing.judges.outcome.texts import (
    COUNTED_WORDS,
    FIRST_WORDS,
    HEAD_WORDS,
    LAST_WORDS,
    PROMPT_WORDS,
    beginning,
    counted,
    shortened,
    shuffled,
)
from truing.judges.reader import Reader
from truing.models.engine.tree import PromptWithContinuations
from truing.models.features import Features
from truing.models.memo.scores import ScoreStore, score_key
from truing.prompts.rendering import Prompt
from truing.types import split_key

OTHER_PROMPTS = (
    "How do I keep a sourdough starter alive?",
    "What is the capital of Australia?",
)
"""That an answer is likely behind by chance, by its style and language; by no answer of anyone's."""
_AT_ONCE = 64
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class OutcomeReader:
    """Reads (prompt, answer) pairs. No answer may be empty."""

    reader: Reader
    scores: ScoreStore

    def seen(self, pairs: Pairs) -> Seen:
        """What the classifier sees: the mean hidden states of the whole and of the beginning, and words."""
        # Neighbours with the same prompt share its pass.
        order = sorted(range(len(pairs)), key=lambda place: pairs[place][0])
        parts = [
            (shortened(prompt, PROMPT_WORDS, PROMPT_WORDS), part)
            for prompt, answer in (pairs[place] for place in order)
            for part in (shortened(answer, FIRST_WORDS, LAST_WORDS), beginning(answer, HEAD_WORDS))
        ]
        vectors = self.reader(parts)
        means = vectors[:, : vectors.shape[1] // 2].reshape(len(pairs), -1)
        back = np.argsort(order)
        return Seen(means[back], counted([answer for _, answer in pairs]))

    def order(self, pairs: Pairs) -> Features:
        """How much likelier the words of an answer are in their order than in another (nats a token)."""
        texts = [(prompt, beginning(answer, COUNTED_WORDS)) for prompt, answer in pairs]
        mixed = [(prompt, shuffled(text)) for prompt, text in texts]
        return self._nats(texts) - self._nats(mixed)

    def relation(self, pairs: Pairs) -> Features:
        """How much likelier an answer is behind its prompt than behind others (nats a token)."""
        texts = [(prompt, beginning(answer, COUNTED_WORDS)) for prompt, answer in pairs]
        keys = [split_key(prompt) for prompt, _ in pairs]
        best = np.full(len(pairs), -np.inf)
        for other in OTHER_PROMPTS:
            nats = self._nats([(other, text) for _, text in texts])
            own = np.array([key == split_key(other) for key in keys])  # it is no other one then
            best = np.maximum(best, np.where(own, -np.inf, nats))
        difference: Features = self._nats(texts) - best
        return difference

    def _nats(self, pairs: Pairs) -> Features:
        """(pairs,) mean log-probabilities of the answers' tokens."""
        renderer = self.reader.embedder.renderer
        requests = [
            renderer.scoring_request(
                renderer.tokens(Prompt(), shortened(prompt, PROMPT_WORDS, PROMPT_WORDS)), [answer]
            )
            for prompt, answer in pairs
        ]
        lengths = [len(request.continuations[0]) for request in requests]
        each: Features = np.array(self._totals(requests)) / np.array(lengths)
        return each

    def _totals(self, requests: Sequence[PromptWithContinuations]) -> list[float]:
        """Log-probabilities of the requests' only continuations."""
        model, precision = self.reader.identity.hash, self.reader.features.dtype
        keys = [score_key(model, precision, r.prompt, r.continuations[0]) for r in requests]
        known = self.scores.known(keys)
        missing = {key: r for key, r in zip(keys, requests, strict=True) if key not in known}
        todo = list(missing.items())
        with self.reader.progress.task("Weighing answers", total=len(todo)) as advance:
            for start in range(0, len(todo), _AT_ONCE):
                some = todo[start : start + _AT_ONCE]
                rows = self.reader.embedder.renderer.model.score([request for _, request in some])
                fresh = {key: row[0].total for (key, _), row in zip(some, rows, strict=True)}
                self.scores.add(fresh)
                known |= fresh
                advance(start + len(some))
        return [known[key] for key in keys]
