"""The chat page: a conversation for people, thumbs, a comparison of two answers, consent."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from importlib.resources import files
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import DictLoader, Environment, StrictUndefined
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from truing.people.pilot import Kept, compare, rate
from truing.people.store import Store
from truing.people.web.markdown import rendered
from truing.people.web.security import COOKIE_SECONDS, csrf_token, matches
from truing.serve.access import Gate, client_of
from truing.serve.answering import ask
from truing.serve.api import body_schema, new_head, read_form
from truing.serve.arena import HIDDEN, Arena
from truing.serve.forms import ChatForm, Conversation, Form
from truing.serve.replies import Refusal
from truing.serve.service import service
from truing.serve.streams import Streaming, told
from truing.types import InputError

router = APIRouter()
TEMPERATURE = 0.8
"""Of the page's answers: two draws of one candidate differ, and still make sense."""
Receipts = Callable[[Kept | None], dict[str, Any]]
_User = Annotated[str, Field(pattern=r"^page-[a-f]{16}$")]
_Receipt = Annotated[str, Field(max_length=200)]
_Submission = Annotated[str, Field(pattern=r"^[a-f0-9]{16,64}$")]


class QuestionForm(Form):
    """The body of POST /page/answers."""

    user: _User
    messages: Conversation
    compare: bool
    consent: bool


class ThumbForm(Form):
    """The body of POST /page/thumbs."""

    user: _User
    answer: _Receipt
    thumb: Literal["up", "down"]
    submission: _Submission


class PickForm(Form):
    """The body of POST /page/picks: first and second as they were shown."""

    user: _User
    first: _Receipt
    second: _Receipt
    preferred: Literal["first", "second", "tie"]
    submission: _Submission


class MarkdownForm(Form):
    """The body of POST /page/markdown."""

    texts: Annotated[list[str], Field(max_length=2)]


def _environment() -> Environment:
    folder = files("truing.serve").joinpath("templates")
    texts = {each.name: each.read_text(encoding="utf-8") for each in folder.iterdir()}
    return Environment(loader=DictLoader(texts), autoescape=True, undefined=StrictUndefined)


_ENVIRONMENT = _environment()


def html(template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A page in the pilot's frame."""
    body = _ENVIRONMENT.get_template(f"{template}.html.j2").render(**context)
    return HTMLResponse(body.encode("utf-8", "replace"), status)


def _gate(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate


def visit_token(token: str) -> str:
    """What a visitor's cookie says. Not the key: browsers send it to every port of this machine."""
    return hmac.new(token.encode(), b"truing visit", hashlib.sha256).hexdigest()


def visitor(request: Request) -> None:
    """Somebody who opened the link before. Raises Refusal."""
    gate = _gate(request)
    given = request.cookies.get(gate.cookie)
    if given is None:
        raise Refusal(401, "Open the link that 'truing serve' printed.")
    key = gate.token if _is_visit(gate, given) else ""
    gate.check(key, client_of(request), "The link isn't valid any more. Ask for a new one.")


def _is_visit(gate: Gate, given: str) -> bool:
    return matches(visit_token(gate.token), given)


def _arena(request: Request) -> Arena | None:
    arena: Arena | None = request.app.state.arena
    return arena


def from_our_page(request: Request, _: Annotated[None, Depends(visitor)]) -> None:
    """A visitor whose request carries the page's secret. Raises Refusal."""
    expected = csrf_token(_gate(request).token)
    if not matches(expected, request.headers.get("x-csrf", "")):
        raise Refusal(403, "The page is too old. Reload it, then try again.")


OurPage = Annotated[None, Depends(from_our_page)]


@router.get("/")
def chat(request: Request, token: str | None = None) -> Response:
    """The page; with the link's token only a cookie and a page that moves on."""
    gate, arena = _gate(request), _arena(request)
    if token is None:
        visitor(request)
        here = service(request)
        return html(
            "arena" if arena else "chat",
            model="" if arena else here.name,
            csrf=csrf_token(gate.token),
            keeps=here.store is not None,
        )
    if arena and _is_visit(gate, token):  # the link to it holds no key, which would give the names
        token = gate.token
    gate.check(token, client_of(request), "The link isn't valid any more. Ask for a new one.")
    # Not a redirect: browsers follow one from another site's link without a SameSite=Strict cookie.
    response = html("signed_in")
    response.set_cookie(
        gate.cookie,
        visit_token(gate.token),
        max_age=COOKIE_SECONDS,
        httponly=True,
        samesite="strict",
    )
    return response


def _signature(gate: Gate, user: str, completion: int) -> str:
    claim = f"truing answer {user} {completion}".encode()
    return hmac.new(gate.token.encode(), claim, hashlib.sha256).hexdigest()


def _receipts(gate: Gate, user: str) -> Receipts:
    """What the page is told of kept answers: names that only this user can judge them by."""

    def receipts(kept: Kept | None) -> dict[str, Any]:
        completions = kept.completions if kept else ()
        return {"kept": [c and f"{c}.{_signature(gate, user, c)}" for c in completions]}

    return receipts


def _completion(gate: Gate, user: str, receipt: str) -> int:
    number, _, signature = receipt.partition(".")
    known = number.isascii() and number.isdigit() and len(number) < 10
    if not known or not matches(_signature(gate, user, int(number)), signature):
        raise Refusal(404, "There is no such answer of yours.")
    return int(number)


@router.post("/page/answers", openapi_extra=body_schema(QuestionForm))
async def answers(request: Request, _: OurPage) -> Response:
    """One answer or two, as they are written, and at the end receipts of what was kept."""
    question = await read_form(request, QuestionForm)
    after = _receipts(_gate(request), question.user)
    if arena := _arena(request):
        return await _two_candidates(arena, question, after)
    here = service(request)
    form = _chat_form(question, here.name, 2 if question.compare else 1)
    written, prompt = await ask(here, form)
    return Streaming(written, told(here, form, written, prompt, new_head(here.name), after))


def _chat_form(question: QuestionForm, model: str, count: int) -> ChatForm:
    return ChatForm.model_validate(
        {
            "model": model,
            "messages": [message.plain() for message in question.messages],
            "temperature": TEMPERATURE,
            "n": count,
            "user": question.user,
            "metadata": {"consent": "yes" if question.consent else "no"},
        }
    )


async def _two_candidates(arena: Arena, question: QuestionForm, after: Receipts) -> Response:
    if not question.compare:
        raise Refusal(400, "compare: there are always two answers here; give true", param="compare")
    form = _chat_form(question, HIDDEN, 1)
    sides = arena.sides(form)
    both = await sides.ask(form)
    return Streaming(both, told(sides, form, both, 0, new_head(HIDDEN), after))


@router.post("/page/markdown", openapi_extra=body_schema(MarkdownForm))
async def markdown(request: Request, _: OurPage) -> dict[str, list[str | None]]:
    """HTML of finished answers that is safe to stand in the page; null where the text says it all."""
    form = await read_form(request, MarkdownForm)
    return {"html": [await run_in_threadpool(rendered, text) for text in form.texts]}


def _store(request: Request) -> Store:
    store = service(request).store
    if store is None:
        raise Refusal(404, "Nothing is kept here, so nothing can be judged.")
    return store


async def _judged(work: Callable[[], None]) -> Response:
    try:
        await run_in_threadpool(work)
    except InputError as error:
        raise Refusal(404, str(error)) from None
    return Response(status_code=204)


@router.post("/page/thumbs", status_code=204, openapi_extra=body_schema(ThumbForm))
async def thumbs(request: Request, _: OurPage) -> Response:
    """Keep a thumb; a later one on the same answer supersedes it."""
    form, store = await read_form(request, ThumbForm), _store(request)
    number = _completion(_gate(request), form.user, form.answer)
    return await _judged(lambda: rate(store, number, form.thumb, form.user, form.submission))


@router.post("/page/picks", status_code=204, openapi_extra=body_schema(PickForm))
async def picks(request: Request, _: OurPage) -> Response:
    """Keep which of two answers is better; a later one on the same two supersedes it."""
    form, store = await read_form(request, PickForm), _store(request)
    first, second = (
        _completion(_gate(request), form.user, receipt) for receipt in (form.first, form.second)
    )
    return await _judged(
        lambda: compare(store, first, second, form.preferred, form.user, form.submission)
    )
