"""`truing eval`: candidates x prompts on the same questions, measured, summarised and written down."""

from __future__ import annotations

import gc
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace

from truing.data.attack_lists import read_attacks
from truing.data.distinct import CaseFile
from truing.data.questions import question_file, several_files
from truing.data.refusal_cases import refusal_cases
from truing.data.rule_book import built_in_rules
from truing.data.survey import survey_lines
from truing.evaluate import EVALUATIONS
from truing.evaluate.evaluation import EvalContext, Kind
from truing.evaluate.recorded import is_recorded, read_answers
from truing.evaluate.respondent import Respondent
from truing.evaluate.sweep.instruments import Instruments, LazyOutcomeJudge
from truing.evaluate.sweep.request import SweepSpec, TaskCases, asked_opinions
from truing.evaluate.sweep.respondents import Opener
from truing.evaluate.sweep.result import Asked, Line, SweepResult
from truing.evaluate.sweep.sensitivity import sensitivities
from truing.judges.served_rules import served_in
from truing.judges.trained import read_record
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.models.pool.pool import WorkerPool
from truing.models.precision import substitution
from truing.models.remote.client import Connection
from truing.models.remote.endpoint import is_endpoint
from truing.progress import Progress, SilentProgress
from truing.prompts.variant_file import named_prompts
from truing.prompts.variants import families, with_instruction
from truing.report.opinion_verdicts import opinion_summary
from truing.report.wordings import row_means
from truing.rewards.rubrics.judge import ServedJudge
from truing.rewards.rubrics.summary import summaries
from truing.spec.run import EvaluationSpec
from truing.types import Case, InputError

_OPTIONS: dict[Kind, str] = {
    "held_out": "--questions",
    "controls": "--controls",
    "refusals": "--refusals",
}
"""The kinds of questions, and the option that names those of each."""
ATTACKS = 234
"""Attacks that are composed where nothing else is said: 26 wordings each of nine demands and items."""


def plan_sweep(spec: SweepSpec, of_task: TaskCases | None = None) -> SweepResult:
    """The questions and prompts that the spec names, and no rows yet; `of_task` is the task that it names.

    Raises InputError where they are wrong: before a model is loaded or anything is written.
    """
    if spec.judge_folder is not None:
        read_record(spec.judge_folder)
    prompts = named_prompts(spec.prompts, spec.variant_files, spec.presets)
    context, questions = _questions(spec, of_task)
    for name in filter(is_recorded, spec.candidates):
        read_answers(name).check(_all_cases(questions))
    if of_task:
        prompts = [with_instruction(variant, of_task.instruction) for variant in prompts]
    return SweepResult(spec, questions, context, prompts=prompts)


def run_sweep(
    result: SweepResult,
    progress: Progress,
    store: ScoreStore | None = None,
    *,
    connection: Connection | None = None,
    accept_licence: bool = False,
    pool: WorkerPool | None = None,
) -> SweepResult:
    """Measures everything that is planned and returns it; what is in the stores isn't computed again.

    `connection` says how endpoints are asked; with a `pool`, whose context is entered, its workers score
    and sample. Raises InputError where a candidate is wrong, or none of
    its questions can be scored.
    """
    started, spec = time.monotonic(), result.spec
    for line in dict.fromkeys(line for asked in result.asked.values() for line in asked.lines):
        progress.note(line)
    here = not all(is_endpoint(name) or is_recorded(name) for name in spec.candidates)
    if here and (sentence := substitution(spec.dtype)):
        progress.note(sentence)
    connection = connection or Connection()
    outcomes = LazyOutcomeJudge(spec, progress, connection)
    if spec.outcome_labels:  # what is wrong with them is told before answers are asked for
        outcomes()
    context = replace(result.context, progress=progress, outcomes=outcomes)
    if spec.free:  # first: what is wrong with a judge is told before answers are asked for
        _load_judges(result, progress, connection, accept_licence=accept_licence)
        context = replace(context, judges=result.open_ended.judges)
    for sentence in named_twice(spec):
        progress.note(sentence)
    with closing(AnswerStore()) as answers:
        opener = Opener(
            spec,
            result.prompts,
            store or ScoreStore(),
            answers,
            progress,
            connection,
            accept_licence,
            pool=pool,
        )
        _measure_candidates(
            result, context, opener, Instruments(spec, progress, accept_licence), progress
        )
    _compare(result, progress)
    result.outcome_agreement = outcomes.agreement
    result.judges = [*summaries(_served(result)), *outcomes.summaries]
    result.pool = pool.record() if pool else None
    result.seconds = time.monotonic() - started
    return result


def _measure_candidates(
    result: SweepResult,
    context: EvalContext,
    opener: Opener,
    instruments: Instruments,
    progress: Progress,
) -> None:
    """Every candidate in every evaluation under every prompt, a candidate at a time."""
    names = dict.fromkeys(result.spec.candidates)
    stages = len(names) * len(result.asked) * len(result.prompts)
    for name in names:
        with (
            opener.attacker() as attacker,
            opener.respondents(name, _all_cases(result.asked)) as respondents,
        ):
            of_candidate = replace(
                context,
                base=instruments.base_of(name),
                reward=instruments.reward_of(name),
                attacker=attacker,
            )
            for evaluation in result.asked:
                for respondent in respondents:
                    stage = f"Stage {len(result.lines) + 1} of {stages}"
                    with progress.stage(stage, at_once=False):
                        _measure(result, of_candidate, evaluation, respondent)
            result.models[name] = respondents[0].about()
            result.answers_computed += sum(each.computed.choices for each in respondents)
            result.open_ended.generated += sum(each.computed.answers for each in respondents)
        del respondents, of_candidate
        gc.collect()  # two models needn't be in memory at once


def _served(result: SweepResult) -> list[ServedJudge]:
    """The judges behind endpoints that graded for a task or told whether rules are kept."""
    by_rules = {"rules", "attacks"} & set(result.spec.evaluations)
    checks = result.context.rule_checks() if by_rules else {}
    return served_in((*result.context.graders().values(), *checks.values()))


def _load_judges(
    result: SweepResult, progress: Progress, connection: Connection, *, accept_licence: bool
) -> None:
    """The judges of free answers: behind an endpoint, from a folder, or the built-in ones."""
    spec, cases = result.spec, result.context.held_out
    if (endpoint := spec.judge_endpoint) is not None:
        asked = spec.asked(endpoint, connection)
        result.open_ended.ask(asked, spec.rubrics or (), cases, progress, seed=spec.seed)
        return
    result.open_ended.load(
        spec.judge_folder,
        cases,
        progress,
        accept_licence=accept_licence,
        key_variable=spec.judge_key_variable,
    )


def _compare(result: SweepResult, progress: Progress) -> None:
    """What is said of several prompts and several candidates together."""
    seed = result.spec.seed
    if prompt_families := families(result.prompts):
        with progress.task("Comparing wordings"):
            result.sensitivities = sensitivities(result.rows, prompt_families, seed)
    result.opinions = opinion_summary(result.rows, seed)


def measure_all(
    spec: SweepSpec,
    progress: Progress | None = None,
    *,
    of_task: TaskCases | None = None,
    connection: Connection | None = None,
    accept_licence: bool = False,
) -> SweepResult:
    """Everything that the spec asks for, measured, with nothing written but the stores on disk.

    For programs; raises as `plan_sweep` and `run_sweep` do.
    """
    return run_sweep(
        plan_sweep(spec, of_task),
        progress or SilentProgress(),
        connection=connection,
        accept_licence=accept_licence,
    )


def _questions(spec: SweepSpec, of_task: TaskCases | None) -> tuple[EvalContext, dict[str, Asked]]:
    """What evaluations share, and what each asks about."""
    wanted = [EVALUATIONS[name] for name in dict.fromkeys(spec.evaluations)]
    graded = [each.name for each in wanted if each.of_judge and not each.metrics]
    if graded and not of_task:
        raise InputError(f"{graded[0]}: are graded by a task's judges; name the task with --task")
    kinds: dict[str, Kind] = {
        each.name: "held_out" if callable(each.cases) else each.cases for each in wanted
    }
    read = {kind: _read(kind, spec, of_task) for kind in _OPTIONS if kind in kinds.values()}
    cases = {kind: file.cases[: spec.limit] for kind, (_, file) in read.items()}
    usual = EvaluationSpec()
    context = EvalContext(
        held_out=cases.get("held_out", ()),
        controls=cases.get("controls", ()),
        refusals=cases.get("refusals", ()),
        max_new_tokens=spec.max_new_tokens,
        attacks=ATTACKS if spec.attack_limit is None else spec.attack_limit,
        kl_questions=usual.kl_questions,
        draws=usual.draws if spec.draws is None else spec.draws,
        draw_cases=usual.draw_cases,
        standalone=True,
    )
    if of_task:
        context = replace(
            context,
            graders=lambda: of_task.graders,
            rules=lambda: of_task.rules,
            rule_checks=lambda: of_task.rule_checks,
        )
    lines = {}
    if (asked := asked_opinions(spec)) is not None:
        context = replace(context, opinions=asked)
        lines["opinions"] = survey_lines(asked.survey)
    if "attacks" in kinds:
        book = read_attacks(spec.attacks, of_task.rules if of_task else built_in_rules())
        book = replace(book, imported=book.imported[: spec.attack_limit])
        context = replace(context, attack_book=lambda: book)
        lines["attacks"] = book.remarks
    questions = {}
    for each in wanted:
        if each.source:
            own = tuple(each.cases_in(context))
            questions[each.name] = Asked(
                each.source(context), own, lines=tuple(lines.get(each.name, ()))
            )
            continue
        kind = kinds[each.name]
        source, file = read[kind]
        # An evaluation with cases of its own makes some from the questions: none of them is left out.
        left_out = len(file.cases) - len(cases[kind]) if isinstance(each.cases, str) else 0
        questions[each.name] = Asked(
            source,
            tuple(each.cases_in(context)),
            left_out,
            (*file.lines, *lines.get(each.name, ())),
            file.record,
            own=callable(each.cases),
        )
    return context, questions


def _read(kind: Kind, spec: SweepSpec, of_task: TaskCases | None) -> tuple[str, CaseFile]:
    """Where the questions of a kind are from, and all of them. Raises InputError where none is asked."""
    if kind == "controls":
        source, file = ", ".join(spec.controls), several_files(spec.controls)
    elif kind == "refusals":
        sources = spec.refusals or ("built-in",)
        source, file = ", ".join(sources), refusal_cases(sources)
    elif of_task:
        source, file = of_task.source, CaseFile(of_task.cases, 0, of_task.source)
    else:
        source, file = spec.questions, question_file(spec.questions)
    if not file.cases[: spec.limit]:
        raise InputError(
            f"{kind.replace('_', '-')} questions: none; give 'built-in', files or a folder with "
            f"{_OPTIONS[kind]}"
        )
    return source, file


def named_twice(spec: SweepSpec) -> list[str]:
    """What to say where a name is given more than once: it is measured once."""
    return [
        f"{option} {name}: named {count} times, measured once"
        for option, names in (
            ("--candidate", spec.candidates),
            ("--prompt", spec.prompts),
            ("evaluation", spec.evaluations),
        )
        for name, count in Counter(names).items()
        if count > 1
    ]


def _all_cases(questions: dict[str, Asked]) -> list[Case]:
    return [case for each in questions.values() for case in each.cases]


def _measure(result: SweepResult, context: EvalContext, name: str, respondent: Respondent) -> None:
    """One candidate, one evaluation, one prompt: its rows and its line."""
    evaluation, prompt, seed = EVALUATIONS[name], respondent.prompt_name, result.spec.seed
    rows = evaluation.measure(context, respondent)
    result.rows += [(prompt, row) for row in rows]
    if evaluation.estimate:
        figures = evaluation.estimate(context, rows, seed)
    else:
        figures = row_means(rows, evaluation.crossed, seed)
    if evaluation.from_rows:
        figures |= evaluation.from_rows(rows, seed)
    result.lines.append(Line(respondent.name, name, prompt, figures))
    cases = result.asked[name].cases
    result.contexts[respondent.name, name, prompt] = respondent.contexts(cases)
    if context.judges and "judges" in evaluation.needs:
        result.open_ended.note_means(rows, prompt)
