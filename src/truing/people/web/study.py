"""The page of a study of oversight: participants' trials one after the other, and the lead's progress.

No page knows a right answer. A passage is on the page of a trial of the arm `passage` alone, and advice
on a trial's page, both once its first answer is in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from truing.data.oversight.plans import ABOUT, LETTERS, Speech
from truing.people.addresses import Address
from truing.people.store import Store
from truing.people.study.collecting import people_progress, score_of, write_answers
from truing.people.study.taking import (
    OutOfOrder,
    StudyFull,
    answer,
    ask,
    checked_answer,
    place_of,
    show_next,
    take_place,
)
from truing.people.study.trials import Standing, Step, Study, standing
from truing.people.web import people
from truing.people.web.app import assembled, cookie_name
from truing.people.web.security import Person
from truing.people.web.visitors import (
    Fields,
    Lead,
    Poster,
    Refused,
    Site,
    Visitor,
    form_schema,
    page,
    see_other,
    site,
    whole_number,
)
from truing.types import InputError

router = APIRouter()
FULL = "All places of this study are taken. Thank you for coming."


def make_study_app(store: Store, study: Study, *, address: Address | None = None) -> FastAPI:
    """The page of a study, over the store that has its participants and their steps."""
    here = Site(store, cookie_name(address), address, links=(("/", "Study"),))
    app = assembled(here, (router, people.router))
    app.state.study = study
    return app


def _study(request: Request) -> Study:
    study: Study = request.app.state.study
    return study


def _where(request: Request, person: Person) -> Standing:
    """Where a participant stands, who takes a place at the first visit. Raises Refused."""
    if person.is_lead:
        raise Refused(
            403, "The lead has no trials. Add a person, and open their link to take part."
        )
    here, study = site(request), _study(request)
    with here.store.reading() as session:  # most often there is a place, and no writer need wait
        place = place_of(session, study, person.id)
        if place is not None:
            return standing(session, study, place)
    try:
        place = take_place(here.store, study, person.id)
    except StudyFull:
        raise Refused(403, FULL) from None
    return Standing(place, 0, study.trials[place.slot], None)


@router.get("/")
def home(request: Request, person: Visitor) -> Response:
    """What the study is about, how far one is, and at the end the score."""
    if person.is_lead:
        return see_other("/lead")
    study, where = _study(request), _where(request, person)
    score = None
    if where.is_finished:
        with site(request).store.reading() as session:
            score = score_of(session, study, where.person)
    return page("study", person, plan=study.plan, where=where, score=score)


@router.post("/next", openapi_extra=form_schema())
def next_trial(request: Request, person: Poster) -> Response:
    """Show the next question. Its clock runs from now on."""
    show_next(site(request).store, _study(request), person.id)
    return see_other("/trial")


@router.get("/trial")
def trial(request: Request, person: Visitor) -> Response:
    """The question that is under way; where none is, the start, which says why."""
    study, where = _study(request), _where(request, person)
    state = where.open
    if state is None:
        return see_other("/")
    advised = state.before is not None
    return page(
        "study_trial",
        person,
        where=where,
        state=state,
        trial=state.trial,
        options=list(zip(LETTERS, state.trial.options, strict=True)),
        passage=study.passage(state.trial) if advised else "",
        speeches=[(each, list(marked(each))) for each in state.trial.speeches] if advised else [],
        turns=[(turn.question, list(marked(turn.reply))) for turn in state.turns],
        asks=bool(study.replying) and advised and len(state.turns) < state.trial.questions,
    )


def marked(speech: Speech) -> Iterator[tuple[str, bool | None]]:
    """A speech in pieces: text, and whether it is a quotation that stands in the passage; None for no
    quotation."""
    rest = speech.text
    for quote in speech.quotes:
        before, found, after = rest.partition(quote.text)
        if found:
            yield before, None
            yield found, quote.verified
            rest = after
    yield rest, None


@router.post(
    "/trials/{trial_id}/answer", openapi_extra=form_schema("step", "letter", "confidence", "then")
)
def answer_trial(request: Request, trial_id: str, person: Poster, fields: Fields) -> Response:
    """Keep an answer; then the advice, the next question, or a pause. What comes late isn't kept."""
    here, study = site(request), _study(request)
    step = _step(fields.get("step", ""))
    given = checked_answer(fields.get("letter", ""), fields.get("confidence", ""))
    try:
        where = answer(
            here.store,
            study,
            person.id,
            trial_id,
            step,
            given,
            go_on=fields.get("then") != "pause",
        )
    except OutOfOrder as error:
        raise Refused(409, str(error)) from None
    if where.is_finished:
        write_answers(here.store, study)
    current = where.current
    late = current is not None and current.timed_out
    return see_other("/" if late or where.is_finished else "/trial")


def _step(text: str) -> Step:
    for step in get_args(Step):
        if text == step:
            known: Step = step
            return known
    raise InputError("step: must be before or after")


@router.post("/trials/{trial_id}/question", openapi_extra=form_schema("number", "text"))
def ask_question(request: Request, trial_id: str, person: Poster, fields: Fields) -> Response:
    """Ask the adviser. The clock stands still until the reply is there."""
    number = whole_number(fields, "number") or 0
    try:
        ask(
            site(request).store,
            _study(request),
            person.id,
            trial_id,
            number,
            fields.get("text", ""),
        )
    except OutOfOrder as error:
        raise Refused(409, str(error)) from None
    return see_other("/trial")


@router.get("/lead")
def lead(request: Request, person: Lead) -> Response:
    """How far everybody is, by arm. What they answered is for the report, when all is over."""
    study = _study(request)
    with site(request).store.reading() as session:
        progress = people_progress(session, study)
    arms = list(dict.fromkeys(trial.arm for trial in study.plan.trials))
    return page("study_lead", person, plan=study.plan, people=progress, arms=arms, about=ABOUT)
