"""What can be known exactly of a grid world: values of a policy, and the best that any can do.

Backward induction over the horizon (Puterman, "Markov Decision Processes", section 4.5; without an
end in sight it is value iteration). With h steps left, and V_0 = 0,

    Q_h(s, a) = sum_m p(m | a) [ r(s, m) + discount * V_{h-1}(s moved by m) ]
    V_h(s)    = sum_a policy(a | s) Q_h(s, a)     for a policy's value
    V_h(s)    = max_a Q_h(s, a)                   for the best there is

The best policy may look at the clock; a table that doesn't can only come near, and does so where
the horizon is far. So `optimal` is an upper bound for any policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from truing.grid.world import Floats, GridWorld, Ints

TOLERANCE = 1e-12
"""Error of a value, at most."""


@dataclass(frozen=True)
class Optimum:
    """The best there is: `value_S` (S,), `action_S` (S,) with the whole horizon left, `result`: its
    expected discounted return from the start."""

    value_S: Floats
    action_S: Ints
    result: float


def action_values(world: GridWorld, value_S: Floats) -> Floats:
    """(S, 4) Q from the values V that hold one step later."""
    later_SM = world.reward_SM + world.discount * value_S[world.moved_SM]
    return later_SM @ world.chance_AM.T


def _induction(world: GridWorld, choose: Callable[[Floats], Floats]) -> Floats:
    """(S,) values with the whole horizon left, to within TOLERANCE."""
    value_S = np.zeros(world.states)
    for left in range(world.horizon, 0, -1):
        before_S, value_S = value_S, choose(action_values(world, value_S))
        # No later step can change a value by more than this one did, so that is all that is left.
        if float(np.abs(value_S - before_S).max()) * left < TOLERANCE:
            break
    return value_S


def policy_values(world: GridWorld, policy_SA: Floats) -> Floats:
    """(S,) exact expected discounted return of a policy (S, 4) from each state."""
    return _induction(world, lambda q_SA: (policy_SA * q_SA).sum(1))


def expected_return(world: GridWorld, policy_SA: Floats) -> float:
    """Exact expected discounted return of a policy (S, 4) from the start."""
    return float(world.start_S @ policy_values(world, policy_SA))


def optimum(world: GridWorld) -> Optimum:
    """The best values and first actions; of equally good actions the first in order."""
    value_S = _induction(world, lambda q_SA: q_SA.max(1))
    # Rounded, so that the last bit doesn't choose between actions that are equally good.
    action_S = action_values(world, value_S).round(12).argmax(1)
    return Optimum(value_S, action_S, float(world.start_S @ value_S))
