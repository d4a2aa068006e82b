"""Objectives, and the one loop that trains with any of them."""

from truing.learn.objectives.best_of_n import BestOfN
from truing.learn.objectives.dr_grpo import DrGrpo
from truing.learn.objectives.grpo import Grpo
from truing.learn.objectives.objective import Objective
from truing.learn.objectives.ppo import Ppo
from truing.learn.objectives.reinforce import Reinforce
from truing.learn.objectives.supervised import Supervised
from truing.learn.objectives.weighted import Weighted

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
