"""Truing: align a language model by several methods and see what each did.

from truing import Spec, align
result = align()  # or align(Spec(model="path/to/a/model"))
"""

from typing import TYPE_CHECKING, Any

from truing.version import __version__

__all__ = ["Aligned", "Evaluated", "Spec", "__version__", "align", "evaluate"]

if TYPE_CHECKING:
    from truing.recipes.align import Aligned, align
    from truing.recipes.evaluate import Evaluated, evaluate
    from truing.spec.run import Spec


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
