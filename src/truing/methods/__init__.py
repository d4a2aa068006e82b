"""Ways to make a candidate from the base and a task's training side."""

from truing.methods.best_of_n import BEST_OF_N
from truing.methods.method import Method
from truing.methods.preference import PREFERENCE
from truing.methods.prompt import PROMPT
from truing.methods.rl import RL
from truing.methods.sft import SFT
from truing.spec.run import Spec

METHODS: dict[str, Method] = {each.name: each for each in (PROMPT, BEST_OF_N, SFT, PREFERENCE, RL)}
"""Every method by name, in the order in which a run works. Adding one is a file like sft.py and a line
here."""


def chosen(spec: Spec) -> list[Method]:
    """The methods that a spec names, in the order in which a run works."""
    return [method for method in METHODS.values() if method.name in spec.methods]


__all__ = ["METHODS", "Method", "chosen"]
