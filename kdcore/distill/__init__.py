"""Distillation methods, one file each: a pure loss, and a thin class that is registered by name.

`kdcore.distill(teacher, student, train, validation, ...)` is `kdcore.notebook.distill`, for networks of your own.
"""

from kdcore.lazy import callable_package

callable_package(__name__, "kdcore.notebook:distill")
