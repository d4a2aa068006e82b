"""Truing: align a language model three ways and see what each way did.

from truing import Spec, align
result = align()  # or align(Spec(model="path/to/a/model"))
"""

from typing import TYPE_CHECKING, Any

from truing.version import __version__

__all__ = ["Aligned", "Spec", "__version__", "align"]

if TYPE_CHECKING:
    from truing.recipes.align import Aligned, align
    from truing.spec.run import Spec


def __getattr__(name: str) -> Any:
    """Loads the heavy parts when they are asked for, so that `truing --help` answers at once."""
    if name == "Spec":
        from truing.spec.run import Spec

        return Spec
    if name in ("align", "Aligned"):
        from truing.recipes import align as alignment

        return getattr(alignment, name)
    raise AttributeError(f"module 'truing' has no attribute {name!r}")
