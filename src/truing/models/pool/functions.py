"""What a worker can be asked about a pack: functions by name. A line in `FUNCTIONS` adds one.

A function runs on what the worker holds of a model; its request and its answer are messages, which stand
here side by side so that one is seen to be the other's inverse.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import accumulate, pairwise
from threading import Lock
from typing import Any, Protocol

import torch

from truing.models.engine.tree import PromptWithContinuations, SharedPrefix, Tokens
from truing.models.language_model import LanguageModel
from truing.models.pool.messages import Message
from truing.models.sample_plan import Part, Rows
from truing.models.sampling import Sampling, sample_part
from truing.models.scoring import Scored, run_prefix, score_pack

_PREFIXES = 4  # whose keys and values a worker keeps


@dataclass
class Held:
    """A model in a worker, and what was run of it that packs begin with. `threads`: all of the worker's;
    `is_changed`: whether its weights are another's but for an adapter."""

    model: LanguageModel
    threads: int
    is_changed: bool = False
    _prefixes: OrderedDict[tuple[int, ...], SharedPrefix | None] = field(
        default_factory=OrderedDict
    )
    _lock: Lock = field(default_factory=Lock)

    def prefix(self, tokens: tuple[int, ...]) -> SharedPrefix | None:
        """The tokens run once, with all threads, as one process would."""
        with self._lock:
            if tokens not in self._prefixes:
                with threads(self.threads):
                    self._prefixes[tokens] = run_prefix(self.model, tokens)
            self._prefixes.move_to_end(tokens)
            while len(self._prefixes) > _PREFIXES:
                self._prefixes.popitem(last=False)
            return self._prefixes[tokens]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Lets this thread's passes use so many cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Pack(Protocol):
    """Something to be run whole. `function` names who runs it."""

    @property
    def function(self) -> str:
        """Its name in `FUNCTIONS`."""
        ...

    def request(self) -> dict[str, Any]:
        """What the worker needs to know, as JSON has it."""
        ...

    def result(self, answer: Message) -> Any:
        """What the worker's answer means."""
        ...

    def described(self) -> str:
        """Which one it is, for a message."""
        ...


@dataclass(frozen=True)
class ScorePack:
    """Continuations of prompts whose log-probabilities are asked for; the prompts begin with `prefix`."""

    requests: tuple[PromptWithContinuations, ...]
    prefix: tuple[int, ...] = ()
    function = "score"

    def request(self) -> dict[str, Any]:
        """See Pack."""
        return {
            "prompts": [list(each.prompt) for each in self.requests],
            "continuations": [list(map(list, each.continuations)) for each in self.requests],
            "prefix": len(self.prefix),
        }

    def result(self, answer: Message) -> list[Scored]:
        """The scores of all continuations, one behind the other."""
        log_prob_C = answer.tensors["log_probs"]
        counts = [len(c) for each in self.requests for c in each.continuations]
        return [
            Scored(log_prob_C[start:end]) for start, end in pairwise(accumulate(counts, initial=0))
        ]

    def described(self) -> str:
        """See Pack."""
        return (
            f"scores of {len(self.requests)} texts, {_longest([r.prompt for r in self.requests])}"
        )


def _score(held: Held, request: Mapping[str, Any]) -> Message:
    prompts = request["prompts"]
    pack = [
        PromptWithContinuations(prompt, continuations)
        for prompt, continuations in zip(prompts, request["continuations"], strict=True)
    ]
    prefix = held.prefix(tuple(prompts[0][: request["prefix"]]))
    scored = score_pack(held.model, prefix, pack)
    each = [one.token_log_probs for one in scored]
    return Message({}, {"log_probs": torch.cat(each) if each else torch.zeros(0)})


@dataclass(frozen=True)
class SamplePack:
    """Prompts whose completions are drawn."""

    part: Part
    sampling: Sampling
    function = "sample"

    def request(self) -> dict[str, Any]:
        """See Pack."""
        samples = self.part.samples
        return {
            "prompts": [list(prompt) for prompt in self.part.prompts],
            "longest": list(self.part.longest),
            "samples": [samples.start, samples.stop],
            "sampling": asdict(self.sampling),
        }

    def result(self, answer: Message) -> Rows:
        """What was drawn."""
        content = answer.content
        rows = Rows([most for most in self.part.longest for _ in self.part.samples])
        rows.tokens, rows.log_probs = content["tokens"], content["log_probs"]
        rows.finished, rows.entropy = content["finished"], content["entropy"]
        rows.drawn = content["drawn"]
        return rows

    def described(self) -> str:
        """See Pack."""
        return f"answers to {len(self.part.prompts)} prompts, {_longest(self.part.prompts)}"


def _sample(held: Held, request: Mapping[str, Any]) -> Message:
    part = Part(request["prompts"], request["longest"], range(*request["samples"]))
    rows = sample_part(held.model, part, Sampling(**request["sampling"]))
    return Message(
        {
            "tokens": rows.tokens,
            "log_probs": rows.log_probs,
            "finished": rows.finished,
            "entropy": rows.entropy,
            "drawn": rows.drawn,
        }
    )


def _longest(prompts: Sequence[Tokens]) -> str:
    return f"the longest of {max(map(len, prompts), default=0)} tokens"


FUNCTIONS: dict[str, Callable[[Held, Mapping[str, Any]], Message]] = {
    "score": _score,
    "sample": _sample,
}
"""By the name that a request has."""
