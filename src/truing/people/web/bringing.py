"""The lead's pages of what comes in and what is there: a file to import, and a search."""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from truing.people.exchange import import_files
from truing.people.exchange.importing import Imported
from truing.people.searching import MOST, search
from truing.people.store import Store
from truing.people.vocabulary import ABOUT_ANSWERS, CONSENTS
from truing.people.web.security import MAX_BODY, Person
from truing.people.web.visitors import (
    MAX_FIELDS,
    Fields,
    Lead,
    LeadPoster,
    check_secret,
    form_schema,
    page,
    site,
    whole_number,
)
from truing.types import InputError

router = APIRouter(prefix="/lead")
MAX_FILE = 1_000_000
"""Bytes of a file that comes by the page: it travels twice, the second time as a field."""
MOST_WANTED = 1_000
_CHOICES = ("wanted", "consent", *(f"ask-{kind}" for kind in ABOUT_ANSWERS))
_PLAIN_NAME = re.compile(r"[\w(][\w .()-]{0,98}", re.ASCII)


def _import_page(person: Person, status: int = 200, /, **more: object) -> Response:
    choices = {"asks": ABOUT_ANSWERS, "consents": CONSENTS, "most": MAX_FILE}
    context = {"imported": None, "sure": None, "problem": "", **more}
    return page("import", person, status, **choices, **context)


@router.get("/import")
def choose(request: Request, person: Lead) -> Response:
    """A form for a file."""
    return _import_page(person)


async def _uploaded(request: Request, person: Person) -> tuple[dict[str, str], str, bytes]:
    """Fields, name and content of a form with one file. Raises Refused and InputError."""
    sizes = {"max_files": 1, "max_fields": MAX_FIELDS, "max_part_size": MAX_BODY}
    async with request.form(**sizes) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        check_secret(person, fields)
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise InputError("file: choose one")
        content = await file.read()
    if len(content) > MAX_FILE:
        raise InputError(
            f"file: larger than {MAX_FILE:,} bytes; import it with 'truing data import FILE'"
        )
    return fields, file.filename, content


@router.post("/import", openapi_extra={"requestBody": {"content": {"multipart/form-data": {}}}})
async def preview(request: Request, person: Lead) -> Response:
    """What a file would bring and what would be left out of it; nothing is taken yet."""
    fields, name, content = await _uploaded(request, person)
    store = site(request).store
    name = _checked_name(name)
    try:
        imported = await run_in_threadpool(_import, store, name, content, fields, sure=False)
    except InputError as error:
        return _import_page(person, 422, problem=f"{error}.")
    asked = {key: value for key, value in fields.items() if key in _CHOICES}
    encoded = base64.b64encode(content).decode("ascii")
    return _import_page(person, imported=imported, sure={"name": name, "content": encoded, **asked})


@router.post("/import/take", openapi_extra=form_schema("name", "content", "wanted", "consent"))
def take(request: Request, person: LeadPoster, fields: Fields) -> Response:
    """Take what the preview showed."""
    name = _checked_name(fields.get("name", ""))
    try:
        content = base64.b64decode(fields.get("content", ""), validate=True)
    except ValueError:  # of what isn't ASCII, too
        raise InputError("content: isn't what the page sent; choose the file again") from None
    imported = _import(site(request).store, name, content, fields, sure=True)
    return _import_page(person, imported=imported)


def _checked_name(name: str) -> str:
    """The file's name without folders, as the source of what it holds. Raises InputError."""
    name = name.replace("\\", "/").rpartition("/")[2]
    if not _PLAIN_NAME.fullmatch(name):
        raise InputError("file: give it a name of letters, digits, spaces, '.', '_' and '-'")
    return name


def _import(
    store: Store, name: str, content: bytes, fields: Mapping[str, str], *, sure: bool
) -> Imported:
    """Import a file, or only try to. Raises InputError, which names no folder of ours."""
    given = whole_number(fields, "wanted")
    wanted = 1 if given is None else given
    if not 1 <= wanted <= MOST_WANTED:
        raise InputError(f"wanted: at least 1 and at most {MOST_WANTED:,} people")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        try:
            imported = import_files(
                store,
                [path],
                source=name,
                consent=fields.get("consent") or None,
                ask=[kind for kind in ABOUT_ANSWERS if fields.get(f"ask-{kind}")],
                wanted=wanted,
                keep_good_lines=True,
                try_only=not sure,
            )
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", "")) from None
        imported.bad_lines = [each.replace(f"{folder}/", "") for each in imported.bad_lines]
    return imported


@router.get("/search")
def find(request: Request, person: Lead, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Prompts, answers and what people wrote in which words stand."""
    with site(request).store.reading() as session:
        hits = search(session, q)
    return page("search", person, q=q, hits=hits, most=MOST)
