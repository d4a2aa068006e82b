"""Several rewards as one: a weighted sum.

    reward = sum over parts of weight * score

Where one part has no score, the sum has none: leaving the part out would reward the answers that it
can't score.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from truing.files import read_text
from truing.rewards.answer_program import REFERENCES
from truing.rewards.calling import columns_of
from truing.rewards.program import REWARDS, built_in, program
from truing.rewards.reward import Answered, Reward, scored
from truing.rewards.user_code import is_user_function
from truing.spec.reward import RewardPart, RewardSpec
from truing.types import Case, InputError, Score, Unscored, stable_hash

MODEL = "reward_model"
JUDGE = "judge:"
"""What parts that are judges of the task begin with."""
TRIED = 2
"""Cases that a reward is tried on before any time is spent."""
NO_JUDGES: Mapping[str, Callable[[Answered], Score]] = {}


@dataclass(frozen=True)
class Part:
    """One reward in a mixture, its name in messages and how often its score counts."""

    name: str
    weight: float
    reward: Reward


@dataclass(frozen=True)
class Mixture:
    """A weighted sum of rewards."""

    parts: tuple[Part, ...]

    def __call__(self, answers: Sequence[Answered]) -> list[Score]:
        """See Reward. Raises InputError where a part fails; see reward.scored."""
        columns = [scored(part.reward, answers) for part in self.parts]
        return [self._sum([column[place] for column in columns]) for place in range(len(answers))]

    def _sum(self, scores: Sequence[Score]) -> Score:
        total = 0.0
        for part, score in zip(self.parts, scores, strict=True):
            if isinstance(score, Unscored):
                return Unscored(f"{part.name}: {score.reason}")
            total += part.weight * score
        return total


def needs_model(spec: RewardSpec) -> bool:
    """Whether the reward model takes part."""
    return not spec.parts or any(part.name == MODEL for part in spec.parts)


def build_reward(
    spec: RewardSpec,
    model: Callable[[], Reward],
    judges: Mapping[str, Callable[[Answered], Score]] = NO_JUDGES,
    columns: Collection[str] = (),
) -> Reward:
    """The reward that the spec describes; `model` gives the fitted reward model where it is needed,
    `judges` are the task's programs by name, for parts called `judge:NAME`; `columns` are those of the
    data, which functions of the user's may ask for.

    Raises InputError naming the part that is wrong.
    """
    if not spec.parts:
        return model()
    parts = []
    for number, part in enumerate(spec.parts):
        where = f"reward.parts.{number}"
        if part.name.startswith(JUDGE):
            parts.append(Part(part.name, part.weight, _judge(part, judges, where)))
            continue
        if part.name != MODEL:
            reward = program(part.name, part.options, where, columns)
        elif not part.options:
            reward = model()
        else:
            right = "its weights stand beside 'parts' (reward.truth and others)"
            raise InputError(f"{where}.{min(part.options)}: no option of the reward model; {right}")
        parts.append(Part(part.name, part.weight, reward))
    return Mixture(tuple(parts))


def _judge(
    part: RewardPart, judges: Mapping[str, Callable[[Answered], Score]], where: str
) -> Reward:
    """One of the task's judges as a reward."""
    name = part.name.removeprefix(JUDGE)
    if name not in judges:
        known = ", ".join(judges) or "none"
        raise InputError(f"{where}.name: the task has no judge {name!r}; it has {known}")
    if part.options:
        raise InputError(f"{where}.{min(part.options)}: a judge of the task has no options")
    grade = judges[name]
    return lambda answers: [grade(each) for each in answers]


def _nothing(answers: Sequence[Answered]) -> list[Score]:
    return [0.0] * len(answers)


def check_reward(
    spec: RewardSpec,
    cases: Sequence[Case],
    judges: Mapping[str, Callable[[Answered], Score]] = NO_JUDGES,
    *,
    needed: str = "",
) -> None:
    """Tries the reward's programs on made-up answers to the first cases, without the reward model.

    Raises InputError where one is wrong or fails, before any time is spent; where a score is `needed`
    for a reason, also where there is none.
    """
    try:
        reward = build_reward(spec, lambda: _nothing, judges, columns_of(cases))
    except InputError as error:
        if not needed:
            raise
        raise InputError(f"{needed}, without references and columns; {error}") from None
    _check_references(spec, cases)
    scores = scored(reward, [Answered(case, "An answer.") for case in cases[:TRIED]])
    reasons = [score.reason for score in scores if isinstance(score, Unscored)]
    if needed and reasons and len(reasons) == len(scores):
        raise InputError(
            f"{needed}, but the reward gives no score where only prompt and answer are known "
            f"({reasons[0]}); name another under reward.parts"
        )


def _check_references(spec: RewardSpec, cases: Sequence[Case]) -> None:
    """Raises InputError where answers are held against references, and no case has any."""
    if any(case.correct_answers for case in cases) or not cases:
        return
    for number, part in enumerate(spec.parts):
        where = f"reward.parts.{number}"
        if part.name in REWARDS:
            built = built_in(part.name, part.options, where, columns_of(cases))
            if built.asks_for == REFERENCES:
                raise InputError(
                    f"{where}: {part.name} holds answers against references, and no prompt has any; "
                    "name the column of the data that says what is right, as 'column'"
                )


def described(spec: RewardSpec) -> str:
    """The reward in a few words, for model cards."""
    if not spec.parts:
        return "a reward model's scores"
    return " + ".join(f"{part.weight:g} x {part.name}" for part in spec.parts)


def functions_hash(spec: RewardSpec) -> str:
    """A hash of the files of the user's own functions; empty where there are none."""
    files = [p.name.rpartition(":")[0] for p in spec.parts if is_user_function(p.name)]
    return stable_hash("functions", *(read_text(Path(file)) for file in files)) if files else ""
