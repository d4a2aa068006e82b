"""Segments of a packed tree, and levels of segments whose queries are computed together.

A level's mask is made of a few numbers for each row where it is needed, a piece at a time: none has more
than `MASKED` numbers, however long the texts are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from truing.models.engine.attention import MASKED


@dataclass(frozen=True)
class Segment:
    """Tokens in a row of the packed row. `before` names the token in front of each, by its place in
    the segment; -1 is the end of the segment above. In a plain text that is the place to the left."""

    start: int
    before: Sequence[int]
    parent: int  # index of the parent segment, -1 for none
    depth: int  # position of its first token

    @property
    def length(self) -> int:
        """How many tokens it has."""
        return len(self.before)

    @property
    def is_plain(self) -> bool:
        """Whether every token follows the one to its left."""
        return all(before == place - 1 for place, before in enumerate(self.before))

    def seen(self) -> Tensor:
        """(T, T) boolean: which tokens of the segment a token sees, itself included."""
        seen_TT = torch.eye(self.length, dtype=torch.bool)
        for place, before in enumerate(self.before):
            if before >= 0:
                seen_TT[place] |= seen_TT[before]
        return seen_TT

    def positions(self) -> list[int]:
        """Position of each token in its text."""
        found: list[int] = []
        for before in self.before:
            found.append(found[before] + 1 if before >= 0 else self.depth)
        return found


@dataclass(frozen=True)
class Piece:
    """Some rows of a level, some of their queries, and the columns of keys that these may see."""

    rows: slice
    queries: slice
    keys: slice


class Level:
    """Segments whose queries are computed together: gather indices and lengths as tensors.

    The first `known` tokens of the tree are keys only. Column s of a row's keys is the token at position
    s of its text; in the row's own segment, which begins at `first`, they stand as they are packed.
    """

    def __init__(self, segments: Sequence[Segment], members: Sequence[int], known: int) -> None:
        chosen = [segments[m] for m in members]
        longest = max(s.length for s in chosen)
        most_keys = max(s.depth + s.length for s in chosen)
        query_index = torch.zeros(len(chosen), longest, dtype=torch.long)
        key_index = torch.zeros(len(chosen), most_keys, dtype=torch.long)
        position = torch.zeros(len(chosen), longest, dtype=torch.long)
        key_position = torch.arange(most_keys).repeat(len(chosen), 1)
        valid: list[Tensor] = []
        for row, segment in enumerate(chosen):
            T, first = segment.length, segment.depth
            own = torch.arange(segment.start, segment.start + T)
            query_index[row, :T] = own - known
            key_index[row, first : first + T] = own
            position[row, :T] = torch.tensor(segment.positions())
            key_position[row, first : first + T] = position[row, :T]
            above = segment.parent
            while above >= 0:
                up = segments[above]
                path = torch.arange(up.start, up.start + up.length)
                key_index[row, up.depth : up.depth + up.length] = path
                above = up.parent
            valid.append(torch.arange(T) + row * longest)
        self.query_index_BT = query_index
        self.key_index_BS = key_index
        self.valid_N = torch.cat(valid)
        self.packed_N = query_index.flatten()[self.valid_N]
        self.below_prefix = all(s.parent >= 0 for s in chosen)
        self._firsts, self._lengths = [s.depth for s in chosen], [s.length for s in chosen]
        self._first_B11 = torch.tensor(self._firsts)[:, None, None]
        self._length_B11 = torch.tensor(self._lengths)[:, None, None]
        self._position_BT, self._key_position_BS = position, key_position
        self._merged_BTT = _merged(chosen, longest)
        self._allowed: dict[tuple[int | None, int, int], Tensor] = {}

    @property
    def whole(self) -> Piece:
        """All of it."""
        rows, queries = self.query_index_BT.shape
        return Piece(slice(0, rows), slice(0, queries), slice(0, self.key_index_BS.shape[1]))

    def allowed(self, window: int | None, piece: Piece) -> Tensor:
        """(B, T, S) boolean: the keys that each query of the piece sees, `window` positions back at most.

        Where a row of the batch has no token, its query sees one key, so that its softmax is a number.
        """
        whole = self.whole
        if (piece.rows, piece.queries) != (whole.rows, whole.queries):
            return self._mask(window, piece)
        key = (window, piece.keys.start, piece.keys.stop)
        if key not in self._allowed:  # every layer asks for the same
            self._allowed[key] = self._mask(window, piece)
        return self._allowed[key]

    def _mask(self, window: int | None, piece: Piece) -> Tensor:
        rows, queries, keys = piece.rows, piece.queries, piece.keys
        device = self.query_index_BT.device
        place_T1 = torch.arange(queries.start, queries.stop, device=device)[:, None]
        column_S = torch.arange(keys.start, keys.stop, device=device)
        first_B11 = self._first_B11[rows]
        if self._merged_BTT is None:
            seen = column_S <= first_B11 + place_T1
        else:
            own_B1S = column_S - first_B11
            place_BTS = own_B1S.clamp(0, self._merged_BTT.shape[2] - 1)
            place_BTS = place_BTS.expand(-1, len(place_T1), -1)
            inside = self._merged_BTT[rows, queries].gather(2, place_BTS)
            seen = (own_B1S < 0) | (inside & (own_B1S < self._length_B11[rows]))
        if window is not None:
            back_BT1 = self._position_BT[rows, queries, None] - window
            seen = seen & (self._key_position_BS[rows, None, keys] > back_BT1)
        one_B1S = column_S == first_B11.clamp(keys.start, keys.stop - 1)
        return torch.where(place_T1 < self._length_B11[rows], seen, one_B1S)

    def fits(self, per_score: int, per_key: int) -> bool:
        """Whether all of it is one piece."""
        return len(list(self.pieces(None, 0, 0, per_score, per_key))) == 1

    def pieces(
        self, window: int | None, low: int, beside: int, per_score: int, per_key: int
    ) -> Iterator[Piece]:
        """All queries, some at a time, with their keys from column `low` on.

        None has more than MASKED numbers: `per_score` for each pair of a query and a key (`beside` the
        columns there are so many others) and `per_key` for each key of each row. Only where a single
        query has more, it is alone.
        """
        (rows, T), S = self.query_index_BT.shape, self.key_index_BS.shape[1]
        columns = S - low
        most = MASKED // max(per_score * T * (columns + beside), per_key * columns, 1)
        if most >= rows:
            yield Piece(slice(0, rows), slice(0, T), slice(low, S))
            return
        for start in range(0, rows, max(1, most)):
            part = slice(start, min(start + max(1, most), rows))
            yield from self._some_rows(part, window, low, beside, per_score)

    def _some_rows(
        self, rows: slice, window: int | None, low: int, beside: int, per_score: int
    ) -> Iterator[Piece]:
        first, last = min(self._firsts[rows]), max(self._firsts[rows])
        place, T, S = 0, max(self._lengths[rows]), self.key_index_BS.shape[1]
        while place < T:
            lowest = low
            if window is not None:
                # The columns of merged tokens aren't their positions.
                lowest = max(
                    low, first + (0 if self._merged_BTT is not None else place) + 1 - window
                )
            columns = last + T - lowest + beside
            end = place + max(1, MASKED // (per_score * (rows.stop - rows.start) * columns))
            end = min(end, T)
            yield Piece(rows, slice(place, end), slice(lowest, min(last + end, S)))
            place = end


def move(holder: object, device: torch.device) -> None:
    """Moves the tensors among its attributes."""
    for name, value in vars(holder).items():
        if isinstance(value, Tensor):
            setattr(holder, name, value.to(device))


def _merged(segments: Sequence[Segment], longest: int) -> Tensor | None:
    """(B, T, T) which of its own tokens each sees, where a segment isn't a plain text; else None."""
    if all(segment.is_plain for segment in segments):
        return None
    return torch.stack(
        [pad(s.seen(), (0, longest - s.length, 0, longest - s.length)) for s in segments]
    )
