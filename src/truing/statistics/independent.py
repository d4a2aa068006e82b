"""The difference of two figures that share no case, from the interval of each.

The square root of the summed squared distances to the ends of the intervals (Newcombe, 1998, Statistics in
Medicine 17(8), method 10; for any figures Zou and Donner, 2008, Statistics in Medicine 27(10), equation 3).
It takes the figures for independent: where the same cases are behind both, it is wider than it need be,
as long as what makes a case hard for one makes it hard for the other.
"""

from __future__ import annotations

from math import hypot

from truing.types import Estimate


def independent_difference(ours: Estimate, theirs: Estimate) -> Estimate:
    """`ours` - `theirs`. `n` is the smaller of both; without an interval of either there is none."""
    unscored = ours.unscored + theirs.unscored
    if ours.value is None or theirs.value is None:
        return Estimate(None, None, None, 0, unscored)
    value, n = ours.value - theirs.value, min(ours.n, theirs.n)
    if ours.low is None or ours.high is None or theirs.low is None or theirs.high is None:
        return Estimate(value, None, None, n, unscored)
    below = hypot(ours.value - ours.low, theirs.high - theirs.value)
    above = hypot(ours.high - ours.value, theirs.value - theirs.low)
    return Estimate(value, value - below, value + above, n, unscored)
