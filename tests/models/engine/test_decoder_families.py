"""What families have that others haven't, in our own decoder."""

from __future__ import annotations

import pytest
import torch

from tiny import alone, config, plain, texts, tokenizer
from truing.models.engine.families import Norm, is_written_here
from truing.models.engine.tree import PromptWithContinuations
from truing.models.language_model import LanguageModel


def test_what_is_written_here() -> None:
    assert is_written_here(config("gemma3"))
    for name, value in [
        ("use_bidirectional_attention", True),  # as of models that embed texts
        ("hidden_activation", "gelu"),
        ("model_type", "gemma3"),  # with pictures
    ]:
        other = config("gemma3")
        setattr(other, name, value)
        assert not is_written_here(other), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("learning", [True, False])
def test_norms_are_the_models_own(dtype: torch.dtype, learning: bool) -> None:
    module = plain("gemma3").to(dtype).model.norm
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(0)).to(dtype)
    norm, close = Norm(module, 1.0), {torch.float32: 1e-6, torch.bfloat16: 0.02}[dtype]
    with torch.set_grad_enabled(learning):
        for _ in range(2):
            torch.testing.assert_close(norm(x, dtype), module(x), atol=close, rtol=close)
            with torch.no_grad():
                module.weight.add_(0.5)  # a sum that is kept is made anew


@pytest.mark.parametrize("family", ["gemma2", "gemma3"])
def test_gemma_in_bfloat16_is_as_close_to_float32_as_transformers(family: str) -> None:
    exact, low = plain(family), plain(family).to(torch.bfloat16)
    ours = LanguageModel(plain(family).to(torch.bfloat16), tokenizer())
    assert ours.decoder is not None
    prompt, answer = texts(3, [12, 30])
    with torch.no_grad():
        wanted, theirs = alone(exact, prompt, answer), alone(low, prompt, answer)
    [[found]] = ours.score([PromptWithContinuations(prompt, [answer])])
    apart = float((found.token_log_probs - wanted).abs().mean())
    assert apart < 1.5 * float((theirs - wanted).abs().mean()) < 0.1
