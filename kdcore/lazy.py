"""torch for modules that must be importable without it.

`from kdcore.lazy import torch` costs nothing until an attribute is read. The proxies stay out of
`sys.modules` on purpose: libraries that look for torch there (scipy does) must not wake it.
"""

from __future__ import annotations

import importlib
import sys
from inspect import Signature, signature
from pkgutil import resolve_name
from types import ModuleType
from typing import TYPE_CHECKING, Any


class _LazyModule(ModuleType):
    def __getattr__(self, attribute: str) -> Any:
        value = getattr(importlib.import_module(self.__name__), attribute)
        setattr(self, attribute, value)  # the next look is as quick as the module's own
        return value


class _CallableModule(ModuleType):
    """A package that is also a function, `__function__`, which is imported when it is called."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return resolve_name(self.__function__)(*args, **options)

    @property
    def __signature__(self) -> Signature:
        return signature(resolve_name(self.__function__))


def callable_package(package: str, function: str) -> None:
    """Makes the package, which is being imported, call this function ("module:name"): `kdcore.distill(...)`."""
    module = sys.modules[package]
    module.__class__ = _CallableModule
    module.__function__ = function  # type: ignore[attr-defined]


if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.nn import functional
else:
    torch = _LazyModule("torch")
    nn = _LazyModule("torch.nn")
    functional = _LazyModule("torch.nn.functional")

__all__ = ["callable_package", "functional", "nn", "torch"]
