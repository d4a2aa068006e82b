"""Ways to make a candidate from the base and a task's training side."""

from truing.methods.best_of_n import BEST_OF_N
from truing.methods.method import Method, Planned
from truing.methods.preference import PREFERENCE
from truing.methods.prompt import PROMPT
from truing.methods.rl import RL
from truing.methods.sft import SFT
from truing.spec.run import Spec

METHODS: dict[str, Method] = {each.name: each for each in (PROMPT, BEST_OF_N, SFT, PREFERENCE, RL)}
"""Every method by name, in the order in which a run works. Adding one is a file like sft.py and a line
here."""


def chosen(spec: Spec) -> list[Planned]:
    """The candidates that a spec's methods and its task's defences make, in the order in which a run
    works."""
    own = [Planned(each.name, each, spec) for each in METHODS.values() if each.name in spec.methods]
    defences = [
        Planned(each.name, METHODS[each.method], spec.defended(each), is_defence=True)
        for each in spec.task.defences
    ]
    return [*own, *defences]


__all__ = ["METHODS", "Method", "Planned", "chosen"]
