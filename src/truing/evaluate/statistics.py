"""Means with their uncertainty; see `truing.statistics`, which loads nothing but numpy."""

from truing.statistics import (
    CONFIDENCE,
    RESAMPLES,
    SEED,
    bootstrap_means,
    mean,
    paired_difference,
    summary,
)

__all__ = [
    "CONFIDENCE",
    "RESAMPLES",
    "SEED",
    "bootstrap_means",
    "mean",
    "paired_difference",
    "summary",
]
