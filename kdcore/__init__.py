"""kdcore: the engine of the laboratory. Distil, compress and measure classifiers of images and texts, honestly.

    >>> import kdcore
    >>> document = kdcore.run("quickstart")
    >>> kdcore.compare(document["run"])
    >>> small = kdcore.distill(teacher, student, train, validation, test)  # networks of your own: docs/python.md

Importing this package imports neither torch nor streamlit; the names in `__all__` are loaded when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kdcore.version import VERSION

if TYPE_CHECKING:
    from kdcore.api import compare, run, submit
    from kdcore.notebook import Comparison, Result, compress, distill, fit
    from kdcore.recipe import Recipe
    from kdcore.registry import register

__version__ = VERSION
__all__ = [
    "Comparison", "Recipe", "Result", "compare", "compress", "distill", "fit", "register", "run", "submit",
]  # fmt: skip

_MODULES = {
    "Recipe": "kdcore.recipe",
    "register": "kdcore.registry",
    **dict.fromkeys(("Comparison", "Result", "fit"), "kdcore.notebook"),
}
_PACKAGES = ("compress", "distill")  # which are functions too


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"{__name__}.{name}")
    if name in __all__:
        return getattr(import_module(_MODULES.get(name, "kdcore.api")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
