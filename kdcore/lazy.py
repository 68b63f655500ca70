"""torch for modules that must be importable without it.

`from kdcore.lazy import torch` costs nothing until an attribute is read. The proxies stay out of
`sys.modules` on purpose: libraries that look for torch there (scipy does) must not wake it.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any


class _LazyModule(ModuleType):
    def __getattr__(self, attribute: str) -> Any:
        value = getattr(importlib.import_module(self.__name__), attribute)
        setattr(self, attribute, value)  # the next look is as quick as the module's own
        return value


if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.nn import functional
else:
    torch = _LazyModule("torch")
    nn = _LazyModule("torch.nn")
    functional = _LazyModule("torch.nn.functional")

__all__ = ["functional", "nn", "torch"]
