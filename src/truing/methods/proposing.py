"""Who proposes prompts in a search: the sources that the spec names, in turn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from truing.files import append, read_jsonl
from truing.methods.setup import Setup
from truing.models.remote.client import Connection, EndpointError
from truing.models.remote.endpoint import Endpoint, EndpointName, is_endpoint
from truing.models.remote.replies import ended_early
from truing.models.sampling import Sampling, sample
from truing.prompts.proposals import (
    Proposal,
    example_proposals,
    in_turn,
    paraphrase_proposals,
    slot_proposals,
)
from truing.prompts.rendering import Prompt
from truing.prompts.rewriting import REPLY_TOKENS, cleaned, plain_request, rewriting_request
from truing.runs.costs import Cost
from truing.spec.run import Spec
from truing.types import Case, InputError, stable_hash

SELF = "self"
Best = Sequence[tuple[Proposal, float]]
Reply = tuple[str, bool]  # a text, and whether it ended by itself


def check_proposer(spec: Spec) -> None:
    """Raises InputError where `prompt.search.proposer` names nobody."""
    proposer = spec.prompt.search.proposer
    if is_endpoint(proposer):
        try:
            EndpointName.parse(proposer)
        except InputError as error:
            raise InputError(f"prompt.search.proposer: {error}") from None
    elif proposer != SELF:
        raise InputError(
            f"prompt.search.proposer: {proposer!r} is nobody; give 'self' or endpoint:URL#MODEL"
        )


class Proposer:
    """New prompts for each generation. What a model wrote is kept in `memory`, so that a search which
    goes on meets the same texts, whoever wrote them."""

    def __init__(
        self, setup: Setup, spare: Sequence[Case], seed: int, memory: Path, cost: Cost
    ) -> None:
        """`spare` cases give the examples; `cost` hears of sampled tokens."""
        self.setup, self.spare, self.seed, self.cost = setup, spare, seed, cost
        self.memory = memory
        self.refused = 0
        known = read_jsonl(memory, torn_end=True) if memory.is_file() else []
        self._written = {line["generation"]: line["replies"] for line in known}

    def __call__(self, generation: int, best: Best) -> list[Proposal]:
        """At most the spec's number of proposals, made from the best so far."""
        spec = self.setup.spec.prompt
        prompts = [proposal.prompt for proposal, _ in best]
        sources = []
        for number, kind in enumerate(spec.search.propose):
            # Each source has numbers of its own: leaving one out changes nothing in the others.
            rng = np.random.default_rng((self.seed, 2, generation, number))
            count = spec.search.proposals
            if kind == "slots":
                sources.append(slot_proposals(prompts, count, rng))
            elif kind == "paraphrases":
                sources.append(paraphrase_proposals(prompts, count, rng))
            elif kind == "examples":
                sources.append(example_proposals(prompts, self.spare, spec.shots, count, rng))
            else:
                sources.append(self._written_by_model(generation, best))
        return in_turn(sources, spec.search.proposals)

    def _written_by_model(self, generation: int, best: Best) -> list[Proposal]:
        told = [(proposal.prompt, score) for proposal, score in best if proposal.prompt.instruction]
        if not told:
            return []
        if generation not in self._written:
            replies = self._replies(generation, [(p.instruction, score) for p, score in told])
            append(self.memory, {"generation": generation, "replies": [list(r) for r in replies]})
            self._written[generation] = replies
        proposals = []
        for text, finished in self._written[generation]:
            instruction = cleaned(text, finished)
            if instruction is None:
                self.refused += 1
                continue
            parent = told[0][0]
            proposals.append(Proposal(Prompt(instruction, parent.shots), "model", parent.id))
        return proposals

    def _replies(self, generation: int, best: Sequence[tuple[str, float]]) -> list[Reply]:
        search = self.setup.spec.prompt.search
        count = math.ceil(search.proposals / max(1, len(search.propose)))
        requests = [(rewriting_request(best, n), plain_request(best, n)) for n in range(2 * count)]
        name = stable_hash("proposals", str(self.seed), str(generation))
        seed = int(name[:7], 16)
        if search.proposer == SELF:
            return self._of_itself(requests, seed)
        return self._of_endpoint([chat for chat, _ in requests], seed)

    def _of_itself(self, requests: Sequence[tuple[str, str]], seed: int) -> list[Reply]:
        setup = self.setup
        renderer, model = setup.renderer, setup.base.model
        temperature = setup.spec.prompt.search.temperature
        replies = []
        for number, (chat, plain) in enumerate(requests):
            text = (
                renderer.chat_text([{"role": "user", "content": chat}]) if renderer.chat else plain
            )
            sampling = Sampling(REPLY_TOKENS, temperature, seed + number, renderer.stop)
            sampled = sample(model, [model.encode(text)], 1, sampling)
            self.cost.tokens_sampled += sampled.tokens
            completion = sampled.completions[0][0]
            replies.append((completion.text, completion.finished))
        return replies

    def _of_endpoint(self, requests: Sequence[str], seed: int) -> list[Reply]:
        search = self.setup.spec.prompt.search
        endpoint = Endpoint(
            EndpointName.parse(search.proposer), Connection(), self.setup.progress.note
        )
        replies = []
        try:
            for number, request in enumerate(requests):
                reply = endpoint.chat(
                    [{"role": "user", "content": request}],
                    max_tokens=REPLY_TOKENS,
                    temperature=search.temperature,
                    seed=seed + number,
                )
                replies.append((reply.said, not ended_early(reply)))
        except EndpointError as error:
            raise InputError(f"prompt.search.proposer: {endpoint.unusable(error)}") from None
        finally:
            endpoint.close()
        return replies
