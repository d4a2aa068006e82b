"""A process that is silent is noticed; one that is done isn't missed."""

from __future__ import annotations

import time

import pytest
import torch

from truing.runs.heartbeat import Heartbeat, ProcessLost, all_there


def test_whoever_is_silent_is_lost_and_whoever_has_ended_is_not() -> None:
    store, lost = torch.distributed.HashStore(), list[tuple[int, int]]()
    beats = [
        Heartbeat(store, index, 3, lambda other, own=index: lost.append((own, other)), 0.01, 0.3)
        for index in range(3)
    ]
    for beat in beats:
        beat.start()
    time.sleep(0.5)
    assert lost == []
    beats[2].stop()
    time.sleep(0.5)
    assert lost == []  # it said that it ends
    beats[1]._ended.set()  # stopped, without a word
    began = time.monotonic()
    while not lost and time.monotonic() < began + 20:
        time.sleep(0.01)
    assert lost == [(0, 1)] and time.monotonic() - began > 0.25
    beats[0].stop()


def test_only_closed_connections_are_taken_for_a_loss() -> None:
    with pytest.raises(ProcessLost, match="another process has ended"), all_there():
        raise RuntimeError("[../gloo/transport/tcp/pair.cc:534] Connection closed by peer")
    with pytest.raises(ProcessLost), all_there():
        raise torch.distributed.DistNetworkError("failed to recv")
    with pytest.raises(torch.OutOfMemoryError), all_there():
        raise torch.OutOfMemoryError
    with pytest.raises(RuntimeError, match="shapes"), all_there():
        raise RuntimeError("shapes differ")
