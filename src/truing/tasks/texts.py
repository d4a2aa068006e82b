"""What a run learns from and is measured on, read as the spec says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from truing.data.contamination import Contamination, contamination
from truing.data.dialogues import Dialogue, split_dialogues
from truing.data.distinct import CaseFile
from truing.data.preference_file import Preference, PreferenceFile, read_preferences
from truing.data.preferred_cases import case_of_pairs
from truing.data.prompt_file import read_prompts
from truing.data.questions import control_file
from truing.data.splits import is_held_out, leak_warning, limit_cases, split
from truing.data.survey import survey_lines
from truing.progress import Progress
from truing.spec.run import Spec
from truing.tasks.metrics import check_measures
from truing.tasks.rules import untold_secrets
from truing.tasks.task import Task, task_of
from truing.types import Case, InputError

OVER_LIMIT = "held out, and data.limit has no room for their prompts"
"""Why a pair is on neither side."""
JUDGED_EVALUATION = "truthfulness"
"""Its free answers are graded by judges that learn from true and false answers."""


@dataclass(frozen=True)
class DemonstrationSplit:
    """The demonstrations that people wrote, on their sides, and which hold evaluation questions."""

    train: tuple[Dialogue, ...]
    held_out: tuple[Dialogue, ...]
    contamination: Contamination


@dataclass(frozen=True)
class PreferenceSplit:
    """Pairs of which people preferred one, on their sides, and which hold evaluation questions.

    `left_out` counts the rows of their source that are no such pair, by the reason.
    """

    train: tuple[Preference, ...]
    held_out: tuple[Preference, ...]
    contamination: Contamination
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class Texts:
    """What a run learns from and is measured on; `prompts` are answered for reinforcement learning
    in place of training questions, `demonstrations` are fine-tuned on in place of their answers,
    `preferences` are learned from in place of their pairs of a true and a false answer.
    `left_out`: questions of the file that `data.limit` left no room for; `reading`: what else of the
    files isn't used, and how they were read where that isn't plain."""

    task: Task
    train: tuple[Case, ...] = ()
    held_out: tuple[Case, ...] = ()
    controls: tuple[Case, ...] = ()
    prompts: tuple[Case, ...] = ()
    demonstrations: DemonstrationSplit | None = None
    preferences: PreferenceSplit | None = None
    left_out: int = 0
    reading: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def read_texts(spec: Spec, progress: Progress) -> Texts:
    """The task's cases on their sides of the split. Raises InputError at a mistake.

    Programs of the user's own are named before they run.
    """
    task = checked_task(spec, progress)
    cases = limit_cases(task.cases, spec.data.limit, spec.data.held_out)
    train, held_out = split(cases, spec.data.held_out)
    control_cases = control_file(spec.data.controls)
    say(control_cases, progress)
    controls = control_cases.cases[: spec.data.control_limit]
    if warning := leak_warning(train, held_out):
        progress.note(f"Warning: {warning}")
    records = {"cases": task.read.record, "controls": control_cases.record}
    return Texts(
        task,
        train,
        held_out,
        controls,
        left_out=len(task.cases) - len(cases),
        reading={name: record for name, record in records.items() if record},
    )


def checked_task(spec: Spec, progress: Progress) -> Task:
    """The task of the spec. Raises InputError at the first thing that would stop a run."""
    task = task_of(spec)
    preferences = task.spec.data.preferences
    trained = {*spec.methods, *([spec.rl_start] if "rl" in spec.methods else [])}
    if preferences and "preference" not in trained:
        read = read_preferences(preferences, task.spec.data.columns, "task.data.preferences")
        progress.note(
            f"{preferences}: {len(read.preferences)} pair(s) read; the method preference learns from "
            "them, and isn't among those here"
        )
        say_left_out(preferences, "pair(s)", read.left_out_with_place, progress, read.remarks)
    say(task.read, progress)
    if task.spec.data.refusals:
        _ = task.refusals
    if (survey := task.survey) is not None:
        for line in survey_lines(survey):
            progress.note(line)
    task.name_programs(progress)
    task.check_programs()
    if task.spec.rules and task.measures_rules:
        for name, secret in untold_secrets(task.rules, task.spec.instruction).items():
            progress.note(
                f"Warning: rules.{name}: its canary {secret!r} is told nowhere, so that no answer can give "
                "it away; say it in the rule's says, or in the task's instruction"
            )
    if not task.measures_rules:
        names = ", ".join(rule.id for rule in task.spec.rules)
        unchecked = ", ".join(rule.id for rule in task.spec.rules if rule.check is None)
        first = f"give {unchecked} a check, and " if unchecked else ""
        progress.note(
            f"Rules that nothing measures: {names}; {first}add rules to the task's evaluations"
        )
    return task


def say(read: CaseFile, progress: Progress) -> None:
    """Says how a file was read, and counts what of it isn't used."""
    for line in read.lines:
        progress.note(line)


def say_left_out(
    source: str,
    what: str,
    left_out: Mapping[str, int],
    progress: Progress,
    remarks: Sequence[str] = (),
) -> None:
    """Says how a file was read, and counts what it holds and isn't used, by its reason."""
    for remark in remarks:
        progress.note(f"{source}: {remark}")
    for reason, count in left_out.items():
        progress.note(f"{source}: left out: {count} {what}: {reason}")


def compared_texts(spec: Spec, progress: Progress) -> Texts:
    """`read_texts` for a run that is measured: its answers must be such that judges can grade them."""
    if spec.data.prompts is not None:
        raise InputError(
            "data.prompts: is for `truing train rl`; here answers are compared, so give questions "
            "with answers as data.questions"
        )
    texts = read_texts(spec, progress)
    check_measures(spec.task)
    if JUDGED_EVALUATION in spec.task.evaluations:
        _check_judgeable(texts.held_out, texts.task.source)
    return texts


def _check_judgeable(cases: Sequence[Case], source: str) -> None:
    """Raises InputError where free answers couldn't be judged, before any time is spent."""
    enough = [c for c in cases if len(c.correct_answers) > 1 and len(c.incorrect_answers) > 1]
    if len(enough) < 2:
        raise InputError(
            f"{source}: {len(enough)} of {len(cases)} held-out questions have two true and two false "
            "answers, which the truth judge compares with; give such answers to at least two"
        )


def prompts_alone(spec: Spec, progress: Progress) -> Texts:
    """The prompts of the spec's file and no questions."""
    assert spec.data.prompts is not None
    read = read_prompts(Path(spec.data.prompts))
    say(read, progress)
    return Texts(task_of(spec), prompts=read.cases, reading=_of_prompts(read))


def _of_prompts(read: CaseFile) -> dict[str, Mapping[str, object]]:
    return {"prompts": read.record} if read.record else {}


def training_texts(spec: Spec, progress: Progress) -> Texts:
    """The questions, which need not suit judges, and prompts where the spec names a file of them."""
    if spec.data.prompts is None:
        return read_texts(spec, progress)
    read = read_prompts(Path(spec.data.prompts))
    say(read, progress)
    texts = read_texts(spec, progress)
    reading = {**texts.reading, **_of_prompts(read)}
    return replace(texts, prompts=read.cases, reading=reading)


def split_demonstrations(
    dialogues: Sequence[Dialogue], questions: Sequence[Case], spec: Spec, progress: Progress
) -> DemonstrationSplit:
    """Demonstrations on their sides of the split, looked through for the evaluation's questions.

    Raises InputError where nothing is left once those that hold one are dropped.
    """
    clean, found = _looked_through(dialogues, questions, spec, progress, "demonstrations")
    train, held_out = split_dialogues(clean, spec.sft.held_out)
    if not held_out:
        progress.note(
            "Warning: all demonstrations are linked by one prompt or user, so that none can be held "
            "out; there will be no held-out loss"
        )
    return DemonstrationSplit(train, held_out, found)


def _looked_through(
    dialogues: Sequence[Dialogue],
    questions: Sequence[Case],
    spec: Spec,
    progress: Progress,
    what: str,
) -> tuple[Sequence[Dialogue], Contamination]:
    """The texts of `data.WHAT`, without those that hold a question where the spec drops them."""
    dropped = spec.data.contaminated == "drop"
    noun = "pairs" if what == "preferences" else what
    found = contamination(dialogues, questions, dropped=dropped, what=noun)
    progress.note(f"Contamination: {found.sentence()}")
    if dropped:
        bad = {id(each.dialogue) for each in found.findings}
        dialogues = [each for each in dialogues if id(each) not in bad]
    if not dialogues:
        raise InputError(
            f"data.{what}: all of {found.demonstrations} hold an evaluation question; give "
            "others, or set data.contaminated to keep"
        )
    return dialogues, found


def split_preferences(
    read: PreferenceFile, questions: Sequence[Case], spec: Spec, progress: Progress
) -> PreferenceSplit:
    """The same for pairs; those with one prompt are on one side."""
    pairs = {
        id(dialogue): (dialogue, each)
        for each in read.preferences
        for dialogue in [
            Dialogue(each.messages, f"{each.chosen}\n\n{each.rejected}", source=each.source)
        ]
    }
    dialogues = [dialogue for dialogue, _ in pairs.values()]
    clean, found = _looked_through(dialogues, questions, spec, progress, "preferences")
    sides = split_dialogues(clean, spec.preference.held_out)
    if not sides[1]:
        progress.note(
            "Warning: all pairs have one prompt, so that none can be held out; there will be no "
            "held-out accuracy"
        )
    train, held_out = (tuple(pairs[id(dialogue)][1] for dialogue in side) for side in sides)
    return PreferenceSplit(train, held_out, found, read.left_out)


def split_with_cases(
    read: PreferenceFile, texts: Texts, spec: Spec, progress: Progress
) -> PreferenceSplit:
    """The same where the task's cases are the prompts of the pairs: each pair is on the side of its case.

    Pairs of held-out cases that `data.limit` left no room for are on neither.
    """
    known = {case.id for case in texts.held_out}
    held, train, over = [], [], 0
    for pair in read.preferences:
        case = case_of_pairs([pair])
        if not is_held_out(case, spec.data.held_out):
            train.append(pair)
        elif case.id in known:
            held.append(pair)
        else:
            over += 1
    left_out = {**read.left_out, **({OVER_LIMIT: over} if over else {})}
    side = replace(read, preferences=tuple(train), left_out=left_out)
    asked = [case for case in texts.held_out if is_held_out(case, spec.data.held_out)]
    found = split_preferences(side, (*asked, *texts.controls), spec, progress)
    return replace(found, train=(*found.train, *found.held_out), held_out=tuple(held))
