"""One run folder in the making: who holds it, whose it is, which stages are done, what they cost.

Stages mark themselves done with a file that also holds their cost, so that a run that was killed goes
on with the first stage that has no mark. What a folder is for is recorded as named hashes (of the spec,
the weights, the questions, ...) in its first file; whoever brings others is refused before anything in
it is touched.
"""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from statistics import fmean
from typing import Any

import filelock
import psutil
import torch

from truing.files import is_disk_full, read_json, write_json_atomically, write_text_atomically
from truing.progress import Progress, SilentProgress
from truing.progress.pace import in_words
from truing.runs.costs import Cost, give_memory_back, measured
from truing.runs.entries import entries, is_file, remove_left_behind
from truing.runs.folder import RECORD, check_folder, unwritable
from truing.runs.lending import LENDING
from truing.runs.ranks import Ranks
from truing.spec.reading import make_spec, read_mapping
from truing.spec.run import Spec, digest_of
from truing.types import InputError
from truing.version import __version__

RUNS = Path("runs")
SPEC = "spec.yaml"
IN_WORDS = {
    "spec_digest": "spec",
    "functions_hash": "reward function",
    "questions_hash": "set of questions",
    "task_hash": "task: a file that it names has changed",
    "settings_hash": "model: its tokenizer, chat template, configuration or end tokens have changed",
    "precision": "precision: this processor, or number of threads, computes in another",
    "device": "device: numbers would differ in their last digits; name its own with --device",
}
"""What a run is another of, where part of its identity isn't the wanted one."""
_EARLIER = {"kind": "align", "device": "cpu"}
"""What records were of that don't say it."""
_NEWER = {"precision", "settings_hash"}
"""Parts of the identity that older records lack; there they aren't compared."""


def default_folder(spec: Spec) -> Path:
    """`runs/MODEL-DIGEST`: the same spec goes on in the same folder, another gets another."""
    model = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(spec.model).name)
    return RUNS / f"{model or 'model'}-{spec.digest()[:8]}"


def new_record(identity: Mapping[str, str], **facts: Any) -> dict[str, Any]:
    """The run.json that a run begins with."""
    return {
        "truing": __version__,
        "spec_digest": identity["spec_digest"],
        "identity": dict(identity),
        "created": now(),
        "finished": None,
        "machine": machine(),
        **facts,
    }


class Run:
    """A folder and its record. Raises InputError where none can be made there."""

    def __init__(
        self,
        folder: Path,
        progress: Progress,
        *,
        kind: str = "align",
        ranks: Ranks | None = None,
        record: str = RECORD,
    ) -> None:
        """`kind` is the command whose folder this is, `record` its first file and the last to be
        removed; of several `ranks` the first writes."""
        self.folder = folder
        self.progress = progress
        self.kind = kind
        self.ranks = ranks or Ranks()
        self.spec_digest = ""  # the one recorded when the folder was begun, once it is opened
        self._record = folder / record
        self.after_checkpoint: Callable[[], object] = lambda: None
        self._plan: tuple[str, ...] = ()
        check_folder(folder, record)

    @property
    def is_begun(self) -> bool:
        """Whether the folder has its record."""
        return is_file(self._record)

    def record(self) -> dict[str, Any]:
        """The record as it stands."""
        return read_json(self._record)

    def note(self, **parts: Any) -> None:
        """Writes parts of the record; mappings join what is there."""
        if not self.ranks.leads:
            return
        record = self.record()
        for key, value in parts.items():
            old = record.get(key)
            both = isinstance(old, Mapping) and isinstance(value, Mapping)
            record[key] = {**old, **value} if both else value  # type: ignore[dict-item]
        write_json_atomically(self._record, record)

    # --- Whose folder it is -------------------------------------------------------------------

    def check(self, identity: Mapping[str, str]) -> None:
        """Raises InputError where the folder is another run's. A name that a record lacks is empty."""
        if not self.is_begun:
            return
        record = self.record()
        recorded = record.get("identity", record)
        if not isinstance(recorded, dict):
            raise InputError(f"{self._record}: identity: must be an object of names and hashes")
        recorded = _EARLIER | recorded
        for name, value in identity.items():
            if recorded.get(name, value if name in _NEWER else "") == value:
                continue
            if name == "spec_digest" and self._means(recorded.get(name, ""), value):
                continue
            raise self._refusal(name)

    def _refusal(self, name: str) -> InputError:
        what = "something else is in there already"
        if name != "digest":
            what = f"is a run of another {IN_WORDS.get(name, name.removesuffix('_hash'))}"
        begin_anew = "--overwrite to begin anew" if self.kind == "align" else "delete it"
        return InputError(f"{self.folder}: {what}; give another folder for --out, or {begin_anew}")

    def _means(self, recorded: str, wanted: str) -> bool:
        """Whether the folder's spec is the wanted one, though its digest was taken by other code,
        before a key was added or had its name."""
        try:
            data = read_mapping(self.folder / SPEC)
            return digest_of(data) == recorded and make_spec(data, profile=None).digest() == wanted
        except InputError:
            return False

    # --- Who holds it -------------------------------------------------------------------------

    @contextmanager
    def opened(
        self,
        identity: Mapping[str, str],
        record: Mapping[str, Any],
        files: Mapping[str, str] | None = None,
    ) -> Iterator[None]:
        """Holds the folder for this process, or for all that train together.

        A new one begins with the record and these files. Raises InputError where it is another run's
        or held.
        """
        lock = filelock.FileLock(self.folder / ".lock")
        self.ranks.from_first(lambda: self._hold(lock))
        try:
            self.spec_digest = self.ranks.from_first(
                lambda: self._begin(identity, record, files or {})
            )
            yield
        finally:
            if self.ranks.leads:
                lock.release()
                self._tidy()

    def _hold(self, lock: filelock.BaseFileLock) -> None:
        check_folder(self.folder, self._record.name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise InputError(f"{self.folder}: another process is working on this run") from None
        except OSError as error:
            if is_disk_full(error):
                raise
            raise unwritable(self.folder, error.strerror) from None

    def _tidy(self) -> None:
        """Leaves no folder behind where not even the first files could be written; and no lock but in
        a run's own folder."""
        with suppress(OSError):
            if not self.is_begun or self._record.name != RECORD:
                (self.folder / ".lock").unlink(missing_ok=True)
            if not self.is_begun:
                self.folder.rmdir()

    def _begin(
        self, identity: Mapping[str, str], record: Mapping[str, Any], files: Mapping[str, str]
    ) -> str:
        """The digest of the spec that the folder was begun with; empty where it has none."""
        begun = self.is_begun
        self.check(identity)
        remove_left_behind(self.folder)
        self.costs()  # a broken mark is told before there is work behind it
        try:
            if not begun:
                write_json_atomically(self._record, record)
            # Behind the record, which says whose folder it is: a kill in between is made good here.
            for name in files:
                if not is_file(self.folder / name) or not (self.folder / name).stat().st_size:
                    write_text_atomically(self.folder / name, files[name])
        except OSError:
            if not begun:
                for name in (self._record.name, *files):
                    (self.folder / name).unlink(missing_ok=True)
            raise
        return str(self.record().get("spec_digest", ""))

    # --- Stages -------------------------------------------------------------------------------

    def plan(self, names: Iterable[str]) -> None:
        """Says which stages there will be, so that whoever waits knows which of how many is under way."""
        self._plan = tuple(dict.fromkeys(names))

    def _heading(self, name: str, what: str) -> str:
        if name not in self._plan:
            return what
        heading = f"Stage {self._plan.index(name) + 1} of {len(self._plan)}: {what}"
        left = in_words(self._seconds_left())
        return f"{heading} ({left} in all)" if left else heading

    def _seconds_left(self) -> float | None:
        """What the stages that have no mark yet will take, where one like each of them has been done."""
        kinds: dict[str, list[float]] = {}
        missing: set[str] = set()
        for name in self._plan:
            kind, mark = name.partition("-")[0], self._mark(name)
            if not mark.is_file():
                missing.add(name)
                continue
            with suppress(InputError):  # said where it matters
                seconds = _mark_in(mark)[1].wall_seconds
                kinds.setdefault(kind, []).append(seconds)
        if not {name.partition("-")[0] for name in missing} <= set(kinds):
            return None
        return sum(fmean(kinds[name.partition("-")[0]]) for name in missing)

    def _mark(self, name: str) -> Path:
        return self.folder / "stages" / f"{name}.json"

    def stage(
        self,
        name: str,
        what: str,
        account: str,
        work: Callable[[Cost], None],
        *,
        together: bool = False,
    ) -> None:
        """Does the work unless it is marked done, then marks it with its cost.

        `account` is the candidate (or 'evaluation') that the cost is put down to. Of several processes
        the first does it, or all of them `together`; the cost is that of the first.
        """
        if self.ranks.from_first(lambda: is_file(self._mark(name))):
            return

        def done() -> Cost:
            with measured() as cost:
                work(cost)
            give_memory_back()
            return cost

        with LENDING.scope():
            with self.progress.stage(self._heading(name, what)):
                cost = done() if together else self.ranks.from_first(done)
            mark = {"account": account, "cost": cost.to_json()}
            self.ranks.from_first(lambda: write_json_atomically(self._mark(name), mark))

    def costs(self) -> dict[str, dict[str, Any]]:
        """The cost of each account, and their total."""
        accounts: dict[str, Cost] = {}
        for path in entries(self.folder / "stages"):
            if path.suffix == ".json":
                name, cost = _mark_in(path)
                accounts[name] = accounts.get(name, Cost()) + cost
        total = sum(accounts.values(), Cost())
        return {name: cost.to_json() for name, cost in {**accounts, "total": total}.items()}


def _mark_in(path: Path) -> tuple[str, Cost]:
    """The account and the cost in a stage's mark. Raises InputError where it isn't one."""
    again = f"delete it, and '{path.stem}' is done again"
    if not is_file(path):
        raise InputError(f"{path}: isn't there any more; {again}")
    try:
        mark = read_json(path)
    except InputError as error:
        raise InputError(f"{error}; {again}") from None
    account, cost = mark.get("account"), mark.get("cost")
    if not isinstance(account, str) or not isinstance(cost, dict) or not _are_costs(cost):
        raise InputError(
            f"{path}: must hold an 'account' and a 'cost', an object of numbers; {again}"
        )
    return account, Cost(**cost)


def _are_costs(cost: Mapping[str, Any]) -> bool:
    known = {field.name for field in fields(Cost)}
    numbers = (isinstance(v, int | float) and not isinstance(v, bool) for v in cost.values())
    return cost.keys() <= known and all(numbers)


def own_folder(folder: Path, record: str, digest: str) -> Path:
    """`folder`, if it is new or its `record` has this digest: it is for one set of settings.

    Raises InputError where something else is in it.
    """
    Run(folder, SilentProgress(), kind="", record=record).check({"digest": digest})
    return folder


def now() -> str:
    """This second in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def machine() -> dict[str, Any]:
    """What the figures of a run depend on beside its spec."""
    return {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
