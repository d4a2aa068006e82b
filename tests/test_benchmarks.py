"""Benchmarks name what is there: nothing else looks at them between two measurements."""

from __future__ import annotations

import ast
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from paths import ROOT

SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_every_name_of_truing_that_is_imported_is_there(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("truing"):
            module = importlib.import_module(str(node.module))
            for name in node.names:
                submodule = f"{node.module}.{name.name}"
                assert hasattr(module, name.name) or importlib.import_module(submodule), name.name


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("card")


def test_without_time_the_card_benchmark_names_what_it_leaves_out(
    card: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["card.py", "--small", "--minutes", "0"])
    card.main()
    *lines, last = capsys.readouterr().out.splitlines()
    for part in card.PARTS:
        assert f"{part}: left out, 0 s are left of 0 min" in lines
    document = json.loads(last)
    assert [figure["value"] for figure in document["figures"]] == [None] * len(card.PARTS)


def test_a_part_that_fails_leaves_the_others_their_figures(
    card: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(bench: object) -> object:
        yield card.Figure("before", "1", 1.0, True)
        raise torch.OutOfMemoryError("no room\nand more")

    def after(bench: object) -> object:
        yield card.Figure("after", "1", 2.0)

    monkeypatch.setattr(card, "PARTS", {"exactness": (failing, 0.0), "other": (after, 0.0)})
    monkeypatch.setattr(card, "has_fast_bfloat16", lambda: True)
    found = list(card._measured(card.Bench(torch.device("cpu"), card.SMALL, 1), 1))
    assert [(figure.name, figure.value) for figure in found] == [
        ("before", 1.0),
        ("exactness", None),
        ("after", 2.0),
    ]
    assert found[1].note == "OutOfMemoryError: no room"


def test_steps_are_counted_without_what_comes_before_them(card: ModuleType) -> None:
    runs = [
        {"cudaLaunchKernel": 999, "cudaStreamSynchronize": 99},  # warms up
        {"cudaLaunchKernel": 500, "cudaLaunchKernelExC": 20, "cudaStreamSynchronize": 17, "aten::mm": 9},
        {"cudaLaunchKernel": 900, "cudaLaunchKernelExC": 60, "cudaStreamSynchronize": 25, "aten::mm": 9},
    ]  # fmt: skip
    assert card._each(runs, card._LAUNCHES) == 440 / 8
    assert card._each(runs, card._WAITS) == 1


@pytest.mark.parametrize(("tied", "outside"), [(True, 0), (False, 2000 * 256)])
def test_a_table_that_is_only_looked_up_is_no_product(
    card: ModuleType, tied: bool, outside: int
) -> None:
    kind, sizes = card.SMALL.large
    config = (kind, {**sizes, "tie_word_embeddings": tied})
    language_model = card.model(config, torch.device("cpu"), torch.float32)
    every = sum(parameter.numel() for parameter in language_model.model.parameters())
    assert card.in_products(language_model) == every - outside
    assert language_model.encode("w5 w17") == [5, 17]
    assert language_model.decode([5, 17]) == "w5 w17"
