"""Both layouts of the sampling cache against attention over each row's own text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from tiny import texts
from truing.models.engine import batch_cache, beginnings, nesting, prefill
from truing.models.engine.attention import ScoreRule
from truing.models.engine.batch_cache import SharedCache
from truing.models.engine.prefill import run_prompts
from truing.models.engine.slot_cache import SlotCache

H, K, D, SAMPLES, STEPS = 4, 2, 8, 3, 11
RULES = {
    "plain": ScoreRule(0.4),
    "window": ScoreRule(0.4, window=6),
    "softcap": ScoreRule(0.4, softcap=2.0),
    "sinks": ScoreRule(0.4, window=6, sinks_H=torch.linspace(-2.0, 3.0, H)),
}


class _States:
    """Queries, keys and values of a token at a position, whatever stands beside it."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.table = torch.randn(50, 200, H + 2 * K, D, generator=generator)

    def of(self, tokens: list[int], positions: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = self.table[tokens, positions].split([H, K, K], dim=1)
        return query, key, value


def _alone(states: _States, text: list[int], rule: ScoreRule) -> Tensor:
    """(H, D) of the text's last token."""
    query, key, value = states.of(text, list(range(len(text))))
    keys, values = (x.repeat_interleave(H // K, dim=1) for x in (key, value))
    scores = torch.einsum("hd,shd->hs", query[-1], keys) * rule.scale
    if rule.softcap is not None:
        scores = rule.softcap * torch.tanh(scores / rule.softcap)
    if rule.window is not None:
        scores[:, : max(0, len(text) - rule.window)] = float("-inf")
    if rule.sinks_H is not None:
        scores = torch.cat((scores, rule.sinks_H[:, None]), dim=-1)
    weights = scores.softmax(-1)[:, : len(text)]
    return torch.einsum("hs,shd->hd", weights, values)


@pytest.fixture
def short_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_cache, "BLOCK", 4)
        patch.setattr(prefill, "LONG_PREFIX", 10)
        yield


@pytest.mark.usefixtures("short_blocks")
@pytest.mark.parametrize("groups", [0, 4, 99], ids=["none", "long ones apart", "of branches"])
@pytest.mark.parametrize("shared", [0, 20])
@pytest.mark.parametrize("size", [1000, 12])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("kind", [SharedCache, SlotCache])
def test_a_step_sees_prefix_prompt_and_its_own_tokens(
    kind: type[SharedCache | SlotCache],
    rule: ScoreRule,
    size: int,
    shared: int,
    groups: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states = _States()
    system, *ends = texts(1, [shared, 5, 9, 2, 7])
    if groups:  # two prompts of a branch that hangs on another, with a third; one by itself
        monkeypatch.setattr(nesting, "SAVED", 1)
        monkeypatch.setattr(beginnings, "WORTH", 9)
        monkeypatch.setattr(beginnings, "OWN", (groups,))
        monkeypatch.setattr(beginnings, "TOGETHER", 2 * SAMPLES)
        one, other = texts(7, [4, 3])
        starts = (one + other, one + other, one, [])
        ends = [start + end for start, end in zip(starts, ends, strict=True)]
    prompts = [system + end for end in ends]

    def hidden(
        tokens_N: Tensor, positions_N: Tensor, plan: Any, only_M: Tensor | None = None
    ) -> Tensor:
        given = states.of(tokens_N.tolist(), positions_N.tolist())
        attended: Tensor = plan.attend(0, *given, rule).flatten(1)
        return attended if only_M is None else attended[only_M]

    cache = kind(run_prompts(hidden, prompts, torch.device("cpu"), size), SAMPLES, STEPS)
    if isinstance(cache, SharedCache):
        expected_groups = {0: 0, 4: 4, 99: 2}[groups] if size > 12 else None
        assert expected_groups in (None, len(cache._beginnings.groups))
    rows = [list(prompt) for prompt in prompts for _ in range(SAMPLES)]
    live = list(range(len(rows)))
    tokens = texts(2, [len(rows)] * STEPS, 49)
    for step in range(STEPS):
        for row in live:
            rows[row].append(tokens[step][row])
        new = torch.tensor([rows[row][-1] for row in live])
        given = cache.to_queries(new), cache.positions()
        found = cache.of_live(hidden(*given, cache))
        cache.advance()
        expected = torch.stack([_alone(states, rows[row], rule) for row in live])
        torch.testing.assert_close(found.view(-1, H, D), expected, rtol=0, atol=1e-5)
        room = next(iter(cache._layers.values())).own
        own = room[1].shape[2] if isinstance(room, tuple) else room.shape[3]
        assert own == min(STEPS, -(-(step + 1) // 4) * 4)
        if step in (1, 4, 6):  # rows end: two here and there, a whole prompt, most of the rest
            gone = {1: {0, 7}, 4: {3, 4, 5}, 6: {1, 2, 6}}[step]
            places = [place for place, row in enumerate(live) if row not in gone]
            cache.keep(places)
            live = [live[place] for place in places]
    assert cache.slots < len(rows)
