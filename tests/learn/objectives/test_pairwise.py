"""Objectives of pairs: each against its equation written out, torn apart or not, and by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from tiny import alone, plain, texts, tiny
from truing.learn import OBJECTIVES
from truing.learn.objectives.pairwise import Pairwise
from truing.learn.sources.pairs import Comparisons, Pairs
from truing.learn.update import UpdateSchedule, update, whole_units
from truing.policies import language
from truing.policies.language import LanguagePolicy, pieces
from truing.policies.trajectories import Trajectories
from truing.spec.objective import PairObjectivePart
from truing.spec.run import AdapterSpec
from worlds import update_gradients

NAMES = tuple(PairObjectivePart.kinds())
FULL = AdapterSpec(kind="full")
Equation = Callable[[Tensor, Tensor, float, float, int, int, float], Tensor]


def _dpo(c: Tensor, r: Tensor, cr: float, rr: float, m: int, n: int, z: float) -> Tensor:
    return softplus(-0.1 * ((c - cr) - (r - rr)))


def _dpo_norm(c: Tensor, r: Tensor, cr: float, rr: float, m: int, n: int, z: float) -> Tensor:
    return softplus(-5 * ((c - cr) / m - (r - rr) / n))


def _ipo(c: Tensor, r: Tensor, cr: float, rr: float, m: int, n: int, z: float) -> Tensor:
    return ((c - cr) / m - (r - rr) / n - 5) ** 2


def _kto(c: Tensor, r: Tensor, cr: float, rr: float, m: int, n: int, z: float) -> Tensor:
    good = 1 / (1 + (-0.1 * (c - cr - z)).exp())
    bad = 1 / (1 + (-0.1 * (z - (r - rr))).exp())
    return 0.5 * (1 - good) + 0.5 * (1 - bad)


def _orpo(c: Tensor, r: Tensor, cr: float, rr: float, m: int, n: int, z: float) -> Tensor:
    p, q = (c / m).exp(), (r / n).exp()
    odds = (p / (1 - p)) / (q / (1 - q))
    return -c / m - 0.1 * (odds / (1 + odds)).log()


def _simpo(c: Tensor, r: Tensor, cr: float, rr: float, m: int, n: int, z: float) -> Tensor:
    return softplus(-(2 * (c / m - r / n) - 1))


EQUATIONS: dict[str, Equation] = {
    "dpo": _dpo, "dpo_norm": _dpo_norm, "ipo": _ipo, "kto": _kto, "orpo": _orpo, "simpo": _simpo,
}  # fmt: skip
"""The losses of a pair at the default keys: log-probabilities of the chosen and the rejected answer, the
same under the reference, their lengths, and KTO's reference point."""


def objective_of(name: str, **keys: float) -> Pairwise:
    objective = OBJECTIVES[name](**keys)
    assert isinstance(objective, Pairwise)
    return objective


def comparisons() -> list[Comparisons]:
    """Three prompts: all pairs of two and two answers, one pair, and a ranking of three."""
    one, two, three, *answers = (tuple(t) for t in texts(1, [4, 6, 3, 5, 2, 3, 2, 7, 4, 5, 6, 3]))
    return [
        Comparisons(one, tuple(answers[:4]), ((0, 1), (0, 3), (2, 1), (2, 3))),
        Comparisons(two, tuple(answers[4:6]), ((0, 1),)),
        Comparisons(three, tuple(answers[6:9]), ((0, 1), (1, 2), (0, 2))),
    ]


def moved_policy(adapter: AdapterSpec = FULL, *, seed: int = 3) -> tuple[LanguagePolicy, Pairs]:
    """A policy that has moved away from its reference, and its source, which knows the reference."""
    model = tiny()
    policy = LanguagePolicy(model, model, adapter, "float32", seed=1)
    source = Pairs(policy, comparisons(), 3, seed=0, mismatched=True)
    assert list(source.remember_reference(1)) == [1]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters.values():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return policy, source


def written_out(name: str, policy: LanguagePolicy, sft_weight: float) -> tuple[Tensor, Tensor]:
    """The loss, differentiable in plain transformers, and KTO's reference point."""
    now, before = plain("llama").double(), plain("llama").double()
    values = {key: value.double() for key, value in policy.parameters.items()}
    now.load_state_dict(values, strict=False)
    every, losses = comparisons(), []
    with torch.no_grad():
        others = [
            alone(now, each.prompt, answer).sum() - alone(before, each.prompt, answer).sum()
            for place, each in enumerate(every)
            for answer in every[place - 1].answers
        ]
    point = torch.stack(others).mean().clamp(min=0)
    for each in every:
        log_probs = [alone(now, each.prompt, answer).sum() for answer in each.answers]
        with torch.no_grad():
            reference = [float(alone(before, each.prompt, a).sum()) for a in each.answers]
        for c, r in each.pairs:
            m, n = len(each.answers[c]), len(each.answers[r])
            loss = EQUATIONS[name](
                log_probs[c], log_probs[r], reference[c], reference[r], m, n, float(point)
            )
            losses.append(loss - sft_weight * log_probs[c] / m)
    loss = torch.stack(losses).mean()
    parameters = dict(now.named_parameters())
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    return loss, torch.cat([g.flatten() for g in gradients])


def _flat(policy: LanguagePolicy, gradients: dict[str, Tensor]) -> Tensor:
    return torch.cat([gradients[name].flatten() for name in policy.parameters])


def _relative(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other).norm() / other.norm())


@pytest.mark.parametrize("sft_weight", [None, 0.3])
@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_the_equation(name: str, sft_weight: float | None) -> None:
    policy, source = moved_policy()
    keys = {} if sft_weight is None else {"sft_weight": sft_weight}
    batch, _ = source.batch(1)
    found, row = update_gradients(policy, objective_of(name, **keys), batch)
    added = (sft_weight or 0) - (name == "orpo" and sft_weight is not None)  # its own weight is 1
    loss, exact = written_out(name, policy, added)
    assert row["loss"] == pytest.approx(float(loss.detach()), rel=1e-6)
    assert _relative(_flat(policy, found), exact) < 1e-6
    assert row["taught"] == 9


def test_the_batch_is_the_same_in_another_order() -> None:
    """The source shuffles prompts; pairs follow their rows."""
    _, source = moved_policy()
    batch, row = source.batch(1)
    assert batch.pair_N2 is not None and row["pairs"] == 8
    expected = {(each.answers[a], each.answers[b]) for each in comparisons() for a, b in each.pairs}
    found = {(batch.data[a].tokens, batch.data[b].tokens) for a, b in batch.pair_N2.tolist()}
    assert found == expected
    assert len(batch) == 9 + 9  # each answer once, and once under another prompt
    assert [len(unit) for unit in batch.units][:3].count(4) == 1


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_pairs_torn_apart_by_pieces_give_the_same_gradient(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, source = moved_policy(AdapterSpec(kind=kind, rank=4))
    batch, _ = source.batch(1)
    objective = objective_of(name, sft_weight=0.2)
    whole, row = update_gradients(policy, objective, batch)
    for size in (1, 12, 24):
        cut = list(pieces(batch.data, size, batch.units))
        assert len(cut) > 2

        def small(actions: object, size: int = size, units: object = ()) -> object:
            return pieces(actions, size, units)  # type: ignore[arg-type]

        monkeypatch.setattr(language, "pieces", small)
        found, its_row = update_gradients(policy, objective, batch)
        assert _relative(_flat(policy, found), _flat(policy, whole).double()) < 3e-6
        assert its_row.keys() == row.keys()
        for key in row:
            assert its_row[key] == pytest.approx(row[key], rel=1e-5, abs=1e-6), key


def test_dpo_is_credit_on_each_side() -> None:
    """beta sigmoid(-beta margin) / N of each pair on the better answer, as much off the worse."""
    policy, source = moved_policy()
    batch = source.batch(1)[0]
    batch = batch.select(range(9))
    assert batch.pair_N2 is not None
    found, _ = update_gradients(policy, objective_of("dpo"), batch)
    total_B = policy.log_probs(batch).sum(1)
    ratio_B = total_B.detach() - batch.reference_log_prob_BT.sum(1)
    credit_B = torch.zeros(9)
    for better, worse in batch.pair_N2.tolist():
        share = 0.1 / 8 * torch.sigmoid(-0.1 * (ratio_B[better] - ratio_B[worse]))
        credit_B[better] += share
        credit_B[worse] -= share
    (-(credit_B * total_B).sum()).backward()
    parameters = policy.parameters.items()
    expected = _flat(policy, {name: p.grad for name, p in parameters if p.grad is not None})
    assert _relative(_flat(policy, found), expected.double()) < 1e-6


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_the_first_loss_of_dpo_is_log_2(kind: str) -> None:
    model = tiny()
    policy = LanguagePolicy(model, model, AdapterSpec(kind=kind, rank=2), "float32", seed=1)
    source = Pairs(policy, comparisons(), 3, seed=0)
    assert list(source.remember_reference(1)) == [1]
    row = update_gradients(policy, objective_of("dpo"), source.batch(1)[0])[1]
    assert row["loss"] == pytest.approx(math.log(2), abs=1e-7)
    assert row["accuracy"] == 0.5 and row["margin"] == 0


def test_figures_are_means_over_pairs() -> None:
    policy, source = moved_policy()
    batch = source.batch(1)[0]
    _, row = update_gradients(policy, objective_of("simpo"), batch)
    assert batch.pair_N2 is not None
    ratio_B = (policy.log_probs(batch).detach() - batch.reference_log_prob_BT).sum(1)
    better, worse = ratio_B[batch.pair_N2].unbind(1)
    assert row["chosen_log_ratio"] == pytest.approx(float(better.mean()), abs=1e-5)
    assert row["rejected_log_ratio"] == pytest.approx(float(worse.mean()), abs=1e-5)
    assert row["margin"] == pytest.approx(float((better - worse).mean()), abs=1e-5)
    assert row["accuracy"] == float((better > worse).float().mean()) not in (0, 1)


def test_minibatches_keep_pairs_together() -> None:
    policy, source = moved_policy()
    batch = source.batch(1)[0]
    objective = objective_of("dpo")
    optimizer = torch.optim.SGD(policy.parameters.values(), 0.0)
    row = update(policy, optimizer, objective, batch, 1e9, UpdateSchedule(1, 3))
    whole = update(policy, optimizer, objective, batch, 1e9)
    assert row["loss"] == pytest.approx(whole["loss"], rel=1e-6)
    assert row["margin"] == pytest.approx(whole["margin"], rel=1e-5)


def _three() -> Trajectories:
    nothing = torch.zeros(5, 2)
    mask = torch.ones(5, 2, dtype=torch.bool)
    pairs = torch.tensor([[2, 0], [4, 3]])
    return Trajectories(
        mask, nothing, torch.arange(5), nothing, nothing, tuple("abcde"), pair_N2=pairs
    )


def test_units_are_rows_that_pairs_link() -> None:
    batch = _three()
    assert batch.units == [range(3), range(3, 5)]
    assert batch.unpaired.units == [range(n, n + 1) for n in range(5)]
    last = batch.select([3, 4])
    assert (
        last.pair_N2 is not None and last.pair_N2.tolist() == [[1, 0]] and last.data == ("d", "e")
    )
    assert batch.select(range(5)) is batch
    with pytest.raises(ValueError, match="torn apart"):
        batch.select([0, 1])
    cut = [range(2), range(2, 4), range(4, 5)]
    assert list(whole_units(cut, batch.units)) == [cut]
    assert list(whole_units([range(3), range(3, 5)], batch.units)) == [[range(3)], [range(3, 5)]]


def test_a_unit_is_cut_only_where_it_fits_no_pass() -> None:
    batch = moved_policy()[1].batch(1)[0].select(range(9))
    for size in (24, 32):
        cut = list(pieces(batch.data, size, batch.units))
        stops = {unit.stop for unit in batch.units}
        assert len(cut) > 1 and all(piece.stop in stops for piece in cut)
        assert [row for piece in cut for row in piece] == list(range(9))


def test_orpo_stays_finite_where_an_answer_is_certain() -> None:
    side = torch.tensor([0.0, -1e-9, -30.0], requires_grad=True)
    from truing.learn.objectives.orpo import _log_odds

    odds = _log_odds(side)
    logsigmoid(odds).sum().backward()
    assert odds.isfinite().all() and side.grad is not None and side.grad.isfinite().all()
