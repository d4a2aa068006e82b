"""Intervals that ask which truths are near what was seen, by the truth's own standard error.

Unlike those that go up and down from the estimate by its standard error, they have a width where all or
none succeeded, and never leave the possible. For a share: Wilson (1927, Journal of the American
Statistical Association 22). For the difference of two shares in pairs: Tango (1998, Statistics in Medicine
17, section 3), who maximises the likelihood under each difference that is tried. Sizes may be effective
ones, and need not be whole numbers.
"""

from __future__ import annotations

from math import sqrt

_HALVINGS, _TINY = 40, 1e-12


def wilson(share: float, size: float, quantile: float) -> tuple[float, float]:
    """Where the share lies, if `size` independent draws gave this one."""
    extra = quantile**2 / size
    middle = (share + extra / 2) / (1 + extra)
    reach = quantile / (1 + extra) * (share * (1 - share) / size + extra / (4 * size)) ** 0.5
    return middle - reach, middle + reach


def tango(difference: float, apart: float, size: float, quantile: float) -> tuple[float, float]:
    """The same for the difference of two shares in pairs, of which the share `apart` differs."""
    wins, losses = (apart + difference) / 2, (apart - difference) / 2

    def deviates(tried: float) -> float:
        """By how many standard errors what was seen differs from the difference that is tried."""
        linear = (2 - wins + losses) * tried - wins - losses
        root = sqrt(max(linear**2 + 8 * losses * tried * (1 - tried), 0.0))
        variance = (root - linear) / 2 + tried * (1 - tried)
        return abs(difference - tried) / sqrt(max(variance / size, _TINY))

    def bound(outside: float) -> float:
        inside = difference
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if deviates(middle) < quantile else (inside, middle)
        return outside

    return bound(-1.0), bound(1.0)
