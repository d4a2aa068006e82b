"""Objectives, and the one loop that trains with any of them."""

from truing.learn.best_of_n import BestOfN
from truing.learn.dr_grpo import DrGrpo
from truing.learn.grpo import Grpo
from truing.learn.objective import Objective
from truing.learn.ppo import Ppo
from truing.learn.reinforce import Reinforce
from truing.learn.supervised import Supervised
from truing.learn.weighted import Weighted

__all__ = [
    "OBJECTIVES",
    "BestOfN",
    "DrGrpo",
    "Grpo",
    "Objective",
    "Ppo",
    "Reinforce",
    "Supervised",
    "Weighted",
]

OBJECTIVES: dict[str, type[Objective]] = {
    "supervised": Supervised,
    "reinforce": Reinforce,
    "grpo": Grpo,
    "dr_grpo": DrGrpo,
    "ppo": Ppo,
    "weighted": Weighted,
    "best_of_n": BestOfN,
}
"""Every objective by name. Adding one is a file like best_of_n.py and a line here."""
