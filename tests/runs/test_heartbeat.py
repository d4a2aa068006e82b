"""A process that is silent is noticed; one that is done isn't missed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from truing.runs import heartbeat
from truing.runs.heartbeat import Heartbeat, ProcessLost, all_there
from waiting import until

BOUND = 30.0


def test_whoever_is_silent_is_lost_and_whoever_has_ended_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic=lambda: now[0]))
    store, lost = torch.distributed.HashStore(), list[tuple[int, int]]()
    beats = [
        Heartbeat(store, index, 3, lambda other, own=index: lost.append((own, other)), 0.01, BOUND)
        for index in range(3)
    ]

    def pass_by(seconds: float, *living: Heartbeat) -> None:
        """So long later each of these has beaten twice more, and looked at the others in between."""
        now[0] += seconds
        names = [beat._name(beat.index) for beat in living]
        before = [store.add(name, 0) for name in names]
        until(lambda: all(store.add(n, 0) >= b + 2 for n, b in zip(names, before, strict=True)))

    for beat in beats:
        beat.start()
    for _ in range(4):
        pass_by(BOUND / 3, *beats)
    assert lost == []
    beats[2].stop()
    for _ in range(4):
        pass_by(BOUND / 3, *beats[:2])
    assert lost == []  # it said that it ends
    beats[1]._ended.set()  # stopped, without a word
    pass_by(BOUND / 3, beats[0])
    assert lost == []  # not for so long yet
    now[0] += 2 * BOUND
    until(lambda: lost)
    assert lost == [(0, 1)]
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
