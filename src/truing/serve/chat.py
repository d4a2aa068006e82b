"""Talking to one candidate: a question in, an answer out, nothing remembered."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from truing.candidates import Candidate, open_candidate
from truing.models.decoding import BatchedGenerator, Request
from truing.serve.choosing import choose, draws
from truing.spec.run import EvaluationSpec
from truing.types import InputError


@dataclass(frozen=True)
class Chat:
    """A candidate and how its answers are drawn: as `truing serve` draws them."""

    candidate: Candidate
    generator: BatchedGenerator
    max_new_tokens: int
    temperature: float
    seed: int

    @staticmethod
    def open(
        name: str,
        max_new_tokens: int,
        temperature: float,
        seed: int,
        *,
        accept_licence: bool = False,
    ) -> Chat:
        """Loads a run's candidate folder, or any model with an empty prompt.

        In the precision that candidates are measured in. Raises InputError where there is no such
        model, ModelUnavailable where it can't be had now.
        """
        dtype = EvaluationSpec().dtype
        candidate, _ = open_candidate(
            name, seed, dtype, accept_licence=accept_licence, choosing=True
        )
        generator = BatchedGenerator(
            candidate.model, candidate.renderer.shared_prefix(candidate.prompt)
        )
        return Chat(candidate, generator, max_new_tokens, temperature, seed)

    def answer(self, question: str) -> str:
        """The answer's text. Equal questions get equal answers: draws depend on the seed alone.

        Raises InputError where question and answer don't fit the model's context.
        """
        renderer = self.candidate.renderer
        request = Request(
            tuple(renderer.tokens(self.candidate.prompt, question)),
            self.max_new_tokens,
            self.temperature,
            seed=self.seed,
            stop=(renderer.stop,) if renderer.stop else (),
            hide_thoughts=True,
        )
        written = self.generator.write_all(draws(self.candidate, request))
        chooser = self.candidate.best_of_n
        asked = [{"role": "user", "content": question}]
        return written[choose(chooser, asked, written) if chooser else 0].text.strip()


def lines() -> Iterator[str]:
    """The lines of standard input that aren't blank, asked for where a person sits there.

    Raises InputError on bytes that aren't text.
    """
    person = sys.stdin.isatty() and sys.stdout.isatty()
    if person:
        with contextlib.suppress(ImportError):  # absent on some systems; it lets a line be edited
            import readline  # noqa: F401
    while True:
        try:
            line = input("> ") if person else next(sys.stdin)
        except (EOFError, StopIteration):
            return
        except UnicodeDecodeError as error:
            raise InputError(f"standard input: not UTF-8 text ({error})") from None
        if line.strip():
            yield line.strip()
