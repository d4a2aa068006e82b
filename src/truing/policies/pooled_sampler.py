"""A policy sampled by a pool of workers, which are sent the adapter of each version.

Workers hold the base's weights and are sent adapters under their hash (models/pool/changes.py). Packs are
planned here, and whoever runs one draws by the same uniform numbers: which workers there are, and which of
them die, changes no bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from truing.models.pool.changes import Change
from truing.models.pool.messages import KEPT
from truing.models.pool.pooled_model import PooledModel
from truing.models.sampling import Sampling, sample
from truing.models.tensor_files import write_tensors_atomically
from truing.models.user_cache import ModelUnavailable
from truing.policies.language import LanguagePolicy
from truing.policies.sampler import Group, Sampled, SamplerGone
from truing.types import InputError


class PooledSampler:
    """See policies.sampler.Sampler.

    Samples are at most `staleness` updates old. `saved` tells the step that training would be gone on with
    behind: the versions that this would need are kept in `folder`, where there is a staleness.
    """

    def __init__(
        self,
        policy: LanguagePolicy,
        base: PooledModel,
        staleness: int,
        folder: Path,
        saved: Callable[[], int],
    ) -> None:
        """`base` is the policy's base, in a pool."""
        self._policy, self._base = policy, base
        self._int8 = policy.sampler is not policy.trained
        self._staleness, self._folder, self._saved = staleness, folder, saved
        self._versions: dict[int, PooledModel] = {}

    def publish(self, version: int) -> None:
        """See Sampler."""
        parameters = self._policy.parameters.items()
        tensors = {name: each.detach().cpu().clone() for name, each in parameters}
        for old in [each for each in self._versions if each < version - self._staleness]:
            del self._versions[old]  # workers free it when they load the next
        self._versions[version] = self._changed(tensors)
        if self._staleness:
            write_tensors_atomically(self._file(version), tensors, {"format": "pt"})
            self._tidy(version)

    def sample(
        self, version: int, prompts: Sequence[Sequence[int]], samples: int, sampling: Sampling
    ) -> Sampled:
        """See Sampler. Raises InputError where a worker isn't fit to be one."""
        try:
            drawn = sample(self._of(version), prompts, samples, sampling)
        except ModelUnavailable as error:
            why = str(error).partition(KEPT)[0].rstrip(" .")
            raise SamplerGone(
                f"{why}. What was learned before this step is saved: once there are workers, the same "
                "command goes on (`truing train` with --resume)"
            ) from None
        return Sampled([Group(version, each) for each in drawn.completions], drawn.entropy)

    def close(self) -> None:
        """See Sampler: the pool is its owner's to end."""
        self._versions.clear()

    def _of(self, version: int) -> PooledModel:
        """The model of a version; of one before the training was gone on with, from its file."""
        if version not in self._versions:
            file = self._file(version)
            if not file.is_file():
                raise InputError(
                    f"{self._folder}: holds no adapter of version {version}, which the next samples are "
                    "drawn by; bring the folder back, or begin anew elsewhere"
                )
            self._versions[version] = self._changed(load_file(file))
        return self._versions[version]

    def _changed(self, tensors: dict[str, Tensor]) -> PooledModel:
        return self._base.changed(Change(self._policy.adapter, tensors, self._int8))

    def _file(self, version: int) -> Path:
        return self._folder / f"v{version}.safetensors"

    def _tidy(self, version: int) -> None:
        """Removes the files of versions that nothing is drawn by any more."""
        saved = self._saved()
        for file in self._folder.glob("v*.safetensors"):
            number = int(file.stem[1:])
            if number < version - self._staleness and not saved - self._staleness <= number < saved:
                file.unlink()
