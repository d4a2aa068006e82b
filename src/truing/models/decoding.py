"""Answers written side by side: requests join and leave while others go on.

Unlike `sampling.sample`, which draws a batch that begins and ends together, a `BatchedGenerator` holds
rows of unlike age. Continuous batching as in Yu et al. (2022), "Orca", section 4.1, with one departure:
a row's tokens are the same, to the last bit of every score, whatever the others do. Products of matrices
may depend on how many rows they have; a trial tells, and where they do, all steps have the same number.
Rows of a model that follows no plan are run one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from truing.models.engine.attention import ScoreRule
from truing.models.engine.row_cache import KEPT_BYTES, PiecePlan, PrefixCache, Row, StepPlan
from truing.models.engine.text_stream import TextStream
from truing.models.engine.unpacked import Continued
from truing.models.language_model import LanguageModel
from truing.models.sampling import uniforms
from truing.types import InputError

GROUP = 8
"""Rows of one pass. More are computed in several."""
LIKELY = 256
"""So many likeliest tokens mostly hold the nucleus; only where they don't, all are sorted."""


@dataclass(frozen=True)
class Request:
    """What to write on: a prompt's tokens, and how its answer is drawn.

    Temperature 0 takes the likeliest token. With `top_p` below 1, tokens are drawn from the smallest
    set of likeliest ones whose probability is at least that (Holtzman et al., 2020, eq. 2). Draw
    `sample` of a prompt depends on seed, prompt and its number alone, as in `sampling.sample`.
    `hide_thoughts` leaves out of the text what the model thinks aloud before its answer.
    """

    prompt: tuple[int, ...]
    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    sample: int = 0
    stop: tuple[str, ...] = ()
    hide_thoughts: bool = False

    def __post_init__(self) -> None:
        if not self.prompt:
            raise InputError("prompt: must hold at least one token")
        if self.max_new_tokens < 1:
            raise InputError(f"max_tokens: must be at least 1, got {self.max_new_tokens}")
        if not 0 <= self.temperature < float("inf"):
            raise InputError(f"temperature: must be 0 or more, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p: must be above 0 and at most 1, got {self.top_p}")


class Generation:
    """An answer in the making.

    `tokens` are those drawn so far, the end token included; `text` is what may be shown of them.
    `finish` is None while it goes on, then "stop" (end token or stop text), "length", or "error" where
    the model's scores were no numbers.
    `known` prompt tokens didn't have to be computed.
    """

    def __init__(self, request: Request, model: LanguageModel) -> None:
        self.request = request
        self.tokens: list[int] = []
        self.finish: str | None = None
        self.known = 0
        self.row = Row()
        self.alone = Continued(model.model, cached=model.cached) if model.unpacked else None
        self._stream = TextStream(model.decode, request.stop)
        self._ends = model.end_tokens
        self._thoughts = model.speech.turn.thoughts if request.hide_thoughts else None
        self._opened = self._thoughts is not None and model.speech.opens(request.prompt)

    @cached_property
    def _uniforms(self) -> Tensor:
        """One for each token to be drawn; made when the first is: many may wait for their turn."""
        request = self.request
        return uniforms(request.prompt, request.seed, request.sample, request.max_new_tokens)

    @property
    def text(self) -> str:
        """Never ends within a character or within what may become a stop text, until it is finished."""
        return self.text_from(0)

    def text_from(self, start: int) -> str:
        """The same from a character on. May be asked for in another thread than the one that writes."""
        ended = self.finish is not None  # first: what is written meanwhile comes next time
        if self._thoughts is None:
            return self._stream.text_from(start)
        written = self._stream.text_from(0)
        return self._thoughts.shown(written, opened=self._opened, ended=ended)[start:]

    @property
    def has_read(self) -> bool:
        """Whether the whole prompt has been computed."""
        return bool(self.tokens) or self.finish is not None

    def draw(self, scores_V: Tensor) -> None:
        """Adds the token that these scores and the row's next uniform number give."""
        uniform = float(self._uniforms[len(self.tokens)])
        try:
            token = draw(scores_V, uniform, self.request.temperature, self.request.top_p)
        except ArithmeticError:  # of this row; the others of its pass go on
            self.end("error")
            return
        self.tokens.append(token)
        if token in self._ends or self._stream.add(token):
            self.end("stop")
        elif len(self.tokens) == self.request.max_new_tokens:
            self.end("length")

    def end(self, finish: str) -> None:
        """No further token. The answer may be kept; its keys and values needn't."""
        self.finish = finish
        self._stream.close()
        self.row = Row()
        self.alone = None


def draw(scores_V: Tensor, uniform: float, temperature: float, top_p: float = 1.0) -> int:
    """The token that a uniform number in [0, 1) gives, by inverting the cumulative distribution.

    One row at a time: reductions over several are split among threads in other ways. Raises
    ArithmeticError where the scores are no numbers.
    """
    if not bool(torch.isfinite(scores_V.amax())):
        raise ArithmeticError("the model's scores are not finite")
    if temperature == 0:
        return int(scores_V.argmax())
    weight_V = ((scores_V - scores_V.amax()) / temperature).exp_()
    if top_p == 1:
        cumulative_V = weight_V.cumsum(-1)
        place = torch.searchsorted(cumulative_V, uniform * cumulative_V[-1], right=True)
        return min(int(place), len(scores_V) - 1)
    wanted = top_p * weight_V.sum()
    for count in (min(LIKELY, len(scores_V)), len(scores_V)):
        least = weight_V.topk(count).values[-1]
        token_C = (weight_V >= least).nonzero()[:, 0]  # all that tie with the last of them as well
        sorted_C, order_C = weight_V[token_C].sort(descending=True, stable=True)
        cumulative_C = sorted_C.cumsum(-1)
        if cumulative_C[-1] >= wanted:
            break
    last = min(int(torch.searchsorted(cumulative_C, wanted)), len(token_C) - 1)
    place = torch.searchsorted(cumulative_C[: last + 1], uniform * cumulative_C[last], right=True)
    return int(token_C[order_C[min(int(place), last)]])


class BatchedGenerator:
    """Writes answers with one model. Not for two threads at once.

    Pieces of earlier prompts are kept, so that a beginning in common (a system message, the
    conversation so far) is computed once. `shared_prefix`: tokens that most prompts begin with.
    """

    def __init__(
        self, model: LanguageModel, shared_prefix: Sequence[int] = (), most_bytes: int = KEPT_BYTES
    ) -> None:
        self.model = model
        self._prefix_cache = PrefixCache(shared_prefix, most_bytes)
        self._padded = not model.unpacked and not rows_are_independent(model)

    def begin(self, request: Request) -> Generation:
        """An answer to be written. Raises InputError where prompt and answer exceed the context."""
        self.model.check_length(len(request.prompt) + request.max_new_tokens, "prompt and answer")
        return Generation(request, self.model)

    @torch.inference_mode()
    def read(self, generation: Generation) -> None:
        """Computes the next piece of the prompt, and after the last one draws the first token."""
        if self.model.unpacked:
            self._step_alone(generation)
            return
        row, prompt = generation.row, generation.request.prompt
        if row.length == 0:
            self._prefix_cache.restore(row, prompt)
            generation.known = row.length
        start, end = row.length, self._prefix_cache.end(row.length, prompt)
        device = self.model.device
        tokens = torch.tensor(prompt[start:end]).to(device)
        positions = torch.arange(start, end, device=device)
        hidden_TE = self.model.hidden(tokens, positions, PiecePlan(row))
        row.length = end
        self._prefix_cache.remember(row, start, prompt)
        if row.length == len(prompt):
            generation.draw(self._scores(hidden_TE[-1:])[0])

    @torch.inference_mode()
    def step(self, generations: Sequence[Generation]) -> None:
        """One token for each of some answers that have read their prompts and aren't finished."""
        if self.model.unpacked:
            for generation in generations:
                self._step_alone(generation)
            return
        for start in range(0, len(generations), GROUP):
            self._step(generations[start : start + GROUP])

    def _step(self, generations: Sequence[Generation]) -> None:
        rows = [generation.row for generation in generations]
        unused = [0] * (GROUP - len(rows) if self._padded else 0)
        device = self.model.device
        tokens = torch.tensor([g.tokens[-1] for g in generations] + unused).to(device)
        positions = torch.tensor([row.length for row in rows] + unused).to(device)
        scores_NV = self._scores(self.model.hidden(tokens, positions, StepPlan(rows)))
        for generation, row, scores_V in zip(generations, rows, scores_NV, strict=False):
            row.length += 1
            generation.draw(scores_V)

    def _step_alone(self, generation: Generation) -> None:
        """The whole prompt, or one token, of a model that follows no plan."""
        assert generation.alone is not None, "the answer is finished"
        text = torch.tensor([[*generation.request.prompt, *generation.tokens]])
        with self.model.precision():
            [scores_V] = generation.alone.logits(text.to(self.model.device))
        generation.draw(scores_V.cpu())

    def _scores(self, hidden_NE: Tensor) -> Tensor:
        """Logits (N, V) of the only row, or of a group: brought here at once, where tokens are drawn."""
        if self._padded and len(hidden_NE) < GROUP:
            hidden_NE = torch.cat(
                [hidden_NE, hidden_NE.new_zeros(GROUP - len(hidden_NE), hidden_NE.shape[1])]
            )
        return self.model.next_token_scores(hidden_NE).cpu()

    def write(self, request: Request) -> Generation:
        """One answer from beginning to end. Raises InputError and ArithmeticError."""
        return self.write_all([request])[0]

    def write_all(self, requests: Sequence[Request]) -> list[Generation]:
        """Answers side by side, from beginning to end. Raises InputError and ArithmeticError."""
        generations = [self.begin(request) for request in requests]
        for generation in generations:
            while not generation.has_read:
                self.read(generation)
        while writing := [each for each in generations if each.finish is None]:
            self.step(writing)
        if any(each.finish == "error" for each in generations):
            raise ArithmeticError("the model's scores are not finite")
        return generations


class _OnlyItself:
    """A plan under which every token sees itself alone."""

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        rule: ScoreRule,
    ) -> Tensor:
        """See AttentionPlan."""
        return value_NKD.repeat_interleave(query_NHD.shape[1] // value_NKD.shape[1], dim=1)


@torch.inference_mode()
def rows_are_independent(model: LanguageModel) -> bool:
    """Whether a row's scores are the same bits in passes of 1 to GROUP rows.

    Which they are depends on the processor's libraries and on the shapes, not on the numbers.
    """
    tokens = torch.linspace(0, model.model.config.vocab_size - 1, GROUP).long().to(model.device)
    positions = torch.arange(GROUP, device=model.device)

    def scores(rows: Tensor) -> Tensor:
        return model.next_token_scores(model.hidden(tokens[rows], positions[rows], _OnlyItself()))

    together = scores(positions)
    return all(
        torch.equal(scores(positions[-count:]), together[-count:]) for count in range(1, GROUP)
    )
