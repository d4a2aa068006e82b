"""Truing: align a language model by several methods and see what each did.

from truing import Spec, align
result = align()  # or align(Spec(model="path/to/a/model"))
"""

import os
from typing import TYPE_CHECKING, Any

from truing.version import __version__

__all__ = ["Aligned", "Evaluated", "Spec", "__version__", "align", "evaluate"]

if TYPE_CHECKING:
    from truing.recipes.align import Aligned, align
    from truing.recipes.evaluate import Evaluated, evaluate
    from truing.spec.run import Spec

_WAITING = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}


def _wait_without_spinning() -> None:
    """Lets threads of a product that wait for each other sleep soon, unless the user says how they wait.

    OpenMP's usual is to spin, for milliseconds: beside one other busy process each of thousands of small
    products then waits for a whole time slice of the scheduler (LOG.md). It reads this when PyTorch is
    loaded; no figure depends on it.
    """
    if not {"OMP_WAIT_POLICY", *_WAITING} & os.environ.keys():
        os.environ.update(_WAITING)


_wait_without_spinning()


def __getattr__(name: str) -> Any:
    """Loads the heavy parts when they are asked for, so that `truing --help` answers at once."""
    if name == "Spec":
        from truing.spec.run import Spec

        return Spec
    if name in ("align", "Aligned"):
        from truing.recipes import align as alignment

        return getattr(alignment, name)
    if name in ("evaluate", "Evaluated"):
        from truing.recipes import evaluate as evaluation

        return getattr(evaluation, name)
    raise AttributeError(f"module 'truing' has no attribute {name!r}")
