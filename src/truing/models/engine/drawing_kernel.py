"""A token for each row of scores, compiled for the processor: a row is as long as the vocabulary, and gone
over twice, while a core's own cache holds it."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from truing.models.engine.kernels import compiled, exp, operator, part
from truing.models.engine.openmp import on_threads

_F = np.float32
BLOCK = 128
"""Scores whose weights are summed by themselves, in float32; their sums are summed in float64."""


@operator
def _in_order_of(context: Any, number: Any) -> Any:
    """An integer that is larger for a larger float32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(32)
        bits = builder.bitcast(arguments[0], word)
        negative = builder.ashr(bits, word(31))
        return builder.xor(bits, builder.and_(negative, word(0x7FFFFFFF)))

    return types.int32(types.float32), code


@compiled
def _highest(scores_V: Any) -> Any:
    """The first place of the highest score."""
    most = np.int32(-(2**31))
    for v in range(len(scores_V)):
        most = max(most, _in_order_of(scores_V[v]))
    place = 0
    while _in_order_of(scores_V[place]) != most:
        place += 1
    return place


@compiled
def _weights(scores_C: Any, highest: Any, cold: Any, weight_C: Any) -> Any:
    """Writes exp of the scores' distances below the highest, divided by the temperature; their sum, and
    that of their products with what they are exp of."""
    total, inner = _F(0), _F(0)
    for c in range(len(scores_C)):
        below = max((scores_C[c] - highest) * cold, _F(-1e4))
        weight_C[c] = exp(below)
        total += weight_C[c]
        inner += weight_C[c] * below
    return total, inner


@compiled
def _first_above(summed_C: Any, wanted: Any) -> Any:
    """The first place at which the sum up to it exceeds what is wanted, and the sum before it; where
    rounding leaves it below, the last place that adds something."""
    before, place, at = 0.0, 0, 0.0
    for c in range(len(summed_C)):
        if summed_C[c] > 0:
            place, at = c, before
            before += summed_C[c]
            if before > wanted:
                break
    return place, at


@compiled
def _draw(
    number: Any,
    threads: Any,
    scores_NV: Any,
    uniform_N: Any,
    temperature: Any,
    token_N: Any,
    log_prob_N: Any,
    entropy_N: Any,
) -> None:
    N, V = scores_NV.shape
    sums, weight_C = np.empty(-(-V // BLOCK), np.float32), np.empty(BLOCK, np.float32)
    cold = _F(1) if temperature == 0 else _F(1) / temperature
    for n in part(N, number, threads):
        scores_V, total, inner = scores_NV[n], 0.0, 0.0
        token = _highest(scores_V)
        highest = scores_V[token]
        for block in range(len(sums)):
            scores_C = scores_V[block * BLOCK : (block + 1) * BLOCK]
            sums[block], inside = _weights(scores_C, highest, cold, weight_C)
            total += sums[block]
            inner += inside
        if temperature != 0:
            wanted = uniform_N[n] * total
            block, before = _first_above(sums, wanted)
            scores_C = scores_V[block * BLOCK : (block + 1) * BLOCK]
            _weights(scores_C, highest, cold, weight_C)
            place, _ = _first_above(weight_C[: len(scores_C)], wanted - before)
            token = block * BLOCK + place
        token_N[n] = token
        log_prob_N[n] = (scores_V[token] - highest) * cold - np.log(total)
        entropy_N[n] = np.log(total) - inner / total


@compiled
def draw(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    """Writes a token of each row of scores, its log-probability and the distribution's entropy: the first
    token at which the sum of probabilities exceeds the row's uniform number, or at temperature 0 the first
    of the highest score, whose log-probability is that at temperature 1.

    Given are scores (N, V); uniform numbers (N,); the temperature; tokens (N,) as integers, log-probabilities
    (N,) and entropies (N,), in nats.
    """
    on_threads(fork, which, threads, _draw, given)
