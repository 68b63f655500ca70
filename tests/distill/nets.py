"""Small networks for the tests of methods that look inside."""

from __future__ import annotations

import torch

from kdcore import models, registry


def net(architecture, seed=0, **options):
    """A network for digits, in training mode, whose weights depend on the seed alone."""
    torch.manual_seed(seed)
    chosen = registry.validate("architecture", {"architecture": architecture, **options})
    return models.create(chosen, 10, (1, 8, 8), [0.3], [0.4])
