"""A policy sampled by vLLM servers, which are sent the adapter of each version.

A prompt is a request, with a seed of its own that follows from the step's seed and the prompt: whichever
server answers it, and whenever, is asked the same. Where a server goes, others take over, and are sent the
adapter then. Completions are made of the tokens here, by the tokenizer here, and end where they would here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from truing.models.language_model import LanguageModel
from truing.models.remote.client import Refused
from truing.models.remote.fleet import Fleet, NoServerLeft
from truing.models.remote.token_replies import Drawn
from truing.models.remote.vllm import Request, VllmServer
from truing.models.sampling import Sampling, drawn_elsewhere
from truing.policies.adapter_versions import AdapterVersions
from truing.policies.sampler import Group, Sampled, SamplerGone, entropy_of
from truing.types import Completion, InputError, stable_hash

MOST_TOKENS = 16_384
"""Tokens of one reply at most: beyond, a prompt's samples are several requests, each with its seed."""
HOW_TO_RESUME = (
    "start one again (its address may be another) and give the same command; `truing train` with --resume. "
    "What was learned before this step is saved"
)


def request_seed(sampling: Sampling, prompt: Sequence[int], first: int) -> int:
    """The seed of a request for samples from number `first` on: of the step's seed, prompt and number
    alone, so that no two prompts of a step are drawn by the same numbers."""
    tokens = " ".join(map(str, prompt))
    return int(stable_hash("request", str(sampling.seed), tokens, str(first))[:15], 16)


def requests(
    model: LanguageModel, prompt: Sequence[int], samples: int, sampling: Sampling
) -> list[Request]:
    """What a server is asked for the samples of a prompt, in their order."""
    most = max(1, MOST_TOKENS // sampling.max_new_tokens)
    ends = tuple(sorted(model.end_tokens))
    return [
        Request(
            prompt=tuple(prompt),
            count=min(most, samples - first),
            longest=sampling.max_new_tokens,
            temperature=sampling.temperature,
            seed=request_seed(sampling, prompt, first),
            ends=ends,
            stop=sampling.stop,
        )
        for first in range(0, samples, most)
    ]


class ServedSampler:
    """See policies.sampler.Sampler.

    Samples are at most `staleness` updates old. `saved` tells the step that training would be gone on
    with behind: what that would need is kept on disk. `say` is told of servers that go and come back.
    """

    def __init__(
        self,
        model: LanguageModel,
        servers: Sequence[VllmServer],
        versions: AdapterVersions,
        staleness: int,
        saved: Callable[[], int],
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._model, self._versions = model, versions
        self._staleness, self._saved = staleness, saved
        self._fleet = Fleet(servers, say)

    def begin(self) -> None:
        """Has the servers forget what a training in this folder left with them when it was killed."""
        for name in self._versions.names():
            self._fleet.everywhere(partial(_unload, name))

    def publish(self, version: int) -> None:
        """See Sampler. Raises InputError where the adapter can't be written."""
        self._versions.write(version)
        saved = self._saved()
        for name, number in self._versions.names().items():
            if number < version - self._staleness:
                self._fleet.everywhere(partial(_unload_known, name))
                if not saved - self._staleness <= number < saved:
                    self._versions.remove(name)

    def sample(
        self, version: int, prompts: Sequence[Sequence[int]], samples: int, sampling: Sampling
    ) -> Sampled:
        """See Sampler. Raises InputError where a server refuses, or answers what can't be."""
        name = self._versions.name_of(version)
        folder = self._versions.folder / name
        asked = [requests(self._model, prompt, samples, sampling) for prompt in prompts]
        jobs = [partial(_drawn, request, name, folder) for each in asked for request in each]
        try:
            drawn = iter(self._fleet.run(jobs))
        except NoServerLeft as error:
            raise SamplerGone(
                f"compute.sampler: no server is left: {error}; {HOW_TO_RESUME}"
            ) from None
        groups = []
        for each in asked:
            parts = [(request, one) for request in each for one in next(drawn)]
            found = [self._completion(request, one, sampling) for request, one in parts]
            groups.append(Group(version, found))
        return Sampled(groups, entropy_of(groups))

    def close(self) -> None:
        """See Sampler."""
        self._fleet.close()

    def end(self) -> None:
        """Has the servers forget all adapters of this training, which has come to its end."""
        for name in self._versions.names():
            self._fleet.everywhere(partial(_unload_known, name))
            self._versions.remove(name)

    def _completion(self, request: Request, drawn: Drawn, sampling: Sampling) -> Completion:
        vocabulary = self._model.model.config.get_text_config().vocab_size
        if max(drawn.tokens) >= vocabulary:
            raise InputError(
                f"compute.sampler: a server drew token {max(drawn.tokens)} where the vocabulary has "
                f"{vocabulary}; serve this model"
            )
        whole = drawn_elsewhere(
            self._model, request.prompt, drawn.tokens, drawn.log_probs, sampling
        )
        if whole is None:
            raise InputError(
                f"compute.sampler: a server ended an answer at token {drawn.tokens[-1]}, which ends none "
                "here; start it with --generation-config vllm"
            )
        return whole


def _unload(name: str, server: VllmServer) -> None:
    server.unload(name)


def _unload_known(name: str, server: VllmServer) -> None:
    if server.has(name):
        server.unload(name)


def _drawn(request: Request, name: str, folder: Path, server: VllmServer) -> list[Drawn]:
    try:
        return server.draw(request, name, folder)
    except Refused as error:
        raise refused(server, error) from None


def refused(server: VllmServer, error: Refused) -> InputError:
    """What to say where a server refuses what it is asked."""
    right = ""
    if error.status in (401, 403):
        right = (
            "; set TRUING_ENDPOINT_KEY to its key, or name another variable as "
            "compute.sampler_key_variable"
        )
    elif error.status == 404 and ";" not in str(error):
        right = (
            f"; serve the base under the name {server.name.model!r} (--served-model-name), or write "
            "its name behind the URL, vllm:URL#NAME"
        )
    return InputError(f"compute.sampler: {server} {error}{right}")
