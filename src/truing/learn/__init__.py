"""Objectives, and the one loop that trains with any of them."""

from truing.learn.objective import Objective
from truing.learn.reinforce import Reinforce
from truing.learn.supervised import Supervised

__all__ = ["OBJECTIVES", "Objective", "Reinforce", "Supervised"]

OBJECTIVES: dict[str, type[Objective]] = {
    "supervised": Supervised,
    "reinforce": Reinforce,
}
"""Every objective by name. Adding one is a file like reinforce.py and a line here."""
