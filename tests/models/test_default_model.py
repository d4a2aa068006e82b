"""What the default model samples is what it learns from: the same log-probabilities, however packed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from truing.data.questions import load_questions
from truing.learn.sources.rollout import rollout
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling
from truing.models.weights.resolving import resolve_model
from truing.policies.language import LanguagePolicy
from truing.policies.trajectories import Trajectories
from truing.prompts.rendering import Prompt, Renderer
from truing.spec.run import AdapterSpec

pytestmark = pytest.mark.model
CLOSE = 1e-4  # nats for a token


@pytest.fixture(scope="module")
def policy() -> LanguagePolicy:
    """The default model in float32 with an adapter that has moved away from it."""
    model = LanguageModel.load(resolve_model("smollm2-135m").folder, "float32")
    assert not model.unpacked and model.decoder is not None
    moved = LanguagePolicy(model, model, AdapterSpec(kind="lora", rank=4), "float32", seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in moved.parameters.values():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))
    return moved


@pytest.fixture(scope="module")
def sampled(policy: LanguagePolicy) -> Trajectories:
    """32 answers side by side: 8 to each of 4 questions, which share their instruction."""
    renderer = Renderer(policy.reference)
    questions = [case.prompt for case in load_questions("built-in")[:4]]
    prompt = Prompt("Answer the question in one short sentence.")
    prompts = [renderer.tokens(prompt, question) for question in questions]
    return rollout(policy, prompts, 8, Sampling(8, seed=3)).trajectories


def _assert_close(found: Tensor, wanted: Tensor) -> None:
    apart = float((found.detach() - wanted).abs().max())
    print(f"largest difference: {apart:.2g}")
    assert apart <= CLOSE


def test_the_learning_pass_sees_what_was_sampled(
    policy: LanguagePolicy, sampled: Trajectories
) -> None:
    """Packed, all prompts' prefix and each prompt shared; with gradients."""
    assert len(sampled) == 32 and float(sampled.kl_B.abs().max()) > 0.01
    parts = [policy.log_probs(sampled.select(piece)) for piece in policy.pieces(sampled)]
    assert all(part.requires_grad for part in parts)
    found = torch.cat([part[:, : sampled.mask_BT.shape[1]] for part in parts])
    _assert_close(found, sampled.log_prob_BT)


def test_one_answer_at_a_time_changes_nothing(
    policy: LanguagePolicy, sampled: Trajectories
) -> None:
    """Nothing packed, nothing shared, in the learning pass; and sampled in a batch of 1."""
    for row in (0, 9, 31):
        single = sampled.select([row])
        _assert_close(policy.log_probs(single), single.log_prob_BT)
    first = sampled.data[0]
    alone = rollout(policy, [first.prompt], 1, Sampling(8, seed=3)).trajectories
    assert alone.data[0] == first
    _assert_close(alone.log_prob_BT, sampled.log_prob_BT[:1, : alone.mask_BT.shape[1]])


def test_prompts_that_share_nothing(policy: LanguagePolicy, sampled: Trajectories) -> None:
    """Packed without a shared prefix: another first token in front of one of the prompts."""
    one, other = sampled.data[0], sampled.data[8]
    strange = (5, *other.prompt)
    rolled = rollout(policy, [one.prompt, strange], 2, Sampling(6, seed=4)).trajectories
    assert (
        TokenTree(
            [PromptWithContinuations(one.prompt, []), PromptWithContinuations(strange, [])]
        ).prefix_length
        == 0
    )
    _assert_close(policy.log_probs(rolled), rolled.log_prob_BT)


def test_plain_transformers_gives_the_same(policy: LanguagePolicy, sampled: Trajectories) -> None:
    """The reference's log-probabilities against the library's own pass."""
    reference = policy.reference.model
    attention = reference.config._attn_implementation
    reference.set_attn_implementation("sdpa")
    try:
        for row in (3, 20):
            action = sampled.data[row]
            text = torch.tensor([[*action.prompt, *action.tokens]])
            with torch.no_grad():
                scores = reference(text, use_cache=False).logits[0].log_softmax(-1)
            start = len(action.prompt)
            wanted = scores[start - 1 : -1].gather(1, text[0, start:, None])[:, 0]
            _assert_close(sampled.reference_log_prob_BT[row, : len(wanted)], wanted)
    finally:
        reference.set_attn_implementation(attention)
