"""Episodes in words: the actions as arrows, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass

from truing.grid.episodes import Episodes
from truing.grid.world import GridWorld

ARROWS = "↑↓←→"
_LONGEST = 60  # arrows shown of a long episode


@dataclass(frozen=True)
class Walk:
    """One episode: the actions taken, and a sentence about it."""

    arrows: str
    about: str


def walks(world: GridWorld, episodes: Episodes) -> list[Walk]:
    """Every episode in words."""
    found = []
    for row, length in enumerate(episodes.length_B.tolist()):
        actions = episodes.action_BT[row, :length].tolist()
        arrows = "".join(ARROWS[action] for action in actions[:_LONGEST])
        reached = bool(episodes.reached_B[row])
        line, column = world.grid.cells[int(episodes.state_BT[row, 0])]
        begin = f"from row {line + 1}, column {column + 1}"
        steps = f"{length} step{'' if length == 1 else 's'}"
        if reached:
            about = f"{begin}: the star after {steps}, return {world.discount ** (length - 1):.3g}"
        else:
            about = f"{begin}: no star in {steps}, return 0"
        found.append(Walk(arrows + ("…" if length > _LONGEST else "★" if reached else ""), about))
    return found
