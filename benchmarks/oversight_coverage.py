"""How often the intervals of an oversight study hold what simulated people of known skill and trust have.

    python benchmarks/oversight_coverage.py [--studies 200] [--people 8] [--rounds 8] [--seed 0]

The truth is the mean over a large study of the same kind of people and items. Each study draws new people,
new items and new answers. Printed is the share of studies whose interval holds the truth, by figure.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from truing.data.oversight import Item, Plan
from truing.data.oversight.items import Items
from truing.oversight.figures import Study, study
from truing.oversight.outcomes import outcomes_of
from truing.oversight.planning import StudySpec, write_plan
from truing.oversight.simulated import Person, people_answers
from truing.progress import SilentProgress
from truing.types import Estimate

ARMS = ("unaided", "passage", "claim")
FIGURES = (
    ("unaided", "accuracy"),
    ("passage", "accuracy"),
    ("claim", "accuracy"),
    ("claim", "over_trust"),
    ("claim", "under_trust"),
    ("claim", "right_to_wrong"),
    ("claim", "wrong_to_right"),
    ("claim", "gap"),
    ("claim", "brier"),
    ("claim", "overconfidence"),
)
PERSON = Person(skill=0.6, trust=0.5, reading=0.9, spread=0.5, difficulty=0.5)
RESAMPLES = 400


def _plan(people: int, rounds: int, items: int, folder: Path) -> Plan:
    made = tuple(
        Item(f"Question {n}?", f"right {n}", (f"wrong {n}",), f"Passage {n}.") for n in range(items)
    )
    spec = StudySpec(people=people, rounds=rounds, arms=ARMS)
    return write_plan(spec, Items(made, {}, "made"), folder, None, SilentProgress())


def _studied(plan: Plan, person: Person, seed: int, resamples: int) -> Study:
    answers = people_answers(plan, person, seed)
    return study(outcomes_of(plan, answers).outcomes, ARMS, resamples=resamples)


def coverage(
    people: int, rounds: int, studies: int, seed: int, person: Person = PERSON
) -> dict[tuple[str, str], float]:
    """The share of studies whose interval holds the truth, by arm and figure."""
    with tempfile.TemporaryDirectory() as folder:
        plan = _plan(people, rounds, rounds * len(ARMS), Path(folder) / "plan")
        large = _plan(400, 8, 2400, Path(folder) / "large")
        truths = truth(large, person, seed)
        held: dict[tuple[str, str], list[bool]] = defaultdict(list)
        for number in range(studies):
            result = _studied(plan, person, 1000 * (seed + 1) + number, RESAMPLES)
            for key in FIGURES:
                figure = result.arms[key[0]][key[1]]
                assert isinstance(figure, Estimate)
                assert figure.low is not None and figure.high is not None
                held[key].append(figure.low <= truths[key] <= figure.high)
    return {key: sum(each) / len(each) for key, each in held.items()}


def truth(plan: Plan, person: Person, seed: int, studies: int = 5) -> dict[tuple[str, str], float]:
    """The mean of each figure over large studies."""
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for number in range(studies):
        result = _studied(plan, person, 77_000 + seed + number, 2)
        for arm, name in FIGURES:
            figure = result.arms[arm][name]
            assert isinstance(figure, Estimate) and figure.value is not None
            sums[arm, name] += figure.value / studies
    return dict(sums)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, usual in (("studies", 200), ("people", 8), ("rounds", 8), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args(arguments)
    shares = coverage(asked.people, asked.rounds, asked.studies, asked.seed)
    for (arm, name), share in shares.items():
        print(f"{arm:10} {name:16} {share:.3f}")
    print(f"lowest {min(shares.values()):.3f} of {asked.studies} studies")


if __name__ == "__main__":
    main()
