"""Several rewards as one: a weighted sum.

    reward = sum over parts of weight * score

Where one part has no score, the sum has none: leaving the part out would reward the answers that it
can't score.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from truing.files import read_text
from truing.models.user_cache import file_sha256
from truing.progress import StderrProgress
from truing.rewards.answer_program import REFERENCES
from truing.rewards.calling import columns_of
from truing.rewards.learned.saved import FILE, checked
from truing.rewards.people import PEOPLE, People, people_asked
from truing.rewards.program import REWARDS, built_in, program
from truing.rewards.reward import Answered, Reward, graded, scored
from truing.rewards.rubrics.judge import ServedJudge
from truing.rewards.rubrics.reading import is_rubric_file, rubric_named, rubric_text
from truing.rewards.user_code import is_user_function
from truing.rewards.verifiable import AgainstReference
from truing.spec.part import worded
from truing.spec.people import PeopleSpec
from truing.spec.reward import RewardPart, RewardSpec
from truing.spec.rubric import RubricJudge
from truing.types import Case, InputError, Score, Unscored, stable_hash

PROBE = "truth_probe"
PROBE_FOLDER = "reward_model"
"""Where a run, or a candidate, has its probes: under the name that they had first."""
MODEL, FROM = "reward_model", "from"
"""A reward model that was trained before, and the option that says where it is."""
PAIRS = "pairs"
"""What that option says of one that a run fits itself, to its own pairs of answers."""
ENDPOINT = "judge"
"""A judge behind an endpoint, which grades by a rubric."""
JUDGE = "judge:"
"""What parts that are judges of the task begin with."""
TRIED = 2
"""Cases that a reward is tried on before any time is spent."""
NO_JUDGES: Mapping[str, Callable[[Answered], Score]] = {}
Learned = Callable[[Path, str], Reward]
"""What opens the reward model in a folder; the text says where the spec names it, for messages."""


@dataclass(frozen=True)
class Part:
    """One reward in a mixture, its name in messages and how often its score counts."""

    name: str
    weight: float
    reward: Reward
    judge: ServedJudge | None = None
    """The judge behind an endpoint that the reward is, where it is one."""


@dataclass(frozen=True)
class Mixture:
    """A weighted sum of rewards."""

    parts: tuple[Part, ...]

    def __call__(self, answers: Sequence[Answered]) -> list[Score]:
        """See Reward. Raises InputError where a part fails; see reward.scored."""
        columns = [scored(part.reward, answers) for part in self.parts]
        return [self._sum([column[place] for column in columns]) for place in range(len(answers))]

    def given(self, name: str, scores: Sequence[Score]) -> Mixture:
        """The same for answers whose scores by the part of this name are known."""
        known = [
            replace(part, reward=lambda answers: list(scores)) if part.name == name else part
            for part in self.parts
        ]
        return Mixture(tuple(known))

    def _sum(self, scores: Sequence[Score]) -> Score:
        total = 0.0
        for part, score in zip(self.parts, scores, strict=True):
            if isinstance(score, Unscored):
                return Unscored(f"{part.name}: {score.reason}")
            total += part.weight * score
        return total


def unread(folder: Path, where: str) -> Reward:
    """Stands for `Learned` where no base is at hand that could read answers."""
    raise InputError(
        f"{where}: {folder}: a reward model reads answers with a base, and there is none here"
    )


def needs_model(spec: RewardSpec) -> bool:
    """Whether the probes take part, which are fitted to labelled answers in the run, or stand in for people
    who don't answer."""
    if not spec.parts or any(part.name == PROBE for part in spec.parts):
        return True
    asked = people_asked(spec)
    return asked is not None and asked.nobody == "model" and asked.trained is None


def needs_pairs(spec: RewardSpec) -> bool:
    """Whether a reward model takes part which is fitted to pairs of answers in the run."""
    return any(
        part.name in (MODEL, PEOPLE) and part.options.get(FROM) == PAIRS for part in spec.parts
    )


def fitted_in(folder: Path, learned: Learned) -> Learned:
    """`learned`, where what a run fits to its own pairs lies in `folder`."""
    return lambda named, where: learned(folder if named == Path(PAIRS) else named, where)


def build_reward(
    spec: RewardSpec,
    probe: Callable[[], Reward],
    judges: Mapping[str, Callable[[Answered], Score]] = NO_JUDGES,
    columns: Collection[str] = (),
    *,
    learned: Learned = unread,
) -> Reward:
    """The reward that the spec describes; `probe` gives the fitted probes where they are needed, `learned`
    a reward model that was trained before; `judges` are the task's programs by name, for parts called
    `judge:NAME`; `columns` are those of the data, which functions of the user's may ask for.

    Raises InputError naming the part that is wrong.
    """
    if not spec.parts:
        return probe()
    parts, asked = [], people_asked(spec)
    for number, part in enumerate(spec.parts):
        where = f"reward.parts.{number}"
        if part.name == PEOPLE and asked is not None:
            people = People(_stand_in(asked, probe, learned, where))
            parts.append(Part(PEOPLE, part.weight, people))
            continue
        if part.name.startswith(JUDGE):
            parts.append(Part(part.name, part.weight, _judge(part, judges, where)))
            continue
        if part.name == ENDPOINT:
            judge = served_judge(part, where)
            judge.check_columns(columns, where)
            parts.append(Part(ENDPOINT, part.weight, judge.many, judge))
            continue
        if part.name == MODEL:
            reward = learned(_trained(part, where), where)
        elif part.name != PROBE:
            reward = program(part.name, part.options, where, columns)
        elif not part.options:
            reward = probe()
        else:
            right = "its weights stand beside 'parts' (reward.truth and others)"
            raise InputError(f"{where}.{min(part.options)}: no option of {PROBE}; {right}")
        parts.append(Part(part.name, part.weight, reward))
    return Mixture(tuple(parts))


def served_judge(part: RewardPart, where: str) -> ServedJudge:
    """The judge behind an endpoint that a part names; nothing is asked yet. Raises InputError naming the
    key that is wrong."""
    try:
        spec = RubricJudge.model_validate(part.options)
    except ValidationError as error:
        raise InputError(worded(error.errors()[0], RubricJudge, where)) from None
    if spec.endpoint is None:
        raise InputError(f"{where}.endpoint: missing; name the judge, as endpoint:URL#MODEL")
    judge = ServedJudge("the reward", spec, where)
    judge.check_ordered(where)
    judge.watched_by(StderrProgress())
    return judge


def _stand_in(
    asked: PeopleSpec, probe: Callable[[], Reward], learned: Learned, where: str
) -> Reward | None:
    """What answers are worth where people don't say; None where they are waited for."""
    if asked.nobody != "model":
        return None
    return probe() if asked.trained is None else learned(Path(asked.trained).expanduser(), where)


def _trained(part: RewardPart, where: str) -> Path:
    """The folder that a part names."""
    folder = part.options.get(FROM)
    if not isinstance(folder, str) or not folder:
        raise InputError(
            f"{where}.{FROM}: must be the folder of a reward model, or {PAIRS!r}, got {folder!r}"
        )
    if others := part.options.keys() - {FROM}:
        right = "how its heads are combined is said when it is trained"
        raise InputError(f"{where}.{min(others)}: no option of {MODEL}; {right}")
    return Path(folder).expanduser()


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
    return lambda answers: graded(grade, answers)


def _nothing(answers: Sequence[Answered]) -> list[Score]:
    return [0.0] * len(answers)


def check_reward(
    spec: RewardSpec,
    cases: Sequence[Case],
    judges: Mapping[str, Callable[[Answered], Score]] = NO_JUDGES,
    *,
    needed: str = "",
    weights: Callable[[], str] | None = None,
) -> None:
    """Tries the reward's programs on made-up answers to the first cases, without what reads answers;
    `weights` is the hash of those that will read them, where they are known.

    Raises InputError where one is wrong or fails, before any time is spent; where a score is `needed`
    for a reason, also where there is none.
    """

    def whole(folder: Path, where: str) -> Reward:
        if folder != Path(PAIRS):  # that is fitted later
            checked(folder, weights, where)
        return _nothing

    try:
        reward = build_reward(spec, lambda: _nothing, judges, columns_of(cases), learned=whole)
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
    """Raises InputError where answers are held against references, and no case has one that can be read."""
    known = any(case.correct_answers for case in cases)
    for number, part in enumerate(spec.parts):
        if part.name not in REWARDS or not cases:
            continue
        where = f"reward.parts.{number}"
        built = built_in(part.name, part.options, where, columns_of(cases))
        if built.asks_for == REFERENCES and not known:
            raise InputError(
                f"{where}: {part.name} holds answers against references, and no prompt has any; "
                "name the column of the data that says what is right, as 'column'"
            )
        if isinstance(built, AgainstReference) and (reason := _unscored_everywhere(built, cases)):
            what = f"the column {built.column!r}" if built.column else "the references"
            raise InputError(
                f"{where}: {part.name} gives no score for any of {len(cases)} prompt(s) ({reason}); "
                f"{what} must say what is right for some"
            )


def _unscored_everywhere(reward: AgainstReference, cases: Sequence[Case]) -> str:
    """Why no case has a score; empty where one has."""
    reason = ""
    for case in cases:
        score = reward.score(Answered(case, "An answer."))
        if not isinstance(score, Unscored):
            return ""
        reason = reason or score.reason
    return reason


def rubric_texts(rubrics: Sequence[object]) -> list[str]:
    """What stands in those of the rubrics that are files; in a spec there is no more than their name."""
    files = [name for name in rubrics if isinstance(name, str) and is_rubric_file(name)]
    return [rubric_text(rubric_named(name, "rubric")) for name in files]


def described(spec: RewardSpec) -> str:
    """The reward in a few words, for model cards."""
    if not spec.parts:
        return "a reward model's scores"
    return " + ".join(f"{part.weight:g} x {part.name}" for part in spec.parts)


def functions_hash(spec: RewardSpec, rubrics: Sequence[object] = ()) -> str:
    """A hash of the files of the user's own functions, of rubrics and of trained reward models; empty where
    there are none. `rubrics` are those that answers are judged by."""
    files = [p.name.rpartition(":")[0] for p in spec.parts if is_user_function(p.name)]
    heads = [
        Path(p.options.get(FROM, "")).expanduser() / FILE
        for p in spec.parts
        if p.name == MODEL or (p.name == PEOPLE and FROM in p.options)
    ]
    texts = [read_text(Path(file)) for file in files]
    texts += rubric_texts([p.options.get("rubric") for p in spec.parts if p.name == ENDPOINT])
    texts += rubric_texts(rubrics)
    texts += [file_sha256(file) if file.is_file() else "" for file in heads]
    return stable_hash("functions", *texts) if texts else ""
