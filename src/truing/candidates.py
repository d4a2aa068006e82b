"""Candidates: things that could ship. Weights, perhaps an adapter, perhaps a prompt.

A candidate folder is an ordinary model folder: `transformers` (full weights) or `peft` (an adapter)
load it without Truing. Its chat template writes the candidate's instruction and demonstrations in
front of a conversation that has no system message of its own. `candidate.json` says the rest.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from truing.files import read_json, write_json_atomically, write_text_atomically
from truing.models import devices
from truing.models.adapter import save_adapter
from truing.models.engine.sharding import shards_of, whole_state
from truing.models.identity import ADAPTER, ModelIdentity, identity_of, weights_of
from truing.models.language_model import LanguageModel
from truing.models.pool.model_files import ModelFiles
from truing.models.pool.pool import WorkerPool
from truing.models.pool.pooled_model import PooledModel
from truing.models.weights.adapter_folders import is_adapter, tokenizer_folder
from truing.models.weights.folders import check_folder
from truing.models.weights.resolving import CANDIDATE, adapter_base, portable_name, resolve_model
from truing.policies.language import LanguagePolicy
from truing.progress import StderrProgress
from truing.prompts.rendering import Prompt, Renderer, prompt_from_json, prompt_to_json
from truing.rewards.best_of_n import BestOfN, from_json, programs_in
from truing.rewards.learned.saved import opened
from truing.rewards.mixture import NO_JUDGES
from truing.rewards.reward import Answered
from truing.rewards.truth_probe import Embedder
from truing.types import Dtype, InputError, Score

RECORD = CANDIDATE
GENERATION = "generation_config.json"
CONFIGURATION = ("config.json", GENERATION, "model.safetensors.index.json")


@dataclass(frozen=True)
class Candidate:
    """A candidate ready to be measured: a model in one precision, its prompt, and how it chooses among
    its answers where it does."""

    name: str
    seed: int
    model: LanguageModel
    prompt: Prompt
    best_of_n: BestOfN | None = None

    @property
    def renderer(self) -> Renderer:
        """Renders questions for its model."""
        return Renderer(self.model)


def _with_prompt(template: str, prompt: Prompt) -> str:
    """The chat template, with the prompt put around conversations that bring no system message."""
    said = [{"role": "system", "content": prompt.instruction}] if prompt.instruction else []
    for shot in prompt.shots:
        said.append({"role": "user", "content": shot.question})
        said.append({"role": "assistant", "content": shot.answer})
    if not said and not prompt.after:
        return template
    literal = ", ".join(
        f"{{'role': {_quoted(m['role'])}, 'content': {_quoted(m['content'])}}}" for m in said
    )
    return (
        "{%- if not messages or messages[0]['role'] != 'system' -%}"
        f"{_after(prompt)}{{%- set messages = [{literal}] + messages -%}}"
        "{%- endif -%}" + template
    )


def _after(prompt: Prompt) -> str:
    """Template code that puts the prompt's last paragraph behind what the user says last."""
    if not prompt.after:
        return ""
    content = f"messages[-1]['content'] + {_quoted(prompt.behind(''))}"
    return (
        "{%- if messages and messages[-1]['role'] == 'user' -%}"
        f"{{%- set messages = messages[:-1] + [{{'role': 'user', 'content': {content}}}] -%}}"
        "{%- endif -%}"
    )


def _quoted(text: str) -> str:
    """A Jinja string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def _copy_weights(base: Path, folder: Path, *, link: bool) -> None:
    """Weights and their configuration, unchanged. Linked weights cost no disk.

    Only weights are ever linked, and only those of Truing's own cache, which notices a change: a
    program that wrote into the candidate's folder would write into the linked file as well.
    """
    for file in sorted(base.iterdir()):
        target = folder / file.name
        if file.suffix == ".safetensors" and link:
            with contextlib.suppress(OSError):
                os.link(file.resolve(), target)
        wanted = file.suffix == ".safetensors" or file.name in CONFIGURATION
        if wanted and not target.exists():
            shutil.copyfile(file, target)


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A new folder that becomes `folder` once everything in it is written; no trace otherwise."""
    temporary = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def save_candidate(
    folder: Path,
    *,
    base: Path,
    model: LanguageModel,
    prompt: Prompt,
    policy: LanguagePolicy | None,
    link: bool,
    record: Mapping[str, Any],
    card: str,
    base_name: str = "",
    files: Mapping[str, Path] | None = None,
) -> None:
    """Writes a candidate folder whole, or not at all.

    `base` is the folder of the base weights, `policy` what was trained (None: the base's weights
    unchanged); `base_name` is what another machine calls the base. `link`: whether unchanged weights
    may be linked. `record` joins the prompt in candidate.json, `card` becomes README.md; `files` are
    copied, under the names they get.
    """
    with whole_folder(folder) as temporary:
        if policy is not None and policy.adapter.kind == "lora":
            save_adapter(temporary, policy.trained.model, policy.adapter, base_name or str(base))
        elif policy is not None:
            trained = policy.trained.model
            state = whole_state(trained) if shards_of(trained) else None
            trained.save_pretrained(temporary, state_dict=state, safe_serialization=True)
        else:
            _copy_weights(base, temporary, link=link)
        save_settings(temporary, model, prompt)
        write_json_atomically(
            temporary / RECORD, {"prompt": prompt_to_json(prompt), "base": str(base), **record}
        )
        write_text_atomically(temporary / "README.md", card)
        for name, file in (files or {}).items():
            (temporary / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(file, temporary / name)
        shutil.rmtree(folder, ignore_errors=True)


def template_with(model: LanguageModel, prompt: Prompt) -> str | None:
    """The model's chat template with a prompt written into it; None where it has none."""
    template = model.speech.template
    return _with_prompt(template.source, prompt) if template else None


def save_settings(folder: Path, model: LanguageModel, prompt: Prompt) -> None:
    """Writes the tokenizer with the prompt in its template, and the end token beside whole weights, so
    that whoever loads them stops where training did."""
    tokenizer = model.tokenizer
    template = tokenizer.chat_template
    try:
        if template:
            tokenizer.chat_template = template_with(model, prompt)
        tokenizer.save_pretrained(folder)
    finally:
        tokenizer.chat_template = template
    path = folder / GENERATION
    if not path.is_file():
        return
    settings = read_json(path)
    ends = settings.get("eos_token_id")
    listed = ends if isinstance(ends, list) else [] if ends is None else [ends]
    if model.speech.end_token not in (None, *listed):
        listed = [*listed, model.speech.end_token]
        write_json_atomically(path, settings | {"eos_token_id": listed})


def _record_of(folder: Path) -> dict[str, Any]:
    """A candidate's record, with its `base`. Raises InputError where `folder` isn't a candidate."""
    if not (folder / RECORD).is_file():
        raise InputError(f"{folder}: not a candidate folder (it has no {RECORD})")
    record: dict[str, Any] = read_json(folder / RECORD)
    if not isinstance(record.get("base"), str):
        raise InputError(
            f"{folder / RECORD}: base: missing; it names the folder of the base weights"
        )
    return record


def load_candidate(
    folder: Path,
    name: str,
    seed: int,
    dtype: Dtype,
    judges: Mapping[str, Callable[[Answered], Score]] = NO_JUDGES,
    pool: WorkerPool | None = None,
) -> Candidate:
    """A candidate from its folder, any adapter merged in float32 before rounding to `dtype`.

    `judges` are its task's, for a candidate that chooses among its answers by one. With a `pool` its
    workers score and sample.

    Raises InputError where the folder isn't a candidate or its base has gone.
    """
    record = _record_of(folder)
    base = Path(record["base"])
    if (folder / ADAPTER).is_file():
        if not base.is_dir():
            raise InputError(
                f"{folder}: its base weights are no longer at {base}; fetch them again"
            )
        files = ModelFiles(base, base, dtype, folder)
    else:
        # The tokenizer of the base: the candidate's own template has the prompt written into it.
        check_folder(folder)
        files = ModelFiles(folder, base, dtype)
    model = _load(files, pool)
    prompt = _prompt_of(folder, record)
    return Candidate(name, seed, model, prompt, _best_of_n(folder, record, model, prompt, judges))


def _prompt_of(folder: Path, record: Mapping[str, Any]) -> Prompt:
    try:
        return prompt_from_json(record["prompt"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / RECORD}: prompt: can't be read ({error})") from None


def _best_of_n(
    folder: Path,
    record: Mapping[str, Any],
    model: LanguageModel,
    prompt: Prompt,
    judges: Mapping[str, Callable[[Answered], Score]],
) -> BestOfN | None:
    """How the candidate chooses among its answers. Its weights are the base's, which the reward reads
    answers with."""
    if (chosen := record.get("best_of_n")) is None:
        return None
    try:
        for program in programs_in(chosen):
            StderrProgress().note(f"{folder}: its answers are chosen by the program {program}")
        renderer = Renderer(model)
        learned = partial(opened, renderer, lambda: weights_of(folder))
        return from_json(chosen, folder, Embedder(renderer, prompt), judges, learned)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder / RECORD}: best_of_n: can't be read ({error})") from None


def _load(files: ModelFiles, pool: WorkerPool | None) -> LanguageModel:
    """The model, on the device, which the user is told of; with a pool, in its workers."""
    devices.announce(StderrProgress().note)
    return PooledModel(files, pool) if pool else files.load()


def open_candidate(
    name: str,
    seed: int,
    dtype: Dtype,
    *,
    accept_licence: bool = False,
    choosing: bool = False,
    pool: WorkerPool | None = None,
) -> tuple[Candidate, ModelIdentity]:
    """A run's candidate folder, or any model or peft adapter with an empty prompt; and its identity.
    With a `pool` its workers score and sample.

    Raises InputError where there is no such model, or where it is one that chooses among its answers
    and the caller can't do that (`choosing`); ModelUnavailable where it can't be had now.
    """
    if name.startswith("endpoint:"):
        raise InputError(
            f"{name}: an endpoint's weights aren't here, and this needs them; name a catalogue model, a "
            "Hugging Face id, a local folder or a run's candidate folder"
        )
    folder = Path(name).expanduser()
    if (folder / RECORD).is_file():
        record = _record_of(folder)
        if not choosing and record.get("best_of_n") is not None:
            raise InputError(
                f"{name}: answers by best-of-n, which `truing align`, `eval`, `chat` and `serve` do; "
                "name the base for the rest"
            )
        candidate = load_candidate(folder, folder.resolve().name, seed, dtype, pool=pool)
        own_base = Path(record["base"])
        return candidate, identity_of(folder, own_base, own_base)
    if is_adapter(folder):
        base = adapter_base(folder, accept_licence=accept_licence, progress=StderrProgress()).folder
        tokenizer = tokenizer_folder(folder, base)
        model = _load(ModelFiles(base, tokenizer, dtype, folder), pool)
        candidate = Candidate(folder.resolve().name, seed, model, Prompt())
        return candidate, identity_of(folder, base, tokenizer)
    source = resolve_model(name, accept_licence=accept_licence)
    files = ModelFiles(source.folder, source.folder, dtype, name=portable_name(name))
    model = _load(files, pool)
    candidate = Candidate(source.name, seed, model, Prompt())
    return candidate, identity_of(source.folder, source.folder, source.folder)
