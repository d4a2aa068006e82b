"""Heads by hand: how several become one score, what is saved and read again, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from truing.rewards.learned.head import Heads, Rule, Standard, aggregated, combined, pooled
from truing.rewards.learned.saved import FILE, RewardModel, checked, load, save
from truing.types import InputError

SCORES = np.array([[1.0, 4.0], [3.0, 0.0]])


def test_several_heads_become_one_score() -> None:
    assert combined(SCORES, "mean", 1).tolist() == [2.0, 2.0]
    assert combined(SCORES, "minimum", 1).tolist() == [1.0, 0.0]
    assert combined(SCORES, "cautious", 0.5).tolist() == [1.5, 1.0]  # deviations 1 and 2


def test_groups_become_one_score() -> None:
    own, everybody = {"a": np.array([1.0, 4.0]), "b": np.array([3.0, 0.0])}, np.array([7.0, 8.0])
    assert aggregated(own, everybody, "pooled").tolist() == [7.0, 8.0]
    assert aggregated(own, everybody, "mean").tolist() == [2.0, 2.0]
    assert aggregated(own, everybody, "worst").tolist() == [1.0, 0.0]
    assert aggregated(own, everybody, {"a": 3, "c": 1}).tolist() == [2.5, 5.0]  # c shares a head
    assert aggregated({}, everybody, "worst").tolist() == [7.0, 8.0]
    shared = {"a": own["a"]}
    assert aggregated(shared, everybody, "mean", sharing=2).tolist() == [5.0, 20 / 3]
    assert aggregated(shared, everybody, "worst", sharing=1).tolist() == [1.0, 4.0]
    assert aggregated({}, everybody, "mean", sharing=2).tolist() == [7.0, 8.0]


def test_what_a_head_sees() -> None:
    vectors = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert pooled(vectors, "mean").tolist() == [[1.0, 2.0]]
    assert pooled(vectors, "last").tolist() == [[3.0, 4.0]]
    assert pooled(vectors, "both").tolist() == [[1.0, 2.0, 3.0, 4.0]]
    table = np.random.default_rng(0).normal(3, 2, (500, 8))
    seen = Standard.of(table)(table)
    assert (seen**2).sum(1).mean() == pytest.approx(1, abs=1e-4)
    assert seen.mean(0) == pytest.approx(np.zeros(8), abs=1e-9)


def _model() -> RewardModel:
    generator = np.random.default_rng(2)
    standard = Standard(generator.normal(size=3), generator.random(3) + 1)
    groups = {"north/1": generator.normal(size=(2, 3))}
    heads = Heads("mean", standard, generator.normal(size=(2, 3)), groups)
    return RewardModel(heads, 4, "some-model", "ab12", Rule("cautious", 0.5, "worst", 2), {"n": 3})


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    save(_model(), tmp_path)
    again, vectors = load(tmp_path), np.random.default_rng(3).normal(size=(5, 6))
    assert again.scores(vectors).tolist() == _model().scores(vectors).tolist()
    assert (again.layer, again.model, again.weights) == (4, "some-model", "ab12")
    assert again.rule == Rule("cautious", 0.5, "worst", 2)
    assert again.facts == {"n": 3} and set(again.heads.groups) == {"north/1"}


def test_other_weights_and_broken_files_are_refused(tmp_path: Path) -> None:
    save(_model(), tmp_path)
    assert checked(tmp_path, lambda: "ab12", "here").layer == 4
    assert checked(tmp_path, None, "here").layer == 4
    with pytest.raises(InputError, match=r"here\.from: .*some-model, and these are other weights"):
        checked(tmp_path, lambda: "cd34", "here")
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole.replace(b'"version":"1"', b'"version":"9"'))
    with pytest.raises(
        InputError, match=r"version 9, and this Truing reads 1 and 2\); train it again"
    ):
        load(tmp_path)
    (tmp_path / FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="train it again"):
        load(tmp_path)
    (tmp_path / FILE).unlink()
    with pytest.raises(InputError, match="holds no reward model"):
        load(tmp_path)
