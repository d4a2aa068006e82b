"""The application: the routes, what they share, and what mistakes look like."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from truing.people.addresses import HOSTS
from truing.people.web.app import LOOK, static_files
from truing.people.web.security import Guard
from truing.serve import api, completions, page
from truing.serve.access import Gate
from truing.serve.arena import Arena
from truing.serve.replies import Refusal, problem_response
from truing.serve.service import Service

_LOG = logging.getLogger(__name__)
_STATIC = LOOK | {
    "chat.css": ("truing.serve", "static/chat.css", "text/css"),
    "thumb.svg": ("truing.serve", "static/thumb.svg", "image/svg+xml"),
    "chat.js": ("truing.serve", "static/chat.js", "text/javascript"),
}


def make_app(
    served: Service | Arena, token: str, *, port: int = 0, hosts: tuple[str, ...] = HOSTS
) -> FastAPI:
    """The server of one candidate or two. The port only names the cookie: one host, many servers."""
    app = FastAPI(title="Truing pilot", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.arena = served if isinstance(served, Arena) else None
    app.state.services = served.services if isinstance(served, Arena) else (served,)
    app.state.service = app.state.services[0]
    app.state.gate = Gate(token, cookie=f"truing-serve-{port}")
    app.include_router(api.router)
    app.include_router(completions.router)
    app.include_router(page.router)
    app.add_api_route(
        "/static/{name}", static_files(_STATIC), methods=["GET"], include_in_schema=False
    )
    app.add_middleware(Guard, hosts=hosts, refuse=problem_response)
    for kind in (Refusal, RequestValidationError, HTTPException, SQLAlchemyError):
        app.add_exception_handler(kind, _problem)
    return app


def _problem(request: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        if request.url.path == "/" and "text/html" in request.headers.get("accept", ""):
            return page.html("problem", error.status, number=error.status, problem=error.message)
        return problem_response(error.message, error.status, param=error.param, code=error.code)
    if isinstance(error, HTTPException):
        words = {404: "There is nothing at this address.", 405: "Not with this method."}
        return problem_response(words.get(error.status_code, str(error.detail)), error.status_code)
    if isinstance(error, SQLAlchemyError):
        # What the driver says may quote what was typed; its kind is enough for a log.
        _LOG.error("the store can't be used: %s", type(error).__name__)
        return problem_response("The store can't be reached just now, so this isn't saved.", 503)
    return problem_response("That address isn't one of this server.", 400)
