"""What one batch does to a policy: credit once, then one or several gradient steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from truing.learn.objectives.objective import Current, Loss, Objective
from truing.learn.update_schedule import UpdateSchedule
from truing.policies.trajectories import Trajectories
from truing.runs.ranks import Ranks
from truing.runs.row_shard import is_shared_out
from truing.types import InputError

LogRow = dict[str, Any]
_MEAN = "mean of "
"""Before the names of figures in a tally that are means over the batch already."""


class Policy(Protocol):
    """What learning needs to know of a policy."""

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The parameters in training."""
        ...

    def log_probs(self, trajectories: Trajectories) -> Tensor:
        """(B, T) current log-probabilities, differentiable."""
        ...

    def pieces(self, trajectories: Trajectories) -> Iterator[range]:
        """How to take a batch through the policy in pieces that fit the memory."""
        ...


@runtime_checkable
class EntropyPolicy(Policy, Protocol):
    """A policy that also gives the entropies of its distributions, which an entropy bonus needs."""

    def log_probs_and_entropies(self, trajectories: Trajectories) -> tuple[Tensor, Tensor]:
        """(B, T) each, differentiable, 0 outside the mask: as `log_probs`, and entropies (nats)."""
        ...


@runtime_checkable
class DivergencePolicy(Policy, Protocol):
    """A policy that also tells how far it is from its reference, by their whole distributions."""

    def log_probs_and_divergences(
        self, trajectories: Trajectories, held_B: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, T) each, differentiable: as `log_probs`, and KL(reference || policy) (nats) in each state.

        The first is 0 for trajectories where `held_B` is 1, the second where it is 0; in between both are
        there, as anywhere 0 outside the mask.
        """
        ...


@runtime_checkable
class ShrinkingPolicy(Policy, Protocol):
    """A policy whose pieces can be made smaller, for a device whose memory runs out."""

    def shrink(self) -> bool:
        """Makes them smaller from now on; False where they can't be."""
        ...


@dataclass
class _Tally:
    """Sums over every action that was learned from, whatever piece or minibatch it was in."""

    sums: dict[str, float] = field(default_factory=dict)
    actions: float = 0.0

    def add(self, figures: dict[str, float], actions: float) -> None:
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.actions += actions

    def mean(self, name: str) -> float:
        return self.sums.get(name, 0.0) / max(1.0, self.actions)


def _means(tally: _Tally) -> list[str]:
    return [name for name in tally.sums if name.startswith(_MEAN)]


def check_trajectories(trajectories: Trajectories) -> None:
    """Raises InputError where shapes disagree or a trajectory has no action to learn from."""
    shape = trajectories.mask_BT.shape
    for name in ("reward_BT", "log_prob_BT", "reference_log_prob_BT"):
        found = getattr(trajectories, name).shape
        if found != shape:
            raise InputError(f"{name}: has the shape {tuple(found)}, the mask {tuple(shape)}")
    empty = (~trajectories.mask_BT.any(1)).nonzero()[:, 0].tolist()
    if empty:
        raise InputError(
            f"trajectory {empty[0]} has no action to learn from: its loss mask is empty; leave it out"
        )


def evaluate(policy: Policy, objective: Objective, trajectories: Trajectories) -> Current:
    """The actions as the policy sees them now; with what else the objective asks for."""
    held_B = objective.held(trajectories)
    if held_B is not None and held_B.any():
        if not isinstance(policy, DivergencePolicy):
            raise InputError(
                f"{objective.name}: {type(policy).__name__} doesn't tell how far it is from a reference"
            )
        log_prob_BT, divergence_BT = policy.log_probs_and_divergences(trajectories, held_B)
        return Current(log_prob_BT, divergence_BT=divergence_BT)
    if not objective.needs_entropy:
        return Current(policy.log_probs(trajectories))
    if not isinstance(policy, EntropyPolicy):
        raise InputError(
            f"entropy_weight: {type(policy).__name__} doesn't give entropies; set it to 0"
        )
    return Current(*policy.log_probs_and_entropies(trajectories))


def whole_units(pieces: Iterable[range], units: Sequence[range]) -> Iterator[list[range]]:
    """Pieces in lists that hold whole units: one piece each, more where a unit doesn't fit one."""
    ends = {unit.stop for unit in units}
    together: list[range] = []
    for piece in pieces:
        together.append(piece)
        if piece.stop in ends:
            yield together
            together = []


def _add_gradient(
    policy: Policy,
    objective: Objective,
    part: Trajectories,
    credit_BT: Tensor,
    count: float,
    pieces: Sequence[range],
) -> Loss:
    """Adds the gradient of the sum of the part's losses / `count`. Returns the loss.

    Several pieces are gone through twice, because the loss depends on all of them: its derivatives by
    their log-probabilities come first, and are then weights of the log-probabilities of each piece. By
    the chain rule that is the same gradient, with the memory of one piece.
    """
    if len(pieces) == 1:
        found = objective.loss(evaluate(policy, objective, part), credit_BT, part)
        (found.loss_B.sum() / count).backward()
        return found
    alone = part.unpaired
    log_probs = [policy.log_probs(alone.select(piece)).detach() for piece in pieces]
    log_prob_BT = torch.cat(log_probs).requires_grad_()
    found = objective.loss(Current(log_prob_BT), credit_BT, part)
    (found.loss_B.sum() / count).backward()
    weight_BT = log_prob_BT.grad
    assert weight_BT is not None
    for piece in pieces:
        weight = weight_BT[piece.start : piece.stop]
        (weight * policy.log_probs(alone.select(piece))).sum().backward()
    return found


def accumulate(
    policy: Policy,
    objective: Objective,
    batch: Trajectories,
    credit_BT: Tensor,
    count: float,
    ranks: Ranks,
) -> tuple[dict[str, float], float]:
    """Makes the gradient of the sum of the batch's losses / `count`, piece by piece; there is none yet.

    Where memory runs out, it begins again with smaller pieces. Returns sums of the figures over the
    batch's actions, with the loss, and how many actions.
    """
    rows = [row for unit in ranks.share(batch.units) for row in unit]
    mine, credit_BT = batch.select(rows), credit_BT[rows]
    parameters = policy.parameters.values()
    # Gradients of what is shared out are summed as they come: if one begins again, all do.
    together = any(map(is_shared_out, parameters))
    while True:
        tally = _in_pieces(policy, objective, mine, credit_BT, count)
        ran_out = tally is None
        if not (ranks.any(ran_out) if together else ran_out):
            break
        for parameter in parameters:
            parameter.grad = None
    assert tally is not None
    ranks.sum_gradients(parameters)
    sums = ranks.sum_figures({**tally.sums, "actions": tally.actions})
    return sums, sums.pop("actions")


def _in_pieces(
    policy: Policy, objective: Objective, batch: Trajectories, credit_BT: Tensor, count: float
) -> _Tally | None:
    """Adds the gradients piece by piece. None where memory ran out and smaller pieces may fit: what is in
    the gradients then is good for nothing."""
    tally = _Tally()
    try:
        for pieces in whole_units(policy.pieces(batch), batch.units):
            here = range(pieces[0].start, pieces[-1].stop)
            part = batch.select(here)
            inner = [range(piece.start - here.start, piece.stop - here.start) for piece in pieces]
            credit = credit_BT[here.start : here.stop]
            found = _add_gradient(policy, objective, part, credit, count, inner)
            figures = {
                name: float((figure_BT * part.mask_BT).sum())
                for name, figure_BT in found.figures.items()
            }
            sums = {_MEAN + name: float(value) / count for name, value in found.sums.items()}
            loss = float(found.loss_B.detach().sum() / count)
            tally.add({"loss": loss, **sums, **figures}, float(part.mask_BT.sum()))
    except torch.OutOfMemoryError:
        if not isinstance(policy, ShrinkingPolicy) or not policy.shrink():
            raise
        return None
    return tally


def gradient_step(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    max_grad_norm: float,
    ranks: Ranks | None = None,
) -> float:
    """Clips the gradient, steps and returns its norm before clipping. `ranks` may each have rows of it.

    Raises FloatingPointError where it isn't finite, before it can reach the parameters.
    """
    parameters = list(policy.parameters.values())
    if ranks is not None and any(map(is_shared_out, parameters)):
        norm = ranks.gradient_norm(parameters)
        torch.nn.utils.clip_grads_with_norm_(parameters, max_grad_norm, norm)
    else:
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm)
    if not torch.isfinite(norm):
        raise FloatingPointError(f"the gradient's norm is {float(norm)}; lower the learning rate")
    optimizer.step()
    # Fused optimizers change parameters behind autograd's back; who keeps copies looks at versions.
    torch.autograd.graph.increment_version(parameters)
    return float(norm)


def zero_advantage_groups(trajectories: Trajectories, trained_on_B: Tensor) -> int:
    """How many groups have no gradient: their returns are all equal, or unscored."""
    groups = trajectories.group_B.unique()
    return len(groups) - len(trajectories.group_B[trained_on_B].unique())


def _counts(trajectories: Trajectories) -> Tensor:
    """(B,) False where the correction of the sampler has masked a trajectory out."""
    if trajectories.correction_BT is None:
        return torch.ones(len(trajectories), dtype=torch.bool)
    return trajectories.correction_BT.ne(0).any(1)


def update(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    trajectories: Trajectories,
    max_grad_norm: float,
    schedule: UpdateSchedule | None = None,
    step: int = 1,
    ranks: Ranks | None = None,
) -> LogRow:
    """Learns from a batch. Returns what to log, over the whole batch and all its epochs.

    `schedule` is how often; without one, the objective's own.

    `loss` and `gradient_norm` are means over the gradient steps, figures of the objective means over
    the actions. Trajectories without credit cost no pass; where none has credit, nothing changes.
    Each minibatch's loss is divided by its share of *all* trajectories of the batch. Raises
    FloatingPointError where a gradient isn't finite.
    """
    check_trajectories(trajectories)
    ranks, schedule = ranks or Ranks(), schedule or objective.schedule()
    credit_BT = objective.credit(trajectories)
    trained_on_B = objective.has_gradient(trajectories, credit_BT)
    useful = (trained_on_B & _counts(trajectories)).nonzero()[:, 0].tolist()
    batch, credit_BT = trajectories.select(useful), credit_BT[useful]
    count, units = objective.count(trajectories) / schedule.minibatches, batch.units
    whole, norms, epochs = _Tally(), [], 0
    while useful and epochs < schedule.epochs:
        this = _Tally()
        for numbers in schedule.split(len(units), step, epochs):
            rows = [row for number in numbers for row in units[number]]
            optimizer.zero_grad(set_to_none=True)
            part = batch.select(rows)
            this.add(*accumulate(policy, objective, part, credit_BT[rows], count, ranks))
            norms.append(gradient_step(policy, optimizer, max_grad_norm, ranks))
        whole.add(this.sums, this.actions)
        epochs += 1
        limit = schedule.max_update_kl
        if limit is not None and this.mean("update_kl") > limit:
            break
    optimizer.zero_grad(set_to_none=True)  # as large as the weights, and sampling comes next
    steps = max(1, len(norms))
    row: LogRow = {
        "loss": whole.sums.pop("loss", 0.0) / steps,
        "gradient_norm": sum(norms) / steps,
        "taught": len(useful),
        "idle_groups": zero_advantage_groups(trajectories, trained_on_B),
        "tokens": int(whole.actions),
        **{name.removeprefix(_MEAN): whole.sums.pop(name) / steps for name in _means(whole)},
        **{name: whole.mean(name) for name in whole.sums},
        **objective.learn(trajectories),
    }
    return row if schedule.epochs == 1 else row | {"epochs": epochs}
