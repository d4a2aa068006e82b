"""The respondents of `truing eval`, a candidate at a time: weights here, a server's model, or a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from truing.candidates import open_candidate
from truing.evaluate import EVALUATIONS
from truing.evaluate.local import LocalRespondent
from truing.evaluate.recorded import RecordedRespondent, is_recorded, read_answers
from truing.evaluate.respondent import Respondent
from truing.evaluate.rewriting_attacks import SELF, Attacker
from truing.evaluate.served import ServedRespondent
from truing.evaluate.served_answers import choose_interface
from truing.evaluate.served_choices import choose_mode
from truing.evaluate.sweep.request import SweepSpec
from truing.evaluate.variant import StoredVariant
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.models.pool.pool import WorkerPool
from truing.models.remote.client import Connection
from truing.models.remote.endpoint import Endpoint, EndpointName, is_endpoint
from truing.progress import Progress
from truing.prompts.rendering import Prompt
from truing.prompts.variants import PromptVariant
from truing.types import Case


@dataclass(frozen=True)
class Opener:
    """How candidates become respondents: the request, the prompts, where results are kept on disk.

    `answers_alone` where nothing but free answers is asked for, whatever the request evaluates.
    """

    spec: SweepSpec
    variants: Sequence[PromptVariant]
    scores: ScoreStore
    answers: AnswerStore
    progress: Progress
    connection: Connection
    accept_licence: bool = False
    answers_alone: bool = False
    pool: WorkerPool | None = None

    @contextmanager
    def respondents(self, name: str, cases: Sequence[Case]) -> Iterator[list[Respondent]]:
        """The candidate called `name` under each prompt, while the context lasts. `cases` are all that
        it will be asked.

        Raises InputError where there is no such model or server, or its file answers no case,
        ModelUnavailable where weights can't be had now.
        """
        if is_endpoint(name):
            yield from self._served(name)
        elif is_recorded(name):
            yield self._recorded(name, cases)
        else:
            yield self._local(name)

    @contextmanager
    def attacker(self) -> Iterator[Attacker | None]:
        """Who rewrites attacks that fail, while the context lasts; None where nobody does."""
        spec = self.spec
        if spec.attacker is None:
            yield None
        elif spec.attacker == SELF:
            yield Attacker(budget=spec.attack_budget)
        else:
            plain = PromptVariant("none", prompt=Prompt())
            opener = replace(self, variants=(plain,), answers_alone=True)
            with opener.respondents(spec.attacker, ()) as (respondent,):
                yield Attacker(respondent, budget=spec.attack_budget)

    def _local(self, name: str) -> list[Respondent]:
        spec = self.spec
        with self.progress.task(f"Loading {name}"):
            candidate, identity = open_candidate(
                name,
                spec.seed,
                spec.dtype,
                accept_licence=self.accept_licence,
                choosing=True,
                pool=self.pool,
            )
        candidate.model.room.tell = self.progress.note
        if candidate.model.note:
            self.progress.note(f"{name}: {candidate.model.note}")
        return [
            LocalRespondent(
                candidate,
                name,
                StoredVariant(
                    variant, spec.form, identity.hash, spec.dtype, self.scores, self.answers
                ),
            )
            for variant in self.variants
        ]

    def _recorded(self, name: str, cases: Sequence[Case]) -> list[Respondent]:
        recording = read_answers(name)
        recording.check(cases)
        seed = self.spec.seed
        return [RecordedRespondent(name, seed, recording, w, cases) for w in self.variants]

    def _served(self, name: str) -> Iterator[list[Respondent]]:
        spec, form = self.spec, self.spec.form
        endpoint = Endpoint(EndpointName.parse(name), self.connection, self.progress.note)
        chooses, speaks = (False, True) if self.answers_alone else asked_for(spec)
        try:
            mode, interface = None, None
            with self.progress.task(f"Asking {endpoint.name.url}"):
                if chooses:
                    mode, sentence = choose_mode(endpoint, form)
                if speaks:
                    interface = choose_interface(endpoint, form)
            if chooses:
                self.progress.note(sentence)
            yield [
                ServedRespondent(
                    name, spec.seed, endpoint, mode, interface, variant, self.scores, self.answers
                )
                for variant in self.variants
            ]
            if len(endpoint.fingerprints) > 1:
                names, more = endpoint.fingerprints[:5], len(endpoint.fingerprints) - 5
                self.progress.note(
                    f"{endpoint.name.model}: the server's fingerprint changed meanwhile "
                    f"({', '.join(map(repr, names))}{f' and {more} more' if more > 0 else ''}): more "
                    "than one model or version may have answered."
                )
        finally:
            endpoint.close()


def asked_for(spec: SweepSpec) -> tuple[bool, bool]:
    """Whether choices are asked for, and whether answers in the candidates' own words are."""
    needs = [EVALUATIONS[name].needs for name in spec.evaluations]
    chooses = any("likelihoods" in each for each in needs)
    return chooses, any("answers" in n and (spec.free or "judges" not in n) for n in needs)
