"""Objectives, and the one loop that trains with any of them."""

from truing.learn.objectives import OBJECTIVES
from truing.learn.objectives.distillation import Distillation
from truing.learn.objectives.dr_grpo import DrGrpo
from truing.learn.objectives.grpo import Grpo
from truing.learn.objectives.objective import Objective
from truing.learn.objectives.ppo import Ppo
from truing.learn.objectives.reinforce import Reinforce
from truing.learn.objectives.rejection_sampling import RejectionSampling
from truing.learn.objectives.supervised import Supervised
from truing.learn.objectives.weighted import Weighted

__all__ = [
    "OBJECTIVES",
    "Distillation",
    "DrGrpo",
    "Grpo",
    "Objective",
    "Ppo",
    "Reinforce",
    "RejectionSampling",
    "Supervised",
    "Weighted",
]
