"""Distillation, compression and comparison of a person's own modules in Python, without workspace or dashboard."""

from kdcore.notebook.comparison import Comparison
from kdcore.notebook.result import Result
from kdcore.notebook.work import compare, compress, distill, fit

__all__ = ["Comparison", "Result", "compare", "compress", "distill", "fit"]
