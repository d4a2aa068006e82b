"""Where a run is made: its folder, its questions, its base model, and what is already done.

Stages mark themselves done with a file that also holds their cost, so that a run that was killed goes
on with the first stage that has no mark. A folder belongs to one spec, one set of weights and one set
of questions; anything else is refused before it is touched.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import filelock
import psutil
import torch

from truing.candidates import Candidate
from truing.data.run_texts import Texts, compared_texts, written_texts
from truing.data.splits import share
from truing.files import (
    read_json,
    write_json_atomically,
    write_jsonl_atomically,
    write_text_atomically,
)
from truing.models.engine.plain import SENTENCE
from truing.models.language_model import LanguageModel
from truing.models.precision import substitution
from truing.models.user_cache import is_disk_full
from truing.models.weights.catalogue import ModelSource, resolve_model
from truing.progress import Progress
from truing.prompts.rendering import Prompt, Renderer
from truing.rewards.mixture import check_reward, functions_hash
from truing.runs.costs import Cost, give_memory_back, measured
from truing.runs.folder import check_folder, unwritable
from truing.runs.ranks import Ranks
from truing.spec.run import Spec
from truing.types import Case, InputError, stable_hash
from truing.version import __version__

MONITOR_SHARE = 0.2  # of the training questions, kept from reinforcement learning and its reward


def default_folder(spec: Spec) -> Path:
    """`runs/MODEL-DIGEST`: the same spec goes on in the same folder, another gets another."""
    model = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(spec.model).name)
    return Path("runs") / f"{model or 'model'}-{spec.digest()[:8]}"


class Workshop:
    """One run in the making. Reading its questions and finding its model happen at once, so that a
    mistake in either costs no time; weights are loaded when first needed."""

    def __init__(
        self,
        spec: Spec,
        folder: Path,
        progress: Progress,
        *,
        accept_licence: bool = False,
        read: Callable[[Spec, Progress], Texts] = compared_texts,
        kind: str = "align",
        ranks: Ranks | None = None,
    ) -> None:
        """`read` gives the texts; `kind` is the command whose folder this is; of several `ranks` the
        first writes."""
        self.spec = spec
        self.ranks = ranks or Ranks()
        self.folder = folder
        self.progress = progress
        self.kind = kind
        check_folder(folder)
        self.texts = read(spec, progress)
        self.train, self.held_out = self.texts.train, self.texts.held_out
        self.controls = self.texts.controls
        if "rl" in spec.approaches:
            spec.rl.objective.require_group(spec.rl.samples_per_prompt)
            check_reward(spec.reward, self.asked[:2])
        self.source: ModelSource = resolve_model(
            spec.model, accept_licence=accept_licence, progress=progress
        )
        if left_out := self.texts.left_out:
            taken = len(self.train) + len(self.held_out)
            progress.note(
                f"{taken} of {taken + left_out} questions take part; `data.limit: null` takes all"
            )

    @cached_property
    def monitored(self) -> tuple[Case, ...]:
        """Training questions that reinforcement learning is watched on; it trains on the others."""
        chosen = tuple(c for c in self.train if share(c, "monitor") < MONITOR_SHARE)
        return chosen if len(self.train) > len(chosen) > 0 else self.train[:1]

    @cached_property
    def practised(self) -> tuple[Case, ...]:
        """Training questions that the reward and reinforcement learning learn from."""
        watched = {case.id for case in self.monitored}
        return tuple(c for c in self.train if c.id not in watched) or self.train

    @property
    def asked(self) -> tuple[Case, ...]:
        """What the policy answers while it learns from rewards."""
        return self.texts.prompts or self.practised

    @property
    def base_prompt(self) -> Prompt:
        """What every candidate is told: the task's instruction."""
        return Prompt(self.spec.task.instruction)

    @cached_property
    def base(self) -> Candidate:
        """The unaligned model in the spec's precision."""
        if sentence := substitution(self.spec.dtype):
            self.progress.note(sentence)
        model = LanguageModel.load(self.source.folder, self.spec.dtype)
        if model.plain:
            self.progress.note(f"{self.spec.model}: {SENTENCE}")
        return Candidate("base", self.spec.seeds[0], model, self.base_prompt)

    @property
    def renderer(self) -> Renderer:
        """Renders questions for the base model."""
        return self.base.renderer

    # --- The folder ---------------------------------------------------------------------------

    def _identity(self) -> dict[str, str]:
        texts = [
            json.dumps([c.prompt, c.correct_answers, c.incorrect_answers, c.category])
            for c in (*self.train, *self.held_out, *self.controls, *self.texts.prompts)
        ]
        if written := self.texts.written:
            texts += [each.id for each in (*written.train, *written.held_out)]
        return {
            "spec_digest": self.spec.digest(),
            "weights_hash": self.source.weights_hash,
            "questions_hash": stable_hash("questions", *texts),
            "functions_hash": functions_hash(self.spec.reward),
            "kind": self.kind,
        }

    @contextmanager
    def opened(self, profile: str, command: str) -> Iterator[None]:
        """Holds the folder for this process, or for all that train together.

        Raises InputError where it is another run's or held.
        """
        lock = filelock.FileLock(self.folder / ".lock")
        self.ranks.from_first(lambda: self._hold(lock))
        try:
            self.ranks.from_first(lambda: self._begin(profile, command))
            yield
        finally:
            if self.ranks.leads:
                lock.release()
                self._remove_unbegun()

    def _hold(self, lock: filelock.BaseFileLock) -> None:
        check_folder(self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise InputError(f"{self.folder}: another process is working on this run") from None
        except OSError as error:
            if is_disk_full(error):
                raise
            raise unwritable(self.folder, error.strerror) from None

    def _remove_unbegun(self) -> None:
        """Leaves no folder behind where not even the first files could be written."""
        if not (self.folder / "run.json").is_file():
            with suppress(OSError):
                (self.folder / ".lock").unlink(missing_ok=True)
                self.folder.rmdir()

    def _begin(self, profile: str, command: str) -> None:
        identity = self._identity()
        if (self.folder / "run.json").is_file():
            found = self.record().get("identity", {})
            begin_anew = "--overwrite to begin anew" if self.kind == "align" else "delete it"
            found = {"functions_hash": "", "kind": "align"} | found  # not in older records
            for key, what in (
                ("kind", "kind"),
                ("spec_digest", "spec"),
                ("weights_hash", "weights"),
                ("questions_hash", "questions"),
                ("functions_hash", "reward function"),
            ):
                if found.get(key) != identity[key]:
                    raise InputError(
                        f"{self.folder}: is a run of another {what}; give another folder for --out, "
                        f"or {begin_anew}"
                    )
            self._write_inputs()
            return
        try:
            self._write_record(identity, profile, command)
            self._write_inputs()
        except OSError:
            for name in ("run.json", "spec.yaml", "questions.jsonl"):
                (self.folder / name).unlink(missing_ok=True)
            raise

    def _write_inputs(self) -> None:
        # Behind the record, which says whose folder it is: a kill in between is made good here.
        if not (self.folder / "spec.yaml").is_file():
            write_text_atomically(self.folder / "spec.yaml", self.spec.to_yaml())
        if not (self.folder / "questions.jsonl").is_file():
            self._write_questions()

    def _write_record(self, identity: Mapping[str, str], profile: str, command: str) -> None:
        write_json_atomically(
            self.folder / "run.json",
            {
                "truing": __version__,
                "spec_digest": identity["spec_digest"],
                "identity": identity,
                "profile": profile,
                "created": now(),
                "finished": None,
                "command": command,
                "questions_left_out": self.texts.left_out,
                "machine": machine(),
                "candidates": ["base", *self.spec.approaches],
            },
        )

    def _write_questions(self) -> None:
        parts = {
            "train": self.train,
            "held_out": self.held_out,
            "control": self.controls,
            "prompt": self.texts.prompts,
        }
        write_jsonl_atomically(
            self.folder / "questions.jsonl",
            [
                {
                    "id": case.id,
                    "prompt": case.prompt,
                    "correct_answers": list(case.correct_answers),
                    "incorrect_answers": list(case.incorrect_answers),
                    "category": case.category,
                    "source": case.source,
                    "split": name,
                }
                for name, cases in parts.items()
                for case in cases
            ],
        )

    def candidate_folder(self, name: str, seed: int) -> Path:
        """`candidates/NAME` for the first seed, `candidates/NAME-seedN` for the others."""
        suffix = "" if seed == self.spec.seeds[0] else f"-seed{seed}"
        return self.folder / "candidates" / f"{name}{suffix}"

    def record(self) -> dict[str, Any]:
        """run.json as it stands."""
        return read_json(self.folder / "run.json")

    def note(self, **parts: Any) -> None:
        """Writes parts of run.json; mappings join what is there."""
        if not self.ranks.leads:
            return
        record = self.record()
        for key, value in parts.items():
            old = record.get(key)
            both = isinstance(old, Mapping) and isinstance(value, Mapping)
            record[key] = {**old, **value} if both else value  # type: ignore[dict-item]
        write_json_atomically(self.folder / "run.json", record)

    # --- Stages -------------------------------------------------------------------------------

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
        if self.ranks.from_first(self._mark(name).is_file):
            return
        self.progress.note(f"{what} ...")

        def done() -> Cost:
            with measured() as cost:
                work(cost)
            give_memory_back()
            return cost

        cost = done() if together else self.ranks.from_first(done)
        mark = {"account": account, "cost": cost.to_json()}
        self.ranks.from_first(lambda: write_json_atomically(self._mark(name), mark))

    def costs(self) -> dict[str, dict[str, Any]]:
        """The cost of each account, and their total."""
        accounts: dict[str, Cost] = {}
        for path in sorted((self.folder / "stages").glob("*.json")):
            mark = read_json(path)
            account = accounts.get(mark["account"], Cost())
            accounts[mark["account"]] = account + Cost(**mark["cost"])
        total = sum(accounts.values(), Cost())
        return {name: cost.to_json() for name, cost in {**accounts, "total": total}.items()}


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


Read = Callable[[Spec, Progress], Texts]


def with_written(read: Read, *, train_on_questions: bool = True) -> Read:
    """`read`, with the demonstrations of `data.demonstrations` where the spec names some.

    Without `train_on_questions` nothing but the demonstrations is learned from, so that all questions
    are the evaluation's.
    """

    def reading(spec: Spec, progress: Progress) -> Texts:
        texts = read(spec, progress)
        if spec.data.demonstrations is None:
            return texts
        from truing.people.exchange.demonstrating import (
            read_dialogues,
        )  # loads the database's library

        if not train_on_questions:
            texts = replace(texts, train=(), held_out=(*texts.train, *texts.held_out))
        dialogues = read_dialogues(spec.data.demonstrations, spec.data.consent)
        asked = (*texts.held_out, *texts.controls)
        return replace(texts, written=written_texts(dialogues, asked, spec, progress))

    return reading
