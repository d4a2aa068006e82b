"""A packed tree of tokens: what is shared is computed once, and nothing is padded.

Three levels: a prefix common to all prompts (a system message, few-shot examples), the prompts, and
the continuations of each prompt. A token attends to itself, to the tokens before it in its own segment
and to the whole of the segments above, which is exactly what it would see if its text were run alone.

The last token of a continuation is left out where only log-probabilities are wanted: nothing follows
it, so its hidden state is never asked for.

Where many trees begin alike, their *shared prefix* is run once, and each tree begins behind it.

Continuations of one prompt may be *merged*: then they are one segment, a trie, in which beginnings that
they have in common stand once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from truing.models.engine.attention import ScoreRule
from truing.models.engine.level_attention import attend_level
from truing.models.engine.levels import Level, Segment, move
from truing.models.engine.nesting import branching, common_prefix

Tokens = Sequence[int]
LONG_PREFIX = 64  # a shorter one is cheaper copied for each row than attended to apart
CPU = torch.device("cpu")
MERGED = 256  # tokens that share a segment at most: every one of them is a key to all others


@dataclass(frozen=True)
class PromptWithContinuations:
    """A prompt's tokens and the tokens of each of its continuations."""

    prompt: Tokens
    continuations: Sequence[Tokens]


@dataclass(frozen=True)
class SharedPrefix:
    """Tokens that have been run already, and their keys and values (R, K, D) by layer."""

    tokens: tuple[int, ...]
    states: Mapping[int, tuple[Tensor, Tensor]]


def _goes_beyond(prompt: Tokens, prefix: Tokens) -> bool:
    return len(prompt) > len(prefix) and tuple(prompt[: len(prefix)]) == tuple(prefix)


def _of_like_length(members: Sequence[int], segments: Sequence[Segment]) -> list[list[int]]:
    """Segments in groups whose lengths differ by less than two times: each is padded to its longest."""
    groups: dict[int, list[int]] = {}
    for member in members:
        groups.setdefault(segments[member].length.bit_length(), []).append(member)
    return list(groups.values())


class _Trie:
    """Texts merged where they begin alike: tokens, and the place of the token in front of each."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.before: list[int] = []
        self._places: dict[tuple[int, int], int] = {}

    def add(self, text: Tokens) -> list[int]:
        """The place of each token of the text, added where it isn't there yet."""
        path: list[int] = []
        for token in text:
            step = (path[-1] if path else -1, token)
            if step not in self._places:
                self._places[step] = len(self.tokens)
                self.tokens.append(token)
                self.before.append(step[0])
            path.append(self._places[step])
        return path


class TokenTree:
    """Prompts with continuations packed into one row of N tokens; also the attention plan over that row.

    `tokens_N`, `positions_N`: the packed row. For the C continuation tokens, in order of prompt,
    continuation and time: `target_C` (the token), `source_C` (the index in the packed row of the
    token before it, whose hidden state predicts it) and `owner_C` (the number of the continuation).
    `prompt_last_P` is the packed index of the last token of each prompt, `last_B` that of the last
    packed token of each continuation (its very last token with `keep_last`). `prefix_length` tokens
    are common to all prompts. With `merge`, tokens that continuations of a prompt begin with alike
    are packed once, so that several continuation tokens may have one source.

    With a `shared_prefix`, which every prompt must begin with and go beyond, the packed row begins behind
    it, and `prefix_length` is its length. Tensors are on `device`, where the model is: they are laid out
    here and moved once.
    """

    def __init__(
        self,
        requests: Sequence[PromptWithContinuations],
        *,
        keep_last: bool = False,
        merge: bool = False,
        nested: bool = False,
        shared_prefix: SharedPrefix | None = None,
        device: torch.device = CPU,
    ) -> None:
        if not requests or any(len(request.prompt) == 0 for request in requests):
            raise ValueError("a tree needs at least one prompt, and a prompt at least one token")
        if shared_prefix is not None and not all(
            _goes_beyond(r.prompt, shared_prefix.tokens) for r in requests
        ):
            raise ValueError(
                "every prompt of a tree must begin with its shared prefix and go beyond it"
            )
        self.requests = tuple(requests)
        self._segments: list[Segment] = []
        self._tokens: list[int] = []
        self._positions: list[int] = []
        self._keep_last, self._merge = keep_last, merge
        self._shared_prefix = shared_prefix
        if shared_prefix is not None:
            shared = len(shared_prefix.tokens)
        else:
            shared = common_prefix([r.prompt for r in requests]) if len(requests) > 1 else 0
        known = 0 if shared_prefix is None else shared  # tokens in front of the packed row
        root = self._add(requests[0].prompt[:shared], parent=-1) if shared else -1
        levels = [[root]] if shared > known else []
        branches, stems = self._add_prompts(root, nested)
        prompts = [*branches, *stems]
        levels += _of_like_length(prompts, self._segments) if branches else [stems]
        self.prefix_length = shared
        self._root, self._stems, self._known = root, stems, known
        self.prompt_last_P = torch.tensor([self._last(stem) for stem in stems]) - known
        leaves = self._add_continuations(stems)
        levels += _of_like_length(leaves, self._segments)
        self.tokens_N = torch.tensor(self._tokens[known:])
        self.positions_N = torch.tensor(self._positions[known:])
        self._levels = [Level(self._segments, members, known) for members in levels]
        # From the order of the levels to that of the packed row.
        packed_N = torch.cat([level.packed_N for level in self._levels])
        self._order_N = None if bool((packed_N.diff() == 1).all()) else packed_N.argsort()
        if device.type != CPU.type:
            for holder in (self, *self._levels):
                move(holder, device)

    def _add(self, tokens: Tokens, parent: int, before: Sequence[int] | None = None) -> int:
        depth = self._depth_behind(parent)
        before = range(-1, len(tokens) - 1) if before is None else before
        segment = Segment(len(self._tokens), before, parent, depth)
        self._segments.append(segment)
        self._tokens += tokens
        self._positions += segment.positions()
        return len(self._segments) - 1

    def _add_prompts(self, root: int, nested: bool) -> tuple[list[int], list[int]]:
        """Segments of what some prompts have in common, and of what each has alone."""
        prompts = [request.prompt for request in self.requests]
        shared = self._depth_behind(root)
        found, hangs_on = branching(prompts, shared) if nested else ([], [-1] * len(prompts))
        branches: list[int] = []
        for branch in found:
            parent = root if branch.parent < 0 else branches[branch.parent]
            tokens = prompts[branch.text][branch.start : branch.end]
            branches.append(self._add(tokens, parent))
        stems = []
        for prompt, number in zip(prompts, hangs_on, strict=True):
            parent = root if number < 0 else branches[number]
            stems.append(self._add(prompt[self._depth_behind(parent) :], parent))
        return branches, stems

    def _depth_behind(self, segment: int) -> int:
        """The position behind a segment; 0 behind none."""
        if segment < 0:
            return 0
        return self._segments[segment].depth + self._segments[segment].length

    def _last(self, segment: int) -> int:
        return self._segments[segment].start + self._segments[segment].length - 1

    def _add_continuations(self, stems: Sequence[int]) -> list[int]:
        leaves: list[int] = []
        target: list[int] = []
        source: list[int] = []
        owner: list[int] = []
        last: list[int] = []
        for request, stem in zip(self.requests, stems, strict=True):
            for group in self._groups(request.continuations):
                trie = _Trie()
                paths = [trie.add(c if self._keep_last else c[:-1]) for c in group]
                start = len(self._tokens)
                if trie.tokens:
                    leaves.append(self._add(trie.tokens, parent=stem, before=trie.before))
                for continuation, path in zip(group, paths, strict=True):
                    places = [self._last(stem), *(start + place for place in path)]
                    source += places[: len(continuation)]
                    target += continuation
                    owner += [len(last)] * len(continuation)
                    last.append(places[-1])
        self.target_C = torch.tensor(target, dtype=torch.long)
        self.source_C = torch.tensor(source, dtype=torch.long) - self._known
        self.owner_C = torch.tensor(owner, dtype=torch.long)
        self.last_B = torch.tensor(last, dtype=torch.long) - self._known
        self.continuations = len(last)
        return leaves

    def _groups(self, continuations: Sequence[Tokens]) -> Iterator[list[Tokens]]:
        """Consecutive continuations that share a segment."""
        group: list[Tokens] = []
        for continuation in continuations:
            if group and (not self._merge or sum(map(len, [*group, continuation])) > MERGED):
                yield group
                group = []
            group.append(continuation)
        if group:
            yield group

    def prompt_places(self) -> list[list[int]]:
        """Packed places of each prompt's tokens behind the prefix common to all."""
        return [self._places(stem) for stem in self._stems]

    def prompt_beginnings(self) -> list[tuple[int, int]]:
        """For each prompt the segment that its own tokens hang on, and how many of its `prompt_places` are
        those of that segment and the ones above; 0 where it is the prefix common to all, or none."""
        stems = [self._segments[stem] for stem in self._stems]
        return [(stem.parent, stem.depth - self.prefix_length) for stem in stems]

    def _places(self, segment: int) -> list[int]:
        places: list[int] = []
        while segment not in (self._root, -1):
            each = self._segments[segment]
            start = each.start - self._known
            places = [*range(start, start + each.length), *places]
            segment = each.parent
        return places

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        rule: ScoreRule,
    ) -> Tensor:
        """See AttentionPlan. Differentiable."""
        if self._shared_prefix is not None:
            before = self._shared_prefix.states[layer]
            key_NKD, value_NKD = torch.cat((before[0], key_NKD)), torch.cat((before[1], value_NKD))
        R = self.prefix_length
        apart = R if R > LONG_PREFIX and rule.window is None and rule.softcap is None else 0
        output_NHD = torch.cat(
            [
                attend_level(level, query_NHD, key_NKD, value_NKD, rule, apart)
                for level in self._levels
            ]
        )
        return output_NHD if self._order_N is None else output_NHD.index_select(0, self._order_N)
