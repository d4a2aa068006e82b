"""Who is asking, what they send, and how they are answered: what all routes share."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import DictLoader, Environment, StrictUndefined
from starlette.datastructures import UploadFile

from truing.people.addresses import Address
from truing.people.annotators import by_token
from truing.people.observations import Record
from truing.people.sign_ins import sign_in, signed_in
from truing.people.store import Store
from truing.people.vocabulary import (
    FLAG_VALUES,
    FLAGS,
    KIND_NAMES,
    METADATA,
    OUTCOMES,
    SKIP_REASONS,
    USE_CASES,
)
from truing.people.web.markdown import rendered
from truing.people.web.security import (
    BURST,
    FAILURES_BURST,
    FAILURES_PER_SECOND,
    MAX_BODY,
    REQUESTS_PER_SECOND,
    Person,
    RateLimit,
    csrf_token,
    matches,
)
from truing.types import Estimate, InputError

MAX_FIELDS = 60
Links = tuple[tuple[str, str], ...]
"""What the frame of a page links to: addresses, and what they are called."""
LABELLING: Links = (("/work", "Work"), ("/guidelines", "Guidelines"))
LEADING: Links = (("/lead", "Lead"), ("/lead/plan", "Plan"), ("/lead/people", "People"))


class Refused(Exception):
    """An answer other than the page that was asked for: a status and a sentence."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status, self.problem = status, problem


class SignedIn(Exception):
    """The link's token is right: set the cookie and go on without the token in the address."""

    def __init__(self, sign_in: str, path: str) -> None:
        super().__init__("signed in")
        self.sign_in, self.path = sign_in, path


@dataclass
class Site:
    """What the server knows: the store, its cookie's name, its rates."""

    store: Store
    cookie: str
    address: Address | None = None
    """How others reach it; None where links are to say what the lead's browser says."""
    requests: RateLimit = field(default_factory=lambda: RateLimit(REQUESTS_PER_SECOND, BURST))
    failures: RateLimit = field(
        default_factory=lambda: RateLimit(FAILURES_PER_SECOND, FAILURES_BURST)
    )
    cache: dict[str, Any] = field(default_factory=dict)
    record: Record = field(default_factory=Record)
    recording: threading.Lock = field(default_factory=threading.Lock)
    """Held while `record` is read: two who look at once wait for one computation."""
    links: Links = LABELLING
    """What the frame links to for everybody; `LEADING` comes after it for the lead."""

    def is_secure(self, host: str) -> bool:
        """Whether a request with this Host header came by the proxy with TLS."""
        public = self.address.public if self.address else None
        return public is not None and public == f"https://{host.lower()}"


def site(request: Request) -> Site:
    """The site that a request is for."""
    found: Site = request.app.state.site
    return found


def _estimate(value: Estimate, digits: int = 2) -> str:
    """'0.71 [0.60, 0.80]', or a dash where there is nothing to say."""
    if value.value is None:
        return "–"
    middle = f"{value.value:.{digits}f}"
    if value.low is None or value.high is None:
        return middle
    return f"{middle} [{value.low:.{digits}f}, {value.high:.{digits}f}]"


def _environment() -> Environment:
    folder = files("truing.people.web").joinpath("templates")
    names = [each.name for each in folder.iterdir() if each.name.endswith(".j2")]
    environment = Environment(
        loader=DictLoader({n: folder.joinpath(n).read_text(encoding="utf-8") for n in names}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"estimate": _estimate, "markdown": rendered}
    environment.globals |= {
        "kind_names": KIND_NAMES,
        "flags": FLAGS,
        "flag_values": FLAG_VALUES,
        "use_cases": USE_CASES,
        "metadata": METADATA,
        "outcomes": OUTCOMES,
        "skip_reasons": SKIP_REASONS,
    }
    return environment


_ENVIRONMENT = _environment()


def page(
    template: str, person: Person | None, status: int = 200, /, **context: Any
) -> HTMLResponse:
    """A page in the site's frame."""
    body = _ENVIRONMENT.get_template(f"{template}.html.j2").render(person=person, **context)
    # Half of a surrogate pair can't be sent; nothing in the store has one, but an address may.
    return HTMLResponse(body.encode("utf-8", "replace"), status)


def wants_json(request: Request) -> bool:
    """Whether our script asks, which shows problems in the page that is open."""
    return "application/json" in request.headers.get("accept", "")


def _client(request: Request) -> str:
    return request.client.host if request.client else "?"


def _stranger(request: Request) -> Refused:
    """What is said to somebody whose link or cookie opens nothing: they may not try for ever.

    Asked after both were looked up, so that no stranger at the same address (a proxy's, a classroom's)
    and no forgotten tab can shut out those who are signed in.
    """
    if site(request).failures.take(_client(request)):
        return Refused(401, "This sign-in link isn't valid (any more). Ask the lead for a new one.")
    return Refused(429, "Too many sign-ins that failed. Wait a minute, then open your link again.")


def _by_link(request: Request, token: str) -> SignedIn:
    """A new sign-in of whoever holds the token. Raises Refused where nobody does."""
    store = site(request).store
    with store.reading() as session:  # so that guesses don't wait in the writers' line
        known = by_token(session, token) is not None
    if known:
        with store.writing() as session:
            person = by_token(session, token)
            if person is not None:
                return SignedIn(sign_in(session, person.id), request.url.path)
    raise _stranger(request)


def visitor(request: Request) -> Person:
    """Who is signed in. Raises SignedIn on the first visit with a link, else Refused."""
    here = site(request)
    linked = request.query_params.get("token")
    if linked:
        raise _by_link(request, linked)
    cookie = request.cookies.get(here.cookie, "")
    if not cookie or linked is not None:
        raise Refused(401, "Open the sign-in link that the lead gave you.")
    with here.store.reading() as session:
        annotator = signed_in(session, cookie)
        if annotator is None:
            raise _stranger(request)
        links = here.links + (LEADING if annotator.role == "lead" else ())
        person = Person(annotator.id, annotator.name, annotator.role, csrf_token(cookie), links)
    if not here.requests.take(str(person.id)):
        raise Refused(429, "Too many requests at once. Wait a few seconds, then try again.")
    return person


def lead(person: Annotated[Person, Depends(visitor)]) -> Person:
    """The lead. Raises Refused for anybody else."""
    if not person.is_lead:
        raise Refused(403, "Only the lead can see this.")
    return person


async def form_fields(request: Request) -> dict[str, str]:
    """The fields of a form, each once. Raises Refused for files, repetitions and too many fields."""
    # Sizes are counted before escapes are undone: 12 bytes for one character.
    form = await request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_BODY)
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile) or name in fields:
            raise Refused(422, "The form has a file, or a field twice. Reload the page.")
        fields[name] = value.replace("\r\n", "\n")
    request.state.fields = fields
    return fields


def check_secret(person: Person, fields: Mapping[str, str]) -> None:
    """Raises Refused where a form isn't from our own page, shown to this person."""
    if not matches(person.csrf, fields.get("csrf", "")):
        raise Refused(
            403, "The form is too old or not from this page. Reload the page, then send it."
        )


def poster(
    person: Annotated[Person, Depends(visitor)],
    fields: Annotated[dict[str, str], Depends(form_fields)],
) -> Person:
    """Who sent a form that came from our own page. Raises Refused without its secret."""
    check_secret(person, fields)
    return person


def lead_poster(person: Annotated[Person, Depends(poster)]) -> Person:
    """The lead, who sent a form from our own page. Raises Refused."""
    return lead(person)


Id = Annotated[int, Path(ge=1, le=2**31 - 1)]
"""A row's number in an address."""
Visitor = Annotated[Person, Depends(visitor)]
Poster = Annotated[Person, Depends(poster)]
Lead = Annotated[Person, Depends(lead)]
LeadPoster = Annotated[Person, Depends(lead_poster)]
Fields = Annotated[dict[str, str], Depends(form_fields)]


def whole_number(fields: Mapping[str, str], name: str) -> int | None:
    """A field that holds a number, None where it is empty. Raises InputError for anything else."""
    text = fields.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError(f"{name}: must be a whole number")
    return int(text)


def see_other(path: str) -> Response:
    """Go on with another page, by GET."""
    return Response(status_code=303, headers={"Location": path})


def form_schema(*names: str) -> dict[str, Any]:
    """What OpenAPI says of a form with these fields."""
    fields = {name: {"type": "string"} for name in ("csrf", *names)}
    schema = {"type": "object", "properties": fields, "required": ["csrf"]}
    content = {"application/x-www-form-urlencoded": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}
