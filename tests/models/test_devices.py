"""Which device is chosen, what is refused, and what is said and kept of it. The cards are made up."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from truing.models import devices, precision
from truing.spec.reading import make_spec
from truing.types import InputError


@pytest.fixture(autouse=True)
def unchosen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is chosen here is nobody else's device."""
    monkeypatch.setattr(devices, "_choice", devices._Choice())
    yield


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with two cards, of which PyTorch only says that they are there."""
    card = SimpleNamespace(name="Card X", total_memory=80e9)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda of: card)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.version, "cuda", "13.0")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("cpu", "cpu")],
)
@pytest.mark.usefixtures("two_cards")
def test_beside_cards_the_first_is_meant_where_no_other_is_named(name: str, meant: str) -> None:
    assert devices.choose(name) == devices.device() == torch.device(meant)


def test_without_a_card_the_processor_is_meant() -> None:
    assert devices.device() == torch.device("cpu")
    notes: list[str] = []
    devices.announce(notes.append)
    devices.announce(notes.append)
    assert len(notes) == 1 and notes[0].startswith("Device: cpu (")


@pytest.mark.usefixtures("two_cards")
def test_the_processor_beside_a_card_is_said_to_be_asked_for() -> None:
    devices.choose("cpu")
    assert devices.sentence().endswith("as asked for; cuda:0 (Card X, 80 GB) is left alone")


@pytest.mark.usefixtures("two_cards")
def test_each_process_takes_a_card_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert devices.choose("auto") == torch.device("cuda:1")
    with pytest.raises(InputError, match="'cuda:0' is one card, but 2 processes were started"):
        devices.choose("cuda:0")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "CUDA", "cpu:0", "", "cuda:", "cuda:0 "])
def test_what_can_be_no_device_is_refused_where_it_stands(name: str) -> None:
    with pytest.raises(InputError, match="no device; give auto, cpu, cuda, cuda:N or mps"):
        devices.choose(name, "--device")
    with pytest.raises(InputError, match=r"^spec: compute.device: no device; give auto"):
        make_spec({"compute": {"device": name}})


def test_a_device_that_is_not_here_is_refused_with_those_that_are() -> None:
    with pytest.raises(InputError, match=r"'cuda:3' isn't here: cpu can be used; this PyTorch is"):
        devices.choose("cuda:3")
    with pytest.raises(InputError, match=r"'mps' isn't here: cpu can be used$"):
        devices.choose("mps")


@pytest.mark.usefixtures("two_cards")
def test_a_card_that_is_not_here_is_refused_with_those_that_are() -> None:
    with pytest.raises(InputError, match=r"'cuda:2' isn't here: cpu, cuda:0, cuda:1 can be used$"):
        devices.choose("cuda:2")


@pytest.mark.usefixtures("two_cards")
def test_figures_of_a_card_are_filed_apart() -> None:
    devices.choose("cpu")
    assert precision.numerics("float32") == "float32"
    devices.choose("cuda:1")
    assert precision.numerics("float32") == "float32 on cuda"
    assert precision.numerics("bfloat16") == "bfloat16 on cuda"


def test_mps_without_bfloat16_computes_in_float32_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "available", lambda: ["cpu", "mps"])
    monkeypatch.setattr(precision, "_can_multiply", lambda device: False)
    devices.choose("mps")
    assert precision.computed_in("bfloat16") == "float32"
    assert "this mps device lacks it; float32 is used" in precision.substitution("bfloat16")
    assert precision.computed_in("float32") == "float32"


def test_where_a_run_is_computed_is_no_part_of_what_it_is() -> None:
    assert make_spec({"compute": {"device": "cuda:7"}}).digest() == make_spec({}).digest()
