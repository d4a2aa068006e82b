"""What `truing label` gives people to do: a run's answers to judge, what they did, a survey's questions.

As in main.py: the options and what they mean, with imports inside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.terminal import say
from truing.types import InputError

if TYPE_CHECKING:
    from truing.people.store import Store

RunFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN", help="a finished run whose answers people are to judge, with --ask"
    ),
]
Ask = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND",
        help="with --run: comparison, rating, ranking or demonstration; may be given several times. Or "
        "outcome, alone: what answers of the evaluation refusals did, by which its judge is corrected",
    ),
]
Between = Annotated[
    tuple[str, str] | None,
    typer.Option(metavar="A B", help="with --run: two of its candidates; without it, all of them"),
]
SurveyFile = Annotated[
    Path | None,
    typer.Option(
        "--survey",
        metavar="FILE",
        help="questions that people are to give their own opinion on, in any form of survey; who says "
        "on the page which groups they belong to counts there",
    ),
]
QuestionFile = Annotated[
    Path | None,
    typer.Option(
        "--questions",
        metavar="FILE",
        help="a YAML file of questions with grades, asked about every answer of the store, or with --run "
        "of a run",
    ),
]
Wanted = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="how many people do each task: with --run or --questions, 1 without it; with --survey, "
        "to be given",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="with --run: at most so many questions, drawn"),
]
Candidates = Annotated[
    list[str] | None,
    typer.Option(
        "--candidate",
        metavar="NAME",
        help="with --ask outcome: whose answers; without it, everybody's; several may follow",
    ),
]
Count = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="with --ask outcome: so many answers of each candidate, or 50"
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        metavar="N", help="with --run, --questions or --survey: draws questions, order, sides"
    ),
]


def _outcomes(
    run: Path | None,
    ask: list[str],
    names: list[str] | None,
    count: int | None,
    wanted: int | None,
    seed: int,
) -> Callable[[Store], object]:
    """As `_judgements`, for labels of outcomes."""
    from truing.people.exchange.outcomes_of_run import COUNT, OutcomeRequest, outcomes_to_label

    if run is None or len(ask) > 1:
        raise InputError("--ask outcome: belongs to --run, and is asked alone")
    request = OutcomeRequest(run, tuple(names or ()), count or COUNT, wanted or 1, seed)
    asked = outcomes_to_label(request)

    def fill(store: Store) -> None:
        tasks = asked.ask(store)
        whose = len({key.candidate for key in asked.drawn})
        say(f"Asked: what {tasks} answers did, of {whose} candidates; the labels are in {store}")

    return fill


def opinions(file: Path, wanted: int | None, seed: int) -> Callable[[Store], object]:
    """What puts a survey's questions into the store. Raises InputError."""
    from truing.data.survey import read_survey
    from truing.people.opinions import ask_survey, check_wanted

    survey, places = read_survey(file), check_wanted(wanted)

    def fill(store: Store) -> None:
        asked = ask_survey(store, survey, places, seed)
        say(f"Asked: {asked} questions of {file}, of {places} people each")
        for place, reason in survey.unscored:
            say(f"Left out: {place}: {reason}")

    return fill


def questions(
    file: Path,
    run: Path | None,
    between: tuple[str, str] | None,
    wanted: int | None,
    limit: int | None,
    seed: int,
) -> Callable[[Store], object]:
    """What puts the questions of a file about answers into the store. Raises InputError."""
    from truing.people.exchange.of_run import RunRequest, questions_of_run
    from truing.people.questions.asking import answers_in_store, ask_questions
    from truing.people.questions.sets import read_question_set

    asked = read_question_set(file)
    if run is None and (between or limit):
        raise InputError("--between, --limit: belong to --run")
    request = RunRequest(run, ("rating",), between, wanted or 1, limit, seed) if run else None
    of_run = questions_of_run(request) if request else None

    def fill(store: Store) -> None:
        with store.writing() as session:
            about = of_run.put(session, Counter()) if of_run else answers_in_store(session)
            try:
                tasks = ask_questions(session, asked, about, wanted=wanted or 1, seed=seed)
            except InputError as error:
                raise InputError(f"{file}: {error}") from None
        left_out = of_run.left_out() if of_run else ""
        more = f"; {left_out}" if left_out else ""
        say(f"Asked: {len(asked.questions)} questions about each of {tasks} answers{more}")

    return fill


def _judgements(
    run: Path | None,
    ask: list[str] | None,
    between: tuple[str, str] | None,
    wanted: int | None,
    limit: int | None,
    seed: int,
) -> Callable[[Store], object] | None:
    """What puts a run's answers into the store, if that is asked for. Raises InputError."""
    if run is None:
        if ask or between or limit or wanted or seed:
            raise InputError("--ask, --between, --wanted, --limit, --seed: belong to --run")
        return None
    from truing.people.exchange.of_run import RunRequest, questions_of_run

    request = RunRequest(run, tuple(ask or ()), between, wanted or 1, limit, seed)
    asked = questions_of_run(request)  # before a store is made: the run may be unusable

    def fill(store: Store) -> None:
        tasks, left_out = asked.ask(store), asked.left_out()
        more = f"; {left_out}" if left_out else ""
        say(f"Asked: {tasks} tasks about {len(asked.questions)} questions{more}")

    return fill


def about_run(
    run: Path | None,
    ask: list[str],
    between: tuple[str, str] | None,
    wanted: int | None,
    limit: int | None,
    names: list[str] | None,
    count: int | None,
    seed: int,
) -> Callable[[Store], object] | None:
    """What puts a run's answers into the store, as tasks or as outcomes. Raises InputError."""
    if "outcome" not in ask:
        if names or count:
            raise InputError("--candidate, --count: belong to --ask outcome")
        return _judgements(run, ask, between, wanted, limit, seed)
    if between or limit:
        raise InputError("--between, --limit: don't go with --ask outcome; give --count")
    return _outcomes(run, ask, names, count, wanted, seed)


def asked(
    survey: Path | None,
    own_questions: Path | None,
    run: Path | None,
    ask: list[str],
    between: tuple[str, str] | None,
    wanted: int | None,
    limit: int | None,
    names: list[str] | None,
    count: int | None,
    seed: int,
) -> Callable[[Store], object] | None:
    """What puts that which is asked for into the store: a survey, questions, or about a run.

    Raises InputError for options that don't go together.
    """
    if survey:
        if run or ask or between or limit or names or count or own_questions:
            raise InputError("--survey: goes with --wanted and --seed alone")
        return opinions(survey, wanted, seed)
    if own_questions:
        if ask or names or count:
            raise InputError("--questions: goes with --run, --between, --limit, --wanted, --seed")
        return questions(own_questions, run, between, wanted, limit, seed)
    return about_run(run, ask, between, wanted, limit, names, count, seed)
