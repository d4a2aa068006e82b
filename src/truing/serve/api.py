"""The routes that programs use: chat completions, models, health."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from truing.serve.access import KeyHolder
from truing.serve.answering import ask
from truing.serve.forms import ChatForm, Form, described
from truing.serve.replies import Head, Refusal, choice, usage
from truing.serve.service import Service, named_service, services
from truing.serve.streams import Streaming, finished, told

router = APIRouter()
AForm = TypeVar("AForm", bound=Form)


def body_schema(form: type[Form]) -> dict[str, Any]:
    """What OpenAPI says of a body of this form."""
    schema = form.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, part in schema.pop("$defs", {}).items():
        schema = json.loads(
            json.dumps(schema).replace(
                json.dumps({"$ref": f"#/components/schemas/{name}"}), json.dumps(part)
            )
        )
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def read_form(request: Request, form: type[AForm]) -> AForm:
    """The request's body as a form. Raises Refusal that names the field."""
    body = await request.body()
    every = services(request)
    context = {"model": every[0].name} if len(every) > 1 else None
    try:
        return form.model_validate_json(body, context=context)
    except ValidationError as error:
        name, sentence = described(error, form)
        raise Refusal(400, sentence, param=name) from None


@router.get("/health")
def health(request: Request) -> dict[str, Any]:
    """Whether the server is up, and how much it has to do."""
    loads = [each.engine.load for each in services(request)]
    writing, waiting = (sum(counts) for counts in zip(*loads, strict=True))
    return {"status": "ok", "writing": writing, "waiting": waiting}


def _model(here: Service) -> dict[str, Any]:
    return {"id": here.name, "object": "model", "created": here.started, "owned_by": "truing"}


@router.get("/v1/models")
def models(request: Request, _: KeyHolder) -> dict[str, Any]:
    """The candidate that is served, or both."""
    return {"object": "list", "data": [_model(each) for each in services(request)]}


@router.get("/v1/models/{name:path}")
def model(request: Request, name: str, _: KeyHolder) -> dict[str, Any]:
    """A candidate, by its name."""
    return _model(named_service(request, name))


def new_head(name: str) -> Head:
    """Name and time of a new answer of a model."""
    return Head(f"chatcmpl-{secrets.token_hex(12)}", int(time.time()), name)


@router.post("/v1/chat/completions", openapi_extra=body_schema(ChatForm))
async def chat_completions(request: Request, _: KeyHolder) -> Response:
    """Answers to a conversation, at once or as they are written."""
    form = await read_form(request, ChatForm)
    here = named_service(request, form.model)
    answers, prompt = await ask(here, form)
    head = new_head(here.name)
    if form.stream:
        return Streaming(answers, told(here, form, answers, prompt, head))
    with answers:
        await finished(request, answers)
        choices = [choice(i, each.text, each.finish) for i, each in enumerate(answers.given)]
        used = usage(prompt, answers.written, answers.known)
    await here.keep(form, answers.texts)
    return JSONResponse(head.whole(choices, used))
