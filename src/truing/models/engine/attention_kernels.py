"""Attention in a decode step, compiled for the processor: see kernels.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from truing.models.engine.kernels import compiled, exp, narrow, part, wide
from truing.models.engine.openmp import on_threads

_F = np.float32


@compiled
def _place(
    number: Any,
    threads: Any,
    heads_NAD: Any,
    cos_ND: Any,
    sin_ND: Any,
    slot_N: Any,
    scale: Any,
    step: Any,
    query_KRGD: Any,
    keys_KRTD: Any,
    values_KRTD: Any,
) -> None:
    K, _, G, D = query_KRGD.shape
    half = D // 2
    for n in part(len(slot_N), number, threads):
        slot = slot_N[n]
        for k in range(K):
            for g in range(G + 1):
                head = k * G + g if g < G else K * G + k
                for d in range(half):
                    one, other = wide(heads_NAD[n, head, d]), wide(heads_NAD[n, head, d + half])
                    first = one * wide(cos_ND[n, d]) - other * wide(sin_ND[n, d])
                    second = other * wide(cos_ND[n, d + half]) + one * wide(sin_ND[n, d + half])
                    if g < G:
                        query_KRGD[k, slot, g, d] = narrow(first * scale, query_KRGD)
                        query_KRGD[k, slot, g, d + half] = narrow(second * scale, query_KRGD)
                    else:
                        keys_KRTD[k, slot, step, d] = narrow(first, keys_KRTD)
                        keys_KRTD[k, slot, step, d + half] = narrow(second, keys_KRTD)
            for d in range(D):
                values_KRTD[k, slot, step, d] = heads_NAD[n, K * G + K + k, d]


@compiled
def place(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    """Turns rows' queries and keys by their positions (Su et al., 2021, eq. 34, in halves), and writes
    queries times `scale`, and keys and values as a step's, where the row's slot has them.

    Given are heads (N, A, D) of queries (K G), keys (K) and values (K); cosines and sines (N, D); the slots
    of the rows (N,); the scale; the step; and where it is written: queries (K, R, G, D), keys and values
    (K, R, T, D) of R slots.
    """
    on_threads(fork, which, threads, _place, given)


@compiled
def _bounded(scores_L: Any, softcap: Any) -> None:
    """softcap tanh(score / softcap), in place; of -inf itself."""
    for column in range(len(scores_L)):
        score = scores_L[column]
        rest = exp(-abs(score) * (_F(2) / softcap))
        bounded = math.copysign(softcap * (_F(1) - rest) / (_F(1) + rest), score)
        scores_L[column] = score if score == _F(-np.inf) else bounded


@compiled
def _shown(scores_L: Any, first: Any, end: Any, row_L: Any) -> None:
    """Scores as float32; -inf for keys before the first that is seen, and from the end on."""
    for column in range(len(row_L)):
        seen = first <= column < end
        row_L[column] = wide(scores_L[column]) if seen else _F(-np.inf)


@compiled
def _own_scores(query_D: Any, keys_TD: Any, first: Any, row_T: Any) -> None:
    """Products of a query and a row's own keys; -inf before the first that is seen."""
    for t in range(len(row_T)):
        score = _F(0)
        for d in range(len(query_D)):
            score += wide(query_D[d]) * wide(keys_TD[t, d])
        row_T[t] = score if t >= first else _F(-np.inf)


@compiled
def _weighed(row_W: Any, sink: Any) -> None:
    """Softmax, in place, with a score more that is no key's."""
    highest, total = sink, _F(0)
    for column in range(len(row_W)):
        highest = max(highest, row_W[column])
    for column in range(len(row_W)):
        row_W[column] = exp(row_W[column] - highest)
        total += row_W[column]
    total += exp(sink - highest)
    for column in range(len(row_W)):
        row_W[column] /= total


@compiled
def _written(row_L: Any, weights_L: Any) -> None:
    for column in range(len(row_L)):
        weights_L[column] = narrow(row_L[column], weights_L)


@compiled
def _own_mix(row_T: Any, values_TD: Any, sum_D: Any, out_D: Any) -> None:
    """The weighted sum of a row's own values."""
    sum_D[:] = 0
    for t in range(len(row_T)):
        for d in range(len(sum_D)):
            sum_D[d] += row_T[t] * wide(values_TD[t, d])
    for d in range(len(sum_D)):
        out_D[d] = narrow(sum_D[d], out_D)


@compiled
def _look_back(
    number: Any,
    threads: Any,
    query_KRGD: Any,
    prefix_KRGX: Any,
    begun_KRGB: Any,
    prompt_KRGL: Any,
    begun_P: Any,
    prompt_P: Any,
    keys_KRTD: Any,
    values_KRTD: Any,
    slot_N: Any,
    samples: Any,
    step: Any,
    window: Any,
    softcap: Any,
    sinks_H: Any,
    out_KRGD: Any,
) -> None:
    (K, _, G, D), N = query_KRGD.shape, len(slot_N)
    X, B, L, T = prefix_KRGX.shape[3], begun_KRGB.shape[3], prompt_KRGL.shape[3], step + 1
    row, sums = np.empty(X + B + L + T, np.float32), np.empty(D, np.float32)
    in_prefix, in_beginning = row[:X], row[X : X + B]
    in_prompt, own = row[X + B : X + B + L], row[X + B + L :]
    for each in part(K * N, number, threads):
        k, slot = each // N, slot_N[each % N]
        begun, length = begun_P[slot // samples], prompt_P[slot // samples]
        first = max(0, X + begun + length + T - window)
        for g in range(G):
            _shown(prefix_KRGX[k, slot, g], first, X, in_prefix)
            _shown(begun_KRGB[k, slot, g], first - X, begun, in_beginning)
            _shown(prompt_KRGL[k, slot, g], first - X - begun, length, in_prompt)
            since = first - X - begun - length
            _own_scores(query_KRGD[k, slot, g], keys_KRTD[k, slot], since, own)
            if softcap != 0:
                _bounded(row, softcap)
            _weighed(row, sinks_H[k * G + g])
            _written(in_prefix, prefix_KRGX[k, slot, g])
            _written(in_beginning, begun_KRGB[k, slot, g])
            _written(in_prompt, prompt_KRGL[k, slot, g])
            _own_mix(own, values_KRTD[k, slot], sums, out_KRGD[k, slot, g])


@compiled
def look_back(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    """Softmax of what rows see: weights are written over the scores of what prompts share, the weighted sum
    of the own values to the output.

    Given are queries (K, R, G, D); their scores of the prefix, of a beginning and of a prompt (K, R, G,
    keys), of which as many columns are keys as the next two say, (P,) each; own keys and values (K, R, T,
    D), which are seen up to the step; the slots of the rows (N,); how many a prompt has; the step; the
    window, positions back that are seen, itself included; the softcap, see ScoreRule; sinks (H,); and the
    output (K, R, G, D).
    """
    on_threads(fork, which, threads, _look_back, given)
