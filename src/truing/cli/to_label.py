"""What `truing label` gives people to do: a run's answers to judge, what they did, a survey's questions.

As in main.py: the options and what they mean, with imports inside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.terminal import say
from truing.types import InputError

if TYPE_CHECKING:
    from truing.people.exchange.of_run import RunQuestions
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


Fill = Callable[["Store"], object]
"""Puts what is asked into a store."""


@dataclass(frozen=True)
class LabelRequest:
    """What the options say is to be asked, and about what."""

    run: Path | None
    ask: tuple[str, ...]
    between: tuple[str, str] | None
    survey: Path | None
    questions: Path | None
    wanted: int | None
    limit: int | None
    candidates: tuple[str, ...]
    count: int | None
    seed: int

    @property
    def asks_outcomes(self) -> bool:
        """Whether people are to say what answers did."""
        return "outcome" in self.ask

    def fill(self) -> Fill | None:
        """What asks it; None where nothing is asked. Raises InputError for options that don't go together,
        and for what can't be asked: before a store is made."""
        if self.survey:
            if any(
                (self.run, self.ask, self.between, self.limit, *self.of_outcomes, self.questions)
            ):
                raise InputError("--survey: goes with --wanted and --seed alone")
            return _opinions(self.survey, self.wanted, self.seed)
        if self.questions:
            if any((self.ask, *self.of_outcomes)):
                raise InputError(
                    "--questions: goes with --run, --between, --limit, --wanted, --seed"
                )
            return _questions(self.questions, self)
        return _outcomes(self) if self.asks_outcomes else _judgements(self)

    @property
    def of_outcomes(self) -> tuple[object, ...]:
        """What only belongs to outcomes."""
        return self.candidates, self.count


def _outcomes(request: LabelRequest) -> Fill:
    from truing.people.exchange.outcomes_of_run import COUNT, OutcomeRequest, outcomes_to_label

    if request.between or request.limit:
        raise InputError("--between, --limit: don't go with --ask outcome; give --count")
    if request.run is None or len(request.ask) > 1:
        raise InputError("--ask outcome: belongs to --run, and is asked alone")
    count, wanted = request.count or COUNT, request.wanted or 1
    asked = outcomes_to_label(
        OutcomeRequest(request.run, request.candidates, count, wanted, request.seed)
    )

    def fill(store: Store) -> None:
        tasks = asked.ask(store)
        whose = len({key.candidate for key in asked.drawn})
        say(f"Asked: what {tasks} answers did, of {whose} candidates; the labels are in {store}")

    return fill


def _opinions(file: Path, wanted: int | None, seed: int) -> Fill:
    from truing.data.survey import read_survey
    from truing.people.opinions import ask_survey, check_wanted

    survey, places = read_survey(file), check_wanted(wanted)

    def fill(store: Store) -> None:
        asked = ask_survey(store, survey, places, seed)
        say(f"Asked: {asked} questions of {file}, of {places} people each")
        for place, reason in survey.unscored:
            say(f"Left out: {place}: {reason}")

    return fill


def _questions(file: Path, request: LabelRequest) -> Fill:
    from truing.people.questions.asking import answers_in_store, ask_questions
    from truing.people.questions.sets import read_question_set

    asked = read_question_set(file)
    if request.run is None and (request.between or request.limit):
        raise InputError("--between, --limit: belong to --run")
    # Rated is each answer by itself, as it is asked about here.
    of_run = _run_questions(request.run, ("rating",), request) if request.run else None

    def fill(store: Store) -> None:
        with store.writing() as session:
            about = of_run.put(session, Counter()) if of_run else answers_in_store(session)
            try:
                tasks = ask_questions(
                    session, asked, about, wanted=request.wanted or 1, seed=request.seed
                )
            except InputError as error:
                raise InputError(f"{file}: {error}") from None
        say(f"Asked: {len(asked.questions)} questions about each of {tasks} answers{_more(of_run)}")

    return fill


def _judgements(request: LabelRequest) -> Fill | None:
    if any(request.of_outcomes):
        raise InputError("--candidate, --count: belong to --ask outcome")
    if request.run is None:
        if request.ask or request.between or request.limit or request.wanted or request.seed:
            raise InputError("--ask, --between, --wanted, --limit, --seed: belong to --run")
        return None
    asked = _run_questions(request.run, request.ask, request)

    def fill(store: Store) -> None:
        tasks = asked.ask(store)
        say(f"Asked: {tasks} tasks about {len(asked.questions)} questions{_more(asked)}")

    return fill


def _run_questions(run: Path, ask: tuple[str, ...], request: LabelRequest) -> RunQuestions:
    from truing.people.exchange.of_run import RunRequest, questions_of_run

    wanted = request.wanted or 1
    return questions_of_run(
        RunRequest(run, ask, request.between, wanted, request.limit, request.seed)
    )


def _more(asked: RunQuestions | None) -> str:
    """What of a run isn't asked."""
    left_out = asked.left_out() if asked else ""
    return f"; {left_out}" if left_out else ""
