"""Servers as a policy's sampler: the tokens that they are asked for, adapters on disk, answers too old."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from endpoints import serving
from tiny import texts, tiny
from training_worker import made
from truing.learn.sources.samples import OnPolicySamples
from truing.models.remote.client import Connection
from truing.models.remote.endpoint import EndpointName
from truing.models.remote.vllm import PREFIX, VllmServer
from truing.models.sampling import Sampling, drawn_elsewhere, sample
from truing.policies import served_sampler
from truing.policies.adapter_versions import AdapterVersions
from truing.policies.language import LanguagePolicy
from truing.policies.sampler import LocalSampler, Sampled, entropy_of
from truing.policies.served_sampler import ServedSampler, requests
from truing.spec.run import AdapterSpec
from truing.types import InputError
from vllm_server import FakeVllm
from waiting import LONG

SAMPLING = Sampling(9, 0.8, seed=11, stop="e")
PROMPTS = texts(5, [4, 6, 9])


@pytest.fixture
def policy() -> LanguagePolicy:
    model = tiny()
    policy = LanguagePolicy(model, model, AdapterSpec(rank=2), "float32", seed=2)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in policy.parameters.values():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return policy


@pytest.fixture
def versions(policy: LanguagePolicy, tmp_path: Path) -> AdapterVersions:
    return AdapterVersions(tmp_path / "adapters", policy, "base")


@pytest.fixture
def served(policy: LanguagePolicy, versions: AdapterVersions) -> Iterator[ServedSampler]:
    with serving(FakeVllm(policy.reference, [SAMPLING.seed])) as server:
        name = f"{PREFIX}http://127.0.0.1:{server.http.server_port}#tiny"
        client = VllmServer(EndpointName.parse(name, PREFIX), Connection(timeout=LONG))
        sampler = ServedSampler(policy.trained, [client], versions, 0, lambda: 0)
        yield sampler
        sampler.close()


def test_each_prompt_is_answered_as_here(policy: LanguagePolicy, served: ServedSampler) -> None:
    served.publish(3)
    found = served.sample(3, PROMPTS, 4, SAMPLING)
    here = [LocalSampler(policy).sample(3, [prompt], 4, SAMPLING) for prompt in PROMPTS]
    assert found.groups == [each.groups[0] for each in here]
    assert found.entropy == entropy_of(found.groups) > 0


def test_many_tokens_are_several_requests(
    policy: LanguagePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_sampler, "MOST_TOKENS", 20)
    asked = requests(policy.trained, PROMPTS[0], 5, SAMPLING)
    other = requests(policy.trained, PROMPTS[1], 5, SAMPLING)
    assert [each.count for each in asked] == [2, 2, 1]
    assert len({each.seed for each in (*asked, *other)}) == 6
    assert all(0 <= each.seed < 2**63 for each in asked)


def test_tokens_from_elsewhere_end_where_they_would_here(policy: LanguagePolicy) -> None:
    model = policy.trained
    for prompt in PROMPTS:
        for each in sample(model, [prompt], 6, SAMPLING).completions[0]:
            behind = (*each.tokens, 7, 7)[: max(len(each.tokens), SAMPLING.max_new_tokens)]
            found = drawn_elsewhere(
                model, prompt, behind, (*each.token_log_probs, -1.0, -1.0)[: len(behind)], SAMPLING
            )
            assert found == each  # what others drew behind its end is left out
            if len(each.tokens) > 1:
                short = drawn_elsewhere(
                    model, prompt, each.tokens[:-1], each.token_log_probs[:-1], SAMPLING
                )
                assert short is None


def test_versions_are_named_by_what_is_in_them(
    policy: LanguagePolicy, versions: AdapterVersions
) -> None:
    first = versions.write(1)
    assert versions.write(1) == first and versions.name_of(1) == first
    with torch.no_grad():
        next(iter(policy.parameters.values())).add_(1.0)
    other = versions.write(1)  # as where a killed training comes to other weights
    assert other != first and versions.names() == {other: 1}
    files = {path.name for path in (versions.folder / other).iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors"} <= files
    with pytest.raises(InputError, match="holds no adapter of version 2"):
        versions.name_of(2)


class _Lagging:
    """Answers some prompts by versions that are long past."""

    def __init__(self, policy: LanguagePolicy, behind: Sequence[int]) -> None:
        self.local, self.behind = LocalSampler(policy), behind
        self.published: list[int] = []

    def publish(self, version: int) -> None:
        self.published.append(version)

    def sample(
        self, version: int, prompts: Sequence[Sequence[int]], samples: int, sampling: Sampling
    ) -> Sampled:
        drawn = self.local.sample(version, prompts, samples, sampling)
        groups = [
            replace(group, version=version - late)
            for group, late in zip(drawn.groups, self.behind, strict=True)
        ]
        return Sampled(groups, drawn.entropy)

    def close(self) -> None:
        pass


def _with(behind: Sequence[int]) -> OnPolicySamples:
    """Three prompts with four answers each, by a sampler that lags so; one update may lie between."""
    policy, samples, _, _ = made("text-rl")
    assert isinstance(samples, OnPolicySamples) and isinstance(policy, LanguagePolicy)
    spec = samples.spec.model_copy(update={"staleness": 1})
    return replace(samples, spec=spec, sampler=_Lagging(policy, behind))


def test_answers_that_are_too_old_are_left_out_and_counted() -> None:
    whole, some = _with([0, 0, 0]), _with([0, 2, 1])
    batch, row = whole.batch(1)
    rest, less = some.batch(1)
    assert (row["staleness"], row["dropped"]) == (0.0, 0)
    # Step 1 is by version 0: those of versions 0 and -1 are 0 and 1 update(s) old, that of -2 is 2.
    assert (less["staleness"], less["dropped"]) == (0.5, 4)
    assert rest.data == (*batch.data[:4], *batch.data[8:])
    assert rest.group_B.tolist() == [0] * 4 + [1] * 4
    for samples in (whole, some):
        samples.close()


def test_none_that_is_young_enough_is_an_error() -> None:
    samples = _with([2, 3, 4])
    with pytest.raises(InputError, match=r"rl.staleness: all answers of step 1 are of policies"):
        samples.batch(1)
    samples.close()
