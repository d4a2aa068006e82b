"""The adapters of a training's versions as PEFT folders, each under a name that says what is in it.

    FOLDER/truing-1f0c2a9be4d7-v12/adapter_config.json
                                   adapter_model.safetensors

The name has a hash of the adapter's weights and the version. So whoever loaded a name has these weights,
though a training that was killed and gone on with may come to others under the same version.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from truing.files import is_disk_full
from truing.models.adapter import save_adapter
from truing.models.weights.adapter_folders import WEIGHTS
from truing.policies.language import LanguagePolicy
from truing.types import InputError

_NAME = re.compile(r"truing-[0-9a-f]{12}-v(\d+)")
_BEGUN = ".begun"


class AdapterVersions:
    """Those in a folder, of one policy. `base` is what a PEFT folder calls its base weights."""

    def __init__(self, folder: Path, policy: LanguagePolicy, base: str) -> None:
        self.folder, self._policy, self._base = folder, policy, base

    def write(self, version: int) -> str:
        """Writes the policy's adapter as it is now; returns its name. Another of the version goes.

        The folder has its name once it is whole. Raises InputError where it can't be written.
        """
        begun = self.folder / _BEGUN
        try:
            shutil.rmtree(begun, ignore_errors=True)
            begun.mkdir(parents=True)
            save_adapter(begun, self._policy.trained.model, self._policy.adapter, self._base)
            digest = hashlib.sha256((begun / WEIGHTS).read_bytes()).hexdigest()[:12]
            name = f"truing-{digest}-v{version}"
            for other in self._of(version):
                shutil.rmtree(self.folder / other)
            begun.rename(self.folder / name)
        except OSError as error:
            if is_disk_full(error):
                raise
            raise InputError(
                f"{self.folder}: can't be written ({error.strerror or 'no reason given'}); name a folder "
                "that can be as compute.sampler_folder"
            ) from None
        return name

    def name_of(self, version: int) -> str:
        """The name of a version. Raises InputError where it isn't there."""
        found = self._of(version)
        if not found:
            raise InputError(
                f"{self.folder}: holds no adapter of version {version}, which the next samples are "
                "drawn by; bring the folder back, or begin anew elsewhere"
            )
        return found[0]

    def names(self) -> dict[str, int]:
        """All that are there, with their versions."""
        if not self.folder.is_dir():
            return {}
        found = ((each.name, _NAME.fullmatch(each.name)) for each in sorted(self.folder.iterdir()))
        return {name: int(match[1]) for name, match in found if match}

    def remove(self, name: str) -> None:
        """Removes one."""
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def _of(self, version: int) -> list[str]:
        return [name for name, number in self.names().items() if number == version]
