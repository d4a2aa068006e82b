"""What a worker does, whoever brings it requests: it loads models, and runs packs through them."""

from __future__ import annotations

import gc
import socket
import traceback
from collections.abc import Collection, Mapping
from dataclasses import replace
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from truing.models import devices, precision
from truing.models.engine.memory import available_bytes, key_value_bytes
from truing.models.language_model import LanguageModel
from truing.models.pool.build import build
from truing.models.pool.changes import Change
from truing.models.pool.functions import FUNCTIONS, Held, threads
from truing.models.pool.messages import Message
from truing.models.pool.model_files import ModelFiles
from truing.models.user_cache import ModelUnavailable
from truing.models.weights.resolving import resolve_model
from truing.types import InputError


class ModelHolder:
    """Holds the models that pools ask about. Safe in several threads."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._users: dict[str, set[str]] = {}  # the pools that have a use for each
        self._loading = Lock()

    def about(self) -> dict[str, Any]:
        """What a pool is told of the worker when they meet."""
        return {
            "build": build(),
            "host": socket.gethostname(),
            "devices": devices.available(),
            "cores": torch.get_num_threads(),
        }

    def answer(self, request: Message) -> Message:
        """The answer to a request; a failure is an answer too, `failed`, with its kind."""
        content = request.content
        try:
            if content["do"] == "open":
                return Message(self._open(content, request.tensors))
            return self._run(content)
        except InputError as error:
            return Message({"failed": "input", "message": str(error)})
        except ModelUnavailable as error:
            return Message({"failed": "unavailable", "message": str(error)})
        except torch.OutOfMemoryError as error:
            return Message({"failed": "memory", "message": str(error)})
        except Exception as error:
            said = "".join(traceback.format_exception(error))
            return Message(
                {"failed": "defect", "message": f"{type(error).__name__}: {error}\n{said}"}
            )

    def leave(self, pool: str) -> None:
        """Frees what a pool alone had a use for, which is gone."""
        with self._loading:
            self._keep(pool, ())

    def _keep(self, pool: str, keys: Collection[str]) -> None:
        whole = False
        for key, users in list(self._users.items()):
            if key not in keys:
                users.discard(pool)
            if not users:
                del self._users[key]
                whole |= self._let_go(key)
        if whole:  # it takes longer than is worth it for an adapter
            gc.collect()

    def _let_go(self, key: str) -> bool:
        """Drops a model; whether it had weights of its own."""
        held = self._held.pop(key, None)
        if held is None:
            return False
        held.model.forget_copies()
        return not held.is_changed

    def _open(self, content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        """Loads a model, unless it is there, and frees those that the pool has no use for any more. Where
        it takes tensors that aren't there, `wants` says of which hash."""
        key, change = content["model"], content.get("change")
        with self._loading:
            self._keep(content["pool"], {key, *content["keep"]})
            if key not in self._held and change and not tensors:
                return {"wants": change["hash"]}
            if key not in self._held:
                devices.choose(content["device"], "worker")
                torch.set_num_threads(content["threads"])
                precision.take_for_granted(content["fast"])
                loaded = self._loaded(content, tensors)
                self._held[key] = Held(loaded, content["threads"], is_changed=change is not None)
            self._users.setdefault(key, set()).add(content["pool"])
            held = self._held[key]
        with threads(held.threads):
            return {
                "about": held.model.about(),
                "note": held.model.note,
                "pack_tokens": held.model.pack_tokens,
                "free_bytes": available_bytes(held.model.device),
                "token_bytes": key_value_bytes(held.model.model, held.model.dtype),
                "device": devices.record(),
            }

    def _loaded(self, content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> LanguageModel:
        """A model from its files, or one that another is changed to, which is loaded first."""
        if "change" not in content:
            return _files(content).load()
        change = Change.from_json(content["change"], tensors)
        base = content["base"]
        if base not in self._held:
            self._held[base] = Held(_files(content).load(), content["threads"])
        self._users.setdefault(base, set()).add(content["pool"])
        return change.applied(self._held[base].model)

    def _run(self, content: Mapping[str, Any]) -> Message:
        """Runs a pack; `wants` says that its model was freed, since the pool had no use for it once."""
        held = self._held.get(content["model"])
        if held is None:
            return Message({"wants": content["model"]})
        model, notes = held.model, list[str]()
        model.room.tell = notes.append
        # A model that shares nothing runs one text at a time, with all there is.
        count = held.threads if model.unpacked else content["threads"]
        with threads(count), torch.inference_mode():
            answer = FUNCTIONS[content["function"]](held, content["request"])
        state = {"room": model.room.tokens, "notes": notes}
        return Message({**answer.content, **state}, answer.tensors)


def _files(content: Mapping[str, Any]) -> ModelFiles:
    """The files that were named, or where they aren't here the model of that name, if it is the same."""
    files, where = ModelFiles.from_json(content["files"]), f"worker on {socket.gethostname()}"
    mend = "copy it to the same place, or mount it there"
    if not files.weights.is_dir():
        try:
            source = resolve_model(files.name)
        except InputError as error:
            raise InputError(f"{where}: {files.weights} isn't there; {mend} ({error})") from None
        files = replace(files, weights=source.folder, tokenizer=source.folder)
    for folder in filter(None, (files.tokenizer, files.adapter)):
        if not folder.is_dir():
            raise InputError(f"{where}: {folder} isn't there; {mend}")
    if (identity := files.identity.hash) != content["identity"]:
        raise InputError(
            f"{where}: {files.weights} holds other weights or settings ({identity[:12]}) than those that "
            f"are measured ({content['identity'][:12]}); copy the same to both"
        )
    return files
