"""Pushing a folder or a file to the Hugging Face hub, where the user asks for it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from truing.models.user_cache import ModelUnavailable
from truing.types import InputError


def check_repository(repository: str) -> None:
    """Raises InputError for what is no name of a repository."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", repository):
        raise InputError(f"--push {repository}: a repository on the hub is named org/name")


def push_to_hub(path: Path, repository: str) -> str:
    """The address of `repository` (org/name), made private where it isn't there, with `path` in it.

    Raises InputError where the hub refuses the user, ModelUnavailable on any other failure.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    message = f"Export of {path.name} with Truing"
    try:
        address = str(hub.create_repo(repository, private=True, exist_ok=True))
        if path.is_dir():
            hub.upload_folder(repo_id=repository, folder_path=path, commit_message=message)
        else:
            hub.upload_file(
                path_or_fileobj=path,
                path_in_repo=path.name,
                repo_id=repository,
                commit_message=message,
            )
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in (401, 403):
            raise InputError(
                f"--push {repository}: the hub refuses it ({status}): log in with 'hf auth login' as "
                f"somebody who may write there; {path} is written and stays"
            ) from None
        raise _failed(repository, path, error) from error
    except Exception as error:  # whatever the network libraries raise, the user needs one message
        raise _failed(repository, path, error) from error
    return address


def _failed(repository: str, path: Path, error: Exception) -> ModelUnavailable:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return ModelUnavailable(
        f"--push {repository}: failed ({reason}); {path} is written and stays: try again with "
        "'hf upload', or look at the network"
    )
