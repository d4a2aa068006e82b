"""Ways to make a candidate from the base and a task's training side."""

from collections.abc import Sequence

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
    """The candidates that a spec's methods and its task's defences make, and the starts of them that nobody
    asked for, in the order in which a run works."""
    own = [Planned(each.name, each, spec) for each in METHODS.values() if each.name in spec.methods]
    defences = [
        Planned(each.name, METHODS[each.method], spec.defended(each), is_defence=True)
        for each in spec.task.defences
    ]
    candidates = [*own, *defences]
    return [*_starts(spec, candidates), *candidates]


def _starts(spec: Spec, candidates: Sequence[Planned]) -> list[Planned]:
    """What candidates begin from and isn't among the methods: each is trained once, for the first of
    them."""
    starts: dict[str, Planned] = {}
    for each in candidates:
        if (name := each.start) and name not in (*spec.methods, *starts):
            starts[name] = Planned(name, METHODS[name], spec, start_of=each.name)
    return list(starts.values())


__all__ = ["METHODS", "Method", "Planned", "chosen"]
