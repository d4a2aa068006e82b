"""A packed tree of tokens: what is shared is computed once, and nothing is padded.

Three levels: a prefix common to all prompts (a system message, few-shot examples), the prompts, and
the continuations of each prompt. A token attends to its own segment up to itself and to the whole of
the segments above, which is exactly what it would see if its text were run alone.

The last token of a continuation is left out where only log-probabilities are wanted: nothing follows
it, so its hidden state is never asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from truing.models.attention import can_join, grouped_attention, joined_attention

Tokens = Sequence[int]
LONG_PREFIX = 64  # a shorter one is cheaper copied for each row than attended to apart


@dataclass(frozen=True)
class Branch:
    """A prompt's tokens and the tokens of each of its continuations."""

    prompt: Tokens
    continuations: Sequence[Tokens]


@dataclass(frozen=True)
class _Segment:
    start: int
    length: int
    parent: int  # index of the parent segment, -1 for none
    depth: int  # position of its first token


class _Level:
    """Segments whose queries are computed together: gather indices and lengths as tensors."""

    def __init__(self, segments: Sequence[_Segment], members: Sequence[int]) -> None:
        chosen = [segments[m] for m in members]
        longest = max(s.length for s in chosen)
        most_keys = max(s.depth + s.length for s in chosen)
        query_index = torch.zeros(len(chosen), longest, dtype=torch.long)
        key_index = torch.zeros(len(chosen), most_keys, dtype=torch.long)
        valid: list[Tensor] = []
        for row, segment in enumerate(chosen):
            own = torch.arange(segment.start, segment.start + segment.length)
            query_index[row, : segment.length] = own
            key_index[row, segment.depth : segment.depth + segment.length] = own
            above = segment.parent
            while above >= 0:
                up = segments[above]
                path = torch.arange(up.start, up.start + up.length)
                key_index[row, up.depth : up.depth + up.length] = path
                above = up.parent
            valid.append(torch.arange(segment.length) + row * longest)
        self.query_index_BT = query_index
        self.key_index_BS = key_index
        self.valid_N = torch.cat(valid)
        self.depth_B = torch.tensor([s.depth for s in chosen])
        self.below_prefix = all(s.parent >= 0 for s in chosen)
        self._allowed: dict[int | None, Tensor] = {}

    def allowed(self, window: int | None) -> Tensor:
        """(B, T, S) boolean: a key's place in its row is its position in the text."""
        if window not in self._allowed:
            T, S = self.query_index_BT.shape[1], self.key_index_BS.shape[1]
            position = self.depth_B[:, None, None] + torch.arange(T)[None, :, None]
            key_position = torch.arange(S)[None, None, :]
            mask = key_position <= position
            if window is not None:
                mask &= key_position > position - window
            self._allowed[window] = mask
        return self._allowed[window]


def common_prefix(prompts: Sequence[Tokens]) -> int:
    """The number of tokens shared by all prompts, leaving each at least one of its own."""
    shortest = min(len(prompt) for prompt in prompts)
    shared = 0
    while shared < shortest - 1 and len({prompt[shared] for prompt in prompts}) == 1:
        shared += 1
    return shared


class TokenTree:
    """Branches packed into one row of N tokens; also the attention plan over that row.

    `tokens_N`, `positions_N`: the packed row. For the C continuation tokens, in order of branch,
    continuation and time: `target_C` (the token), `source_C` (the index in the packed row of the
    token before it, whose hidden state predicts it) and `owner_C` (the number of the continuation).
    `prompt_last_P` is the packed index of the last token of each prompt, `last_B` that of the last
    packed token of each continuation (its very last token with `keep_last`). `prefix_length` tokens
    are common to all prompts.
    """

    def __init__(self, branches: Sequence[Branch], *, keep_last: bool = False) -> None:
        if not branches or any(len(branch.prompt) == 0 for branch in branches):
            raise ValueError("a tree needs at least one branch, and a prompt at least one token")
        self.branches = tuple(branches)
        self._segments: list[_Segment] = []
        self._tokens: list[int] = []
        self._positions: list[int] = []
        self._keep_last = keep_last
        shared = common_prefix([b.prompt for b in branches]) if len(branches) > 1 else 0
        root = -1
        levels: list[list[int]] = []
        if shared:
            root = self._add(branches[0].prompt[:shared], parent=-1)
            levels.append([root])
        stems = [self._add(b.prompt[shared:], parent=root) for b in branches]
        levels.append(stems)
        self.prefix_length = shared
        self._stems = stems
        self.prompt_last_P = torch.tensor([self._last(stem) for stem in stems])
        leaves = self._add_continuations(stems)
        if leaves:
            levels.append(leaves)
        self.tokens_N = torch.tensor(self._tokens)
        self.positions_N = torch.tensor(self._positions)
        self._levels = [_Level(self._segments, members) for members in levels]

    def _add(self, tokens: Tokens, parent: int) -> int:
        above = self._segments[parent] if parent >= 0 else None
        depth = above.depth + above.length if above else 0
        self._segments.append(_Segment(len(self._tokens), len(tokens), parent, depth))
        self._tokens += tokens
        self._positions += range(depth, depth + len(tokens))
        return len(self._segments) - 1

    def _last(self, segment: int) -> int:
        return self._segments[segment].start + self._segments[segment].length - 1

    def _add_continuations(self, stems: Sequence[int]) -> list[int]:
        leaves: list[int] = []
        target: list[int] = []
        source: list[int] = []
        owner: list[int] = []
        last: list[int] = []
        number = 0
        for branch, stem in zip(self.branches, stems, strict=True):
            before = self._last(stem)
            for continuation in branch.continuations:
                kept = continuation if self._keep_last else continuation[:-1]
                if len(kept):
                    leaves.append(self._add(kept, parent=stem))
                    start = self._segments[leaves[-1]].start
                    source += [before, *range(start, start + len(continuation) - 1)]
                    last.append(start + len(kept) - 1)
                else:
                    source += [before] * len(continuation)
                    last.append(before)
                target += continuation
                owner += [number] * len(continuation)
                number += 1
        self.target_C = torch.tensor(target, dtype=torch.long)
        self.source_C = torch.tensor(source, dtype=torch.long)
        self.owner_C = torch.tensor(owner, dtype=torch.long)
        self.last_B = torch.tensor(last, dtype=torch.long)
        self.continuations = number
        return leaves

    def prompt_spans(self) -> list[tuple[int, int]]:
        """Packed start and length of each prompt's own tokens, after the prefix common to all."""
        return [(self._segments[s].start, self._segments[s].length) for s in self._stems]

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        *,
        scale: float,
        window: int | None,
        softcap: float | None,
    ) -> Tensor:
        """See AttentionPlan. One masked attention for each level; differentiable."""
        _, H, D = query_NHD.shape
        R = self.prefix_length
        apart = R > LONG_PREFIX and window is None and softcap is None
        apart = apart and can_join(query_NHD.device)
        outputs = []
        for level in self._levels:
            B, T = level.query_index_BT.shape
            below_prefix = apart and level.below_prefix
            key_index_BS = level.key_index_BS[:, R:] if below_prefix else level.key_index_BS
            q, k, v = (
                states.index_select(0, index.flatten())
                .view(B, -1, *states.shape[1:])
                .transpose(1, 2)
                for states, index in (
                    (query_NHD, level.query_index_BT),
                    (key_NKD, key_index_BS),
                    (value_NKD, key_index_BS),
                )
            )
            allowed_BTS = level.allowed(window)
            if below_prefix:
                prefix = (key_NKD[:R].transpose(0, 1), value_NKD[:R].transpose(0, 1))
                out = joined_attention(q, prefix, (k, v), allowed_BTS[:, :, R:], scale=scale)
            else:
                out = grouped_attention(q, k, v, allowed_BTS, scale=scale, softcap=softcap)
            flat = out.transpose(1, 2).reshape(B * T, H, D)
            outputs.append(flat.index_select(0, level.valid_N))
        return torch.cat(outputs)
