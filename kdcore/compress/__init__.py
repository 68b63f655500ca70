"""Compression steps, one file each: (material, options) -> outcome, registered by name.

`kdcore.compress(model, steps, train, validation, ...)` is `kdcore.notebook.compress`, for a network of your own.
"""

from kdcore.lazy import callable_package

callable_package(__name__, "kdcore.notebook:compress")
