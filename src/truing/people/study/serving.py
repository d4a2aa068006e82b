"""`truing label --study DIR`: the page on which people work through a study of oversight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fastapi import FastAPI

from truing.data.oversight.plans import ANSWERS, read_plan
from truing.people.addresses import LOOPBACK, Address
from truing.people.serving import label
from truing.people.store import Store
from truing.people.study.clock import study_clock
from truing.people.study.collecting import STORE, collect_answers, latest_step, write_answers
from truing.people.study.trials import Replying, Study
from truing.people.web.study import make_study_app


def label_study(
    folder: Path,
    *,
    port: int,
    store_name: str | None = None,
    token: str | None = None,
    host: str = LOOPBACK,
    public_url: str | None = None,
    proxy: str | None = None,
    replying: Replying | None = None,
    say: Callable[[str], object],
    warn: Callable[[str], object] | None = None,
) -> None:
    """Serve a study's page until interrupted; the rest as for `label`.

    The answers are in the store, by default in the study's folder. Its file of answers is written at
    the beginning, whenever somebody finishes, and at the end. Raises InputError where the plan can't be
    used.
    """
    planned = Study(read_plan(folder), replying)
    name = store_name or str(folder / STORE)

    def make(store: Store, address: Address) -> FastAPI:
        clock = study_clock(folder, latest_step(store, planned), planned.limit, keep=True)
        study = replace(planned, clock=clock)
        write_answers(store, study)
        return make_study_app(store, study, address=address)

    label(
        name,
        port=port,
        token=token,
        host=host,
        public_url=public_url,
        proxy=proxy,
        make=make,
        say=say,
        warn=warn,
    )
    answers = collect_answers(folder, name)
    say(f"{answers} answers are in {folder / ANSWERS}")
