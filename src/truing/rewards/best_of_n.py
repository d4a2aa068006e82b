"""Best-of-n: of n answers drawn from a model, the one that a reward likes best.

How far the chosen answer's distribution can be from the one that is drawn from:

    KL(best-of-n || drawn from) <= log n - (n - 1) / n     (Beirami et al., 2024, theorem 1)

with equality only where no two answers have the same reward; no likelihood of an answer follows from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.models.features import Embed
from truing.rewards.mixture import (
    ENDPOINT,
    JUDGE,
    PROBE_FOLDER,
    Learned,
    build_reward,
    fitted_in,
    functions_hash,
)
from truing.rewards.reward import Answered, Reward, scored
from truing.rewards.truth_probe import load_truth_probe
from truing.rewards.user_code import is_user_function
from truing.spec.best_of_n import BestOfNSpec
from truing.spec.reward import RewardSpec
from truing.types import Case, Completion, InputError, Score, Unscored

NO_LIKELIHOODS = "best-of-n changes answers, not likelihoods"


@dataclass(frozen=True)
class BestOfN:
    """How a candidate that chooses among its answers does so."""

    n: int
    temperature: float
    reward: Reward

    def best(
        self, cases: Sequence[Case], drawn: Sequence[Sequence[Completion]]
    ) -> list[Completion]:
        """Of the answers drawn to each case, the one with the highest reward (ties: the first).

        An answer without a score is behind all that have one. The reward sees what is asked alone, as in
        use, where nobody has references.
        """
        answers = [
            Answered.of(asked_alone(case), each)
            for case, completions in zip(cases, drawn, strict=True)
            for each in completions
        ]
        scores = iter([_comparable(score) for score in scored(self.reward, answers)])
        best = []
        for completions in drawn:
            own = [next(scores) for _ in completions]
            best.append(completions[own.index(max(own))])
        return best


def asked_alone(case: Case) -> Case:
    """What is asked, without anything that is known of good answers."""
    return Case(case.prompt, messages=case.messages)


def _comparable(score: Score) -> float:
    return -math.inf if isinstance(score, Unscored) else score


def to_json(spec: BestOfNSpec, reward: RewardSpec) -> dict[str, Any]:
    """What a candidate's record holds, so that its reward can be built again."""
    return {
        "n": spec.n,
        "temperature": spec.temperature,
        "reward": reward.model_dump(mode="json"),
        "functions_hash": functions_hash(reward),
    }


def programs_in(record: Mapping[str, Any]) -> list[str]:
    """The user's functions that the record's reward runs."""
    reward = RewardSpec.model_validate(record["reward"])
    return [part.name for part in reward.parts if is_user_function(part.name)]


def from_json(
    record: Mapping[str, Any],
    folder: Path,
    embed: Embed,
    judges: Mapping[str, Callable[[Answered], Score]],
    learned: Learned,
) -> BestOfN:
    """The inverse of `to_json`; probes are in the candidate's `folder`, `judges` are its task's, `learned`
    opens a reward model that was trained before.

    Raises InputError where a program of the reward is another by now, or has gone.
    """
    reward = RewardSpec.model_validate(record["reward"])
    if functions_hash(reward) != record["functions_hash"]:
        raise InputError(
            f"{folder}: a program of its reward has changed since ({', '.join(programs_in(record))}); "
            "make the candidate again"
        )
    for part in reward.parts:
        if part.name == ENDPOINT:
            raise InputError(
                f"{folder}: its answers would be chosen by a judge at {part.options.get('endpoint')}, "
                "which would be sent every prompt; make the candidate again with another reward"
            )
        if part.name.startswith(JUDGE) and part.name.removeprefix(JUDGE) not in judges:
            raise InputError(
                f"{folder}: its answers are chosen by {part.name} of its task, which is at hand in its "
                "run alone"
            )
    probes = folder / PROBE_FOLDER
    built = build_reward(
        reward,
        lambda: load_truth_probe(probes, embed, reward),
        judges,
        learned=fitted_in(probes, learned),
    )
    return BestOfN(int(record["n"]), float(record["temperature"]), built)
