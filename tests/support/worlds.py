"""Worlds small enough to enumerate all that can happen, for a softmax table as policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tabular import LENGTH, PREFIXES, SEQUENCES, TOKENS, states
from truing.learn.correction import reweighted
from truing.learn.objectives.objective import Current, Objective
from truing.learn.update import LogRow, Policy, update
from truing.policies.trajectories import Trajectories
from truing.spec.run import Correction


@dataclass
class World:
    """Every trajectory (N of them): states, actions, rewards, mask, and the chance that the world (not
    the policy) lets it happen. `logits` and `reference` are tables (states, actions)."""

    logits: Tensor
    reference: Tensor
    state_NT: Tensor
    action_NT: Tensor
    reward_NT: Tensor
    mask_NT: Tensor
    world_N: Tensor
    data: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.data = torch.stack((self.state_NT, self.action_NT), 2)

    def log_probs(self, logits: Tensor) -> Tensor:
        """(N, T) of the actions, 0 behind the end; differentiable."""
        return looked_up(logits.log_softmax(-1), self.data) * self.mask_NT

    def probabilities(self, logits: Tensor) -> Tensor:
        """(N,) of the trajectories; differentiable."""
        return self.world_N * self.log_probs(logits).sum(1).exp()

    def trajectories(self, rows: Tensor, group_B: Tensor, acting: Tensor) -> Trajectories:
        """Some of them, as sampled by the policy `acting`."""
        return Trajectories(
            self.mask_NT[rows],
            self.reward_NT[rows],
            group_B,
            self.log_probs(acting)[rows],
            self.log_probs(self.reference)[rows],
            self.data[rows],
        )

    def draw(self, batches: int, group: int, seed: int, acting: Tensor) -> Trajectories:
        """`group` trajectories for each of `batches` groups."""
        rows = torch.multinomial(
            self.probabilities(acting),
            batches * group,
            replacement=True,
            generator=torch.Generator().manual_seed(seed),
        )
        return self.trajectories(rows, torch.arange(batches).repeat_interleave(group), acting)

    def gradient(self, value_N: Tensor, logits: Tensor | None = None) -> Tensor:
        """The exact gradient of the expectation of a value of each trajectory."""
        table = (self.logits if logits is None else logits).clone().requires_grad_()
        (self.probabilities(table) * value_N).sum().backward()
        assert table.grad is not None
        return table.grad

    def kl_gradient(self) -> Tensor:
        """The exact gradient of KL(policy || reference) over trajectories."""
        table = self.logits.clone().requires_grad_()
        ratio_N = (self.log_probs(table) - self.log_probs(self.reference)).sum(1)
        (self.probabilities(table) * ratio_N).sum().backward()
        assert table.grad is not None
        return table.grad

    def visits(self) -> Tensor:
        """(states,) how often each state is expected to be acted in."""
        count_NT = self.probabilities(self.logits)[:, None] * self.mask_NT
        return (
            torch.zeros(len(self.logits))
            .double()
            .index_add_(0, self.state_NT.flatten(), count_NT.flatten())
        )


def looked_up(table: Tensor, data_BT2: Tensor) -> Tensor:
    """(B, T) entries of a table (states, actions)."""
    return table[data_BT2[..., 0], data_BT2[..., 1]]


def entropies(logits: Tensor) -> Tensor:
    """(states,) entropy (nats) of each row of a table of logits."""
    log_probs = logits.log_softmax(-1)
    return -(log_probs.exp() * log_probs).sum(-1)


class TablePolicy:
    """See learn.update.EntropyPolicy. `piece` trajectories are taken at a time."""

    def __init__(self, logits: Tensor, piece: int = 1 << 30) -> None:
        self.logits = nn.Parameter(logits.clone())
        self.piece = piece

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        return {"logits": self.logits}

    def log_probs(self, trajectories: Trajectories) -> Tensor:
        return looked_up(self.logits.log_softmax(-1), trajectories.data) * trajectories.mask_BT

    def log_probs_and_entropies(self, trajectories: Trajectories) -> tuple[Tensor, Tensor]:
        entropy_BT = entropies(self.logits)[trajectories.data[..., 0]] * trajectories.mask_BT
        return self.log_probs(trajectories), entropy_BT

    def pieces(self, trajectories: Trajectories) -> Iterator[range]:
        for start in range(0, len(trajectories), self.piece):
            yield range(start, min(start + self.piece, len(trajectories)))


def estimates(
    world: World,
    objective: Objective,
    batches: int,
    seed: int,
    *,
    group: int = 4,
    now: Tensor | None = None,
    sampler: Tensor | None = None,
    correction: Correction = "none",
) -> Tensor:
    """(batches, states, actions): the ascent direction that each group of samples gives.

    Each group has its own copy of the table, so that one backward pass keeps them apart. `now` is
    the policy that learns, where it isn't the one that acted. `sampler` acted in its place, which
    `correction` makes good.
    """
    batch = world.draw(batches, group, seed, world.logits if sampler is None else sampler)
    if correction != "none":
        batch, _ = reweighted(
            batch, TablePolicy(world.logits).log_probs(batch).detach(), correction
        )
    credit_BT = objective.credit(batch)
    trained_on_B = objective.has_gradient(batch, credit_BT)
    table = world.logits if now is None else now
    tables = table.expand(batches, -1, -1).clone().requires_grad_()
    places = batch.group_B[:, None], batch.data[..., 0]
    log_prob_BT = tables.log_softmax(-1)[(*places, batch.data[..., 1])] * batch.mask_BT
    entropy_BT = entropies(tables)[places] * batch.mask_BT if objective.needs_entropy else None
    loss_B = objective.loss(Current(log_prob_BT, entropy_BT), credit_BT, batch).loss_B
    ((loss_B * trained_on_B).sum() / group).backward()
    assert tables.grad is not None
    return -tables.grad


def _tables(count: int, actions: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits, reference = 0.7 * torch.randn(2, count, actions, generator=generator).double()
    return logits, reference


def sequences() -> World:
    """Text: 4 tokens, 3 places, every prefix a state; token 0 ends; the reward comes at the end."""
    logits, reference = _tables(PREFIXES, TOKENS, 0)
    mask = torch.ones(SEQUENCES.shape, dtype=torch.bool)
    for t in range(1, LENGTH):
        mask[:, t] = mask[:, t - 1] & (SEQUENCES[:, t - 1] != 0)
    _, first = (SEQUENCES * mask - (~mask).long()).unique(dim=0, return_inverse=True)
    kept = torch.tensor([int((first == n).nonzero()[0]) for n in first.unique()])
    mask = mask[kept]
    reward = torch.zeros(mask.shape).double()
    value = torch.randn(len(kept), generator=torch.Generator().manual_seed(1)).double() + 2
    reward[torch.arange(len(kept)), mask.sum(1) - 1] = value
    ones = torch.ones(len(kept)).double()
    return World(logits, reference, states(SEQUENCES)[kept], SEQUENCES[kept], reward, mask, ones)


def choices() -> World:
    """One action each, in one of 5 states that the world draws; rewards lie around 2."""
    logits, reference = _tables(5, 4, 3)
    state, action = torch.cartesian_prod(torch.arange(5), torch.arange(4)).unbind(1)
    value = torch.randn(20, generator=torch.Generator().manual_seed(4)).double() + 2
    chance = torch.tensor([0.1, 0.3, 0.2, 0.25, 0.15]).double()[state]
    mask = torch.ones(20, 1, dtype=torch.bool)
    return World(logits, reference, state[:, None], action[:, None], value[:, None], mask, chance)


def biased_sampler(world: World) -> Tensor:
    """A table some way from the world's, whose ratios both corrections leave as they are."""
    generator = torch.Generator().manual_seed(5)
    return world.logits + 0.13 * torch.randn(world.logits.shape, generator=generator).double()


ROWS, COLUMNS, HORIZON, SLIP = 2, 3, 4, 0.2
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left


def _next_cell(cell: int, move: int) -> int:
    row, column = divmod(cell, COLUMNS)
    row, column = row + MOVES[move][0], column + MOVES[move][1]
    inside = 0 <= row < ROWS and 0 <= column < COLUMNS
    return row * COLUMNS + column if inside else cell


def slippery_grid() -> World:
    """2 x 3 cells, from one corner to a star in the other (reward 1, the end), a coin on the way (0.3
    at each visit), 4 moves; one move in five goes astray to the left or right of where it was aimed."""
    star, coin = ROWS * COLUMNS - 1, COLUMNS - 1
    open_: list[tuple[list[tuple[int, int, float]], int, float]] = [([], 0, 1.0)]
    done: list[tuple[list[tuple[int, int, float]], float]] = []
    for _ in range(HORIZON):
        following = []
        for path, cell, chance in open_:
            for action in range(4):
                for turn, share in ((0, 1 - SLIP), (1, SLIP / 2), (3, SLIP / 2)):
                    there = _next_cell(cell, (action + turn) % 4)
                    reward = 1.0 if there == star else 0.3 if there == coin else 0.0
                    longer = [*path, (cell, action, reward)]
                    if there == star:
                        done.append((longer, chance * share))
                    else:
                        following.append((longer, there, chance * share))
        open_ = following
    done += [(path, chance) for path, _, chance in open_]
    padded = torch.tensor(
        [[*path, *[(0, 0, 0.0)] * (HORIZON - len(path))] for path, _ in done]
    ).double()
    lengths = torch.tensor([len(path) for path, _ in done])
    mask = torch.arange(HORIZON)[None] < lengths[:, None]
    chance_N = torch.tensor([chance for _, chance in done]).double()
    logits, reference = _tables(ROWS * COLUMNS, 4, 2)
    state, action = padded[..., 0].long(), padded[..., 1].long()
    return World(logits, reference, state, action, padded[..., 2], mask, chance_N)


def expected_return(world_logits: Tensor, discount: float) -> float:
    """The expected return of a table's policy in the slippery grid by dynamic programming."""
    star, coin = ROWS * COLUMNS - 1, COLUMNS - 1
    policy = world_logits.softmax(-1)
    value = [0.0] * (ROWS * COLUMNS)
    for _ in range(HORIZON):
        earlier = list(value)
        for cell in range(ROWS * COLUMNS):
            total = 0.0
            for action in range(4):
                for turn, share in ((0, 1 - SLIP), (1, SLIP / 2), (3, SLIP / 2)):
                    there = _next_cell(cell, (action + turn) % 4)
                    reward = 1.0 if there == star else 0.3 if there == coin else 0.0
                    later = 0.0 if there == star else discount * earlier[there]
                    total += float(policy[cell, action]) * share * (reward + later)
            value[cell] = total
    return value[0]


def update_gradients(
    policy: Policy, objective: Objective, batch: Trajectories
) -> tuple[dict[str, Tensor], LogRow]:
    """The gradients by parameter that an update steps along, unclipped, and its row; nothing moves."""
    optimizer = torch.optim.SGD(policy.parameters.values(), 0.0)
    found: dict[str, Tensor] = {}

    def keep(*_: object) -> None:
        named = policy.parameters.items()
        found.update({name: p.grad for name, p in named if p.grad is not None})

    optimizer.register_step_pre_hook(keep)
    return found, update(policy, optimizer, objective, batch, 1e9)
