"""Objectives: trajectories in, a loss and its figures out; one file each."""

from truing.learn.objectives.distillation import Distillation
from truing.learn.objectives.dpo import Dpo
from truing.learn.objectives.dpo_norm import DpoNorm
from truing.learn.objectives.dr_grpo import DrGrpo
from truing.learn.objectives.grpo import Grpo
from truing.learn.objectives.ipo import Ipo
from truing.learn.objectives.kto import Kto
from truing.learn.objectives.objective import Objective
from truing.learn.objectives.orpo import Orpo
from truing.learn.objectives.ppo import Ppo
from truing.learn.objectives.reinforce import Reinforce
from truing.learn.objectives.rejection_sampling import RejectionSampling
from truing.learn.objectives.simpo import SimPo
from truing.learn.objectives.supervised import Supervised
from truing.learn.objectives.weighted import Weighted

OBJECTIVES: dict[str, type[Objective]] = {
    "supervised": Supervised,
    "distillation": Distillation,
    "reinforce": Reinforce,
    "grpo": Grpo,
    "dr_grpo": DrGrpo,
    "ppo": Ppo,
    "weighted": Weighted,
    "rejection_sampling": RejectionSampling,
    "dpo": Dpo,
    "dpo_norm": DpoNorm,
    "ipo": Ipo,
    "kto": Kto,
    "orpo": Orpo,
    "simpo": SimPo,
}
"""Every objective by name. Adding one is a file like rejection_sampling.py and a line here."""
