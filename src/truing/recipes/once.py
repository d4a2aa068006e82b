"""A training that is one piece of work: done once in its folder, and only read from then on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from truing.files import write_json_atomically
from truing.models.user_cache import one_process
from truing.runs.run import SPEC, Run
from truing.spec.run import Spec
from truing.types import InputError
from truing.version import __version__

Document = dict[str, Any]


def once(
    run: Run,
    spec: Spec,
    digest: str,
    work: Callable[[], Document],
    *,
    record: str,
    resume: bool,
    command: str,
    facts: Mapping[str, Any] | None = None,
) -> Document:
    """What `work` says of itself, which the folder's `record` keeps; `facts` join it.

    A folder with an unfinished training is gone on with where `resume` is set and refused otherwise; of a
    finished one only the record is read. Raises InputError where the folder is another training's.
    """
    folder, identity = run.folder, {"digest": digest}
    run.check(identity)
    begun = {"truing": __version__, **identity, "command": command, **(facts or {})}
    # Whoever reads the same answers elsewhere is waited for: their vectors are in the cache then.
    with one_process(f"{run.kind.rpartition(' ')[2]}-{digest[:16]}", run.progress):
        before = run.record() if run.is_begun else {}
        if before.get("finished"):
            run.progress.note(f"{folder} is finished; another folder for --out would begin anew")
            return dict(before["document"])
        if before and not resume:
            raise InputError(
                f"{folder}: holds an unfinished training; add --resume to go on with it, or give "
                "another folder for --out"
            )
        with run.opened(identity, {**begun, "finished": False}, {SPEC: spec.to_yaml()}):
            document = work()
            finished = {**begun, "finished": True, "document": document}
            write_json_atomically(folder / record, finished)
    return document
