"""Weights that lie behind one another are one product, and each layer's own all the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pretend_card import CARD, watched
from tiny import plain, tokenizer
from truing.models.adapter import LoraLinear
from truing.models.engine import own_weights
from truing.models.engine.own_weights import Together, lay_together
from truing.models.language_model import LanguageModel
from truing.spec.run import AdapterSpec


def layers(device: str | torch.device = CARD, *, bias: bool = True) -> nn.ModuleList:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = nn.ModuleList([nn.Linear(6, outputs, bias=bias) for outputs in (4, 2, 3)])
    made[1].requires_grad_(False)
    return made.to(device)


def given() -> Tensor:
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(1)).to(CARD)


def launched(work: Callable[[], Tensor]) -> tuple[Tensor, int]:
    with watched() as seen:
        output = work()
    assert not seen.faults
    return output.cpu(), sum(seen.launches.values())


@pytest.mark.parametrize("bias", [True, False])
def test_layers_with_one_input_are_one_product(bias: bool) -> None:
    apart, joined, together = layers(bias=bias), layers(bias=bias), Together()
    lay_together(list(joined))
    x = given()
    with torch.inference_mode():
        wanted = torch.cat([layer(x) for layer in apart], -1).cpu()
        for made, count in ((joined, 1), (apart, 4)):
            output, launches = launched(lambda made=made: together.side_by_side(list(made), x))
            torch.testing.assert_close(output, wanted)
            assert launches == count
    assert [p.requires_grad for p in joined.parameters()] == [
        p.requires_grad for p in apart.parameters()
    ]


def test_layers_of_one_size_have_their_outputs_apart() -> None:
    pair, together, x = layers()[:1], Together(), given()
    pair.append(copy.deepcopy(pair[0]))
    for _ in range(2):
        with torch.no_grad():
            wanted = pair[0](x).cpu()
            for output in together.of_each(list(pair), x):
                torch.testing.assert_close(output.cpu(), wanted)
        lay_together(list(pair))


def test_what_a_layer_learns_or_is_given_is_in_the_product() -> None:
    made, together, x = layers(), Together(), given()
    lay_together(list(made))

    def agrees() -> int:
        with torch.no_grad():
            output, launches = launched(lambda: together.side_by_side(list(made), x))
            torch.testing.assert_close(output, torch.cat([layer(x) for layer in made], -1).cpu())
        return launches

    assert agrees() == 1
    with torch.no_grad():
        made[2].weight.add_(1)
        made[0].bias.mul_(2)
    assert agrees() == 1
    made[1].weight = nn.Parameter(
        torch.ones(2, 6).to(CARD)
    )  # replaced: no longer beside the others
    assert agrees() == 4
    lay_together(list(made))
    made[0].bias = nn.Parameter(torch.ones(4).to(CARD))
    assert agrees() == 4
    lay_together(list(made))
    assert agrees() == 1
    made[1] = LoraLinear(made[1], AdapterSpec(kind="lora", rank=2), torch.Generator())
    assert agrees() > 4


def test_laying_together_again_changes_nothing() -> None:
    made = layers()
    lay_together(list(made))
    weights = [layer.weight for layer in made]
    lay_together(list(made))
    assert all(layer.weight is weight for layer, weight in zip(made, weights, strict=True))


def test_on_the_processor_weights_stay_where_they_are() -> None:
    made = layers("cpu")
    weights = [layer.weight for layer in made]
    lay_together(list(made))
    assert all(layer.weight is weight for layer, weight in zip(made, weights, strict=True))


def test_parts_of_one_memory_are_copied_and_written_to_files_as_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_weights, "_STAY", frozenset())  # files are written from the processor
    model = LanguageModel(plain("gemma3"), tokenizer()).model
    mlp = model.model.layers[0].mlp
    pair = (mlp.gate_proj.weight, mlp.up_proj.weight)
    assert len({weight.untyped_storage().data_ptr() for weight in pair}) == 1
    copied = copy.deepcopy(model)
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    read = type(model).from_pretrained(tmp_path)
    wanted = dict(plain("gemma3").named_parameters())
    for found in (copied, read):
        for name, parameter in found.named_parameters():
            assert torch.equal(parameter, wanted[name]), name
