"""The application: routes of `work.py` and `lead.py`, static files, and what mistakes look like."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException as StarletteHTTPException

from truing.people.addresses import HOSTS, Address
from truing.people.judging import AlreadyJudged, NotYours
from truing.people.store import Store
from truing.people.web import bringing, lead, people, plan, work
from truing.people.web.security import COOKIE_SECONDS, Guard
from truing.people.web.visitors import Refused, SignedIn, Site, page, site, wants_json
from truing.types import InputError

_LOG = logging.getLogger(__name__)
LOOK = {
    # Not as a file of truing.report: that would load the package, and with it what models need.
    "report.css": ("truing", "report/style.css", "text/css"),
    "label.css": ("truing.people.web", "static/label.css", "text/css"),
    "icon.svg": ("truing.people.web", "static/icon.svg", "image/svg+xml"),
}
"""What all our pages look like."""
_SCRIPTS = ("label.js", "people.js", "study.js")
_STATIC = LOOK | {
    name: ("truing.people.web", f"static/{name}", "text/javascript") for name in _SCRIPTS
}


def make_app(store: Store, *, address: Address | None = None) -> FastAPI:
    """The labelling page over a store.

    The address says what the page goes by, and what sign-in links begin with; without one, this
    machine's own names.
    """
    here = Site(store, cookie_name(address), address)
    return assembled(here, (work.router, lead.router, people.router, plan.router, bringing.router))


def cookie_name(address: Address | None) -> str:
    """Its port is in the cookie's name: one host, many servers."""
    return f"truing-label-{address.port if address else 0}"


def assembled(here: Site, routers: Iterable[APIRouter]) -> FastAPI:
    """An application of these routes, with what all our pages share: files, guard, mistakes."""
    app, address = (
        FastAPI(title="Truing labels", openapi_url=None, docs_url=None, redoc_url=None),
        here.address,
    )
    app.state.site = here
    for router in routers:
        app.include_router(router)
    app.add_api_route(
        "/static/{name}", static_files(_STATIC), methods=["GET"], include_in_schema=False
    )
    app.add_api_route("/health", _health, methods=["GET"])
    hosts = address.hosts if address else HOSTS
    app.add_middleware(Guard, hosts=hosts, public=address.public if address else None)
    app.add_exception_handler(SignedIn, _signed_in)
    for kind in (
        Refused, InputError, NotYours, AlreadyJudged, RequestValidationError, StarletteHTTPException,
        OperationalError, InterfaceError, PoolTimeout, DBAPIError,
    ):  # fmt: skip
        app.add_exception_handler(kind, _problem)
    return app


def static_files(sources: Mapping[str, tuple[str, str, str]]) -> Callable[[str], Response]:
    """A route to files of our packages, read once: by name their package, path and media type."""
    found = {
        name: (files(package).joinpath(path).read_bytes(), media_type)
        for name, (package, path, media_type) in sources.items()
    }

    def static_file(name: str) -> Response:
        if name not in found:
            raise HTTPException(404)
        content, media_type = found[name]
        return Response(content, media_type=media_type, headers={"Cache-Control": "max-age=300"})

    return static_file


def _health() -> dict[str, str]:
    return {"status": "ok"}


def _signed_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignedIn)
    # Not a redirect: after a click on another site's link, browsers follow redirects without a
    # SameSite=Strict cookie. A page of ours that moves on by itself begins a visit of our own.
    response = page("signed_in", None, path=error.path)
    here = site(request)
    response.set_cookie(
        here.cookie,
        error.sign_in,
        max_age=COOKIE_SECONDS,
        secure=here.is_secure(request.headers.get("host", "")),
        httponly=True,
        samesite="strict",
    )
    return response


def _described(error: Exception) -> tuple[int, str]:
    """Status and sentence of a mistake."""
    if isinstance(error, Refused):
        return error.status, error.problem
    if isinstance(error, NotYours):
        return 404, "There is nothing here for you."
    if isinstance(error, AlreadyJudged):
        return 409, "This was saved before. To change it, undo it first."
    if isinstance(error, InputError):
        return 422, f"{str(error)[:1].upper()}{str(error)[1:]}."
    if isinstance(error, RequestValidationError):
        return 422, "That address or form isn't one of this page."
    if isinstance(error, StarletteHTTPException):
        return error.status_code, "There is nothing here." if error.status_code == 404 else str(
            error.detail
        )
    # What the driver says may quote what was typed; its kind is enough for a log.
    cause = getattr(error, "orig", None) or error
    _LOG.error("the store can't be used: %s", type(cause).__name__)
    return (
        503,
        "The store can't be reached just now, so this isn't saved. What you typed is still here.",
    )


def _problem(request: Request, error: Exception) -> Response:
    status, problem = _described(error)
    headers = dict(getattr(error, "headers", None) or {})
    if status in (429, 503):
        headers["Retry-After"] = "5"
    if wants_json(request):
        return JSONResponse({"problem": problem}, status, headers=headers)
    fields: dict[str, str] = getattr(request.state, "fields", {})
    typed = {name: fields[name] for name in ("text", "note") if fields.get(name)}
    response = page("problem", None, status, problem=problem, status=status, typed=typed)
    response.headers.update(headers)
    return response
