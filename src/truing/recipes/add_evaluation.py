"""`truing eval NAME --run RUN`: gives a finished run the rows of one more evaluation.

Every candidate and seed is measured as `truing align` would have, its rows stand beside the others, and
the report is built anew. What has been measured already isn't measured again.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import filelock

from truing.candidates import RECORD
from truing.data.survey import Survey
from truing.evaluate import EVALUATIONS
from truing.evaluate.base_draws import base_draws
from truing.evaluate.hacking import HACKING
from truing.evaluate.local import LocalRespondent
from truing.evaluate.of_run import Graders, RunInstruments
from truing.evaluate.opinions import NO_SURVEY, OPINIONS, case_of
from truing.evaluate.sweep.request import check_evaluations
from truing.files import read_json, write_json_atomically, write_jsonl_atomically
from truing.models import devices
from truing.models.identity import settings_hash
from truing.models.templates.rendering import as_of
from truing.progress import Progress, StderrProgress
from truing.recipes.report import rebuild
from truing.report.summary import Summary
from truing.rewards.mixture import functions_hash
from truing.runs.costs import Cost, measured
from truing.runs.entries import is_file
from truing.runs.folder import DRAWS, read_rows
from truing.tasks.task import RULED, Task, measuring, task_of
from truing.types import InputError


def add_evaluations(
    run: Path,
    evaluations: Sequence[str],
    progress: Progress | None = None,
    *,
    survey: Survey | None = None,
) -> Summary:
    """Measures what isn't measured yet and builds the report anew; holds the run's lock meanwhile.

    `survey` is what `opinions` asks of a run whose task names none. Raises InputError where an
    evaluation is unknown, the folder is no finished comparison, or another process works on it.
    """
    check_evaluations(tuple(evaluations))
    progress = progress or StderrProgress()
    instruments = RunInstruments(
        run,
        progress,
        lambda spec: _named_programs(task, progress),
        lambda: (task.rules, task.rule_checks),
    )
    _check_finished(instruments)
    if survey is not None:
        _check_survey(instruments, survey)
        instruments.survey = survey
    if OPINIONS.name in evaluations and survey is None and not instruments.spec.task.survey:
        raise InputError(f"--run {run}: its task names no survey; {NO_SURVEY}")
    # Read once: another package's may take long.
    task = task_of(measuring(instruments.spec, evaluations))
    _check_unchanged(instruments, task)
    if RULED in evaluations:
        # Programs are named, and what is wrong is said, before any time is spent.
        _ = instruments.graders, task.rule_checks
    _say_device(instruments, progress)
    with _held(run), as_of(instruments.run.record.get("created")):
        work = list(_unmeasured(instruments, evaluations))
        total = sum(len(missing) for _, _, missing in work)
        stages = (f"Stage {number} of {total}" for number in count(1))
        for name, seed, missing in work:
            _measure(instruments, name, seed, zip(missing, stages, strict=False), progress)
        if HACKING.name in evaluations:
            _draw(instruments, progress)
        return rebuild(run)


def _draw(instruments: RunInstruments, progress: Progress) -> None:
    """Several answers of the base to each held-out case, for the audit of the reward; once."""
    base, seed = "base", instruments.spec.seeds[0]
    path = instruments.folder / DRAWS / f"{base}-seed{seed}.jsonl"
    if is_file(path) or (reward := instruments.reward) is None:
        return
    stands_for = instruments.spec.task.gold or instruments.spec.task.headline
    with progress.task(f"{base}: answers to choose from"), measured() as cost:
        rows = base_draws(instruments.context(), instruments.base, reward, stands_for)
    write_jsonl_atomically(path, [row.to_json() for row in rows])
    _note_cost(instruments, f"{DRAWS}-{base}-seed{seed}", cost)


def _note_cost(instruments: RunInstruments, stage: str, cost: Cost) -> None:
    mark = {"account": "evaluation", "cost": cost.to_json()}
    write_json_atomically(instruments.folder / "stages" / f"{stage}.json", mark)


def _check_finished(instruments: RunInstruments) -> None:
    run, record = instruments.folder, instruments.run.record
    kind = record.get("identity", {}).get("kind", "align")
    if kind != "align":
        raise InputError(f"--run {run}: a run of another kind ({kind}); give one of truing align")
    if not record.get("finished"):
        raise InputError(f"--run {run}: isn't finished; the command that began it goes on with it")


def _check_survey(instruments: RunInstruments, survey: Survey) -> None:
    """Raises InputError where opinions of the run are those of another survey."""
    run = instruments.folder
    if instruments.spec.task.survey:
        raise InputError(
            f"--survey: the task of {run} names one, which is asked; leave out --survey"
        )
    asked = {case_of(each).id for each in survey.questions}
    for path in sorted((run / "rows" / OPINIONS.name).glob("*.jsonl")):
        if {row.case for row in read_rows(path)} != asked:
            raise InputError(
                f"--survey: {path} has the opinions of another survey; give that one, or evaluate the "
                "run's candidates (--candidate RUN/candidates/NAME) by themselves"
            )


def _named_programs(task: Task, progress: Progress) -> Graders:
    """The programs of a run's task; those of the user's own are named before they run."""
    task.name_programs(progress)
    return task.graders


def _check_unchanged(instruments: RunInstruments, task: Task) -> None:
    """Raises InputError where a file that the run's task names, or its reward, is another by now."""
    run, identity = instruments.folder, instruments.run.record.get("identity", {})
    for name, now, what in (
        ("task_hash", task.content_hash(), "a file that its task names"),
        (
            "functions_hash",
            functions_hash(instruments.spec.reward, instruments.spec.judge.rubrics),
            "a function of its reward, or a rubric",
        ),
    ):
        if identity.get(name, "") != now:
            raise _changed(run, what)
    record = run / "candidates" / "base" / RECORD
    base = Path(str(read_json(record).get("base", ""))) if record.is_file() else Path()
    made_with = identity.get("settings_hash", "")  # runs of before say nothing of it
    if made_with and (base / "config.json").is_file() and settings_hash(base, base) != made_with:
        raise _changed(run, "its model's tokenizer, chat template or configuration")


def _say_device(instruments: RunInstruments, progress: Progress) -> None:
    """Figures of two kinds of device differ in their last digits."""
    before = instruments.run.record.get("identity", {}).get("device", "cpu")
    if (now := devices.device().type) != before:
        progress.note(f"The run was computed on {before}; what is added is computed on {now}")


def _changed(run: Path, what: str) -> InputError:
    return InputError(
        f"--run {run}: {what} has changed since it was made; put it back, or align anew"
    )


@contextmanager
def _held(run: Path) -> Iterator[None]:
    lock = filelock.FileLock(run / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(f"{run}: another process is working on this run") from None
    except OSError as error:
        raise InputError(f"{run}: can't be written ({error.strerror})") from None
    try:
        yield
    finally:
        lock.release()


def _rows(run: Path, evaluation: str, name: str, seed: int) -> Path:
    return run / "rows" / evaluation / f"{name}-seed{seed}.jsonl"


def _unmeasured(
    instruments: RunInstruments, evaluations: Sequence[str]
) -> Iterator[tuple[str, int, list[str]]]:
    """Each candidate and seed that lacks rows, with the evaluations that it lacks."""
    for name in instruments.names:
        for seed in instruments.spec.seeds:
            if not (instruments.candidate_folder(name, seed) / RECORD).is_file():
                continue  # base and prompt don't depend on the seed
            missing = [
                evaluation
                for evaluation in dict.fromkeys(evaluations)
                if not _rows(instruments.folder, evaluation, name, seed).is_file()
            ]
            if missing:
                yield name, seed, missing


def _measure(
    instruments: RunInstruments,
    name: str,
    seed: int,
    missing: Iterable[tuple[str, str]],
    progress: Progress,
) -> None:
    """One candidate's rows of some evaluations, each with its stage, and what they cost."""
    context = instruments.context()
    is_base = name == "base" and seed == instruments.spec.seeds[0]
    candidate = instruments.candidate
    respondent = instruments.base if is_base else LocalRespondent(candidate(name, seed))
    for evaluation, stage in missing:
        with (
            progress.stage(stage, at_once=False),
            progress.task(f"{name}, seed {seed}: {evaluation}"),
            measured() as cost,
        ):
            rows = EVALUATIONS[evaluation].measure(context, respondent)
        write_jsonl_atomically(
            _rows(instruments.folder, evaluation, name, seed), [row.to_json() for row in rows]
        )
        _note_cost(instruments, f"evaluate-{evaluation}-{name}-seed{seed}", cost)
    del respondent
    gc.collect()  # two candidates needn't be in memory at once
