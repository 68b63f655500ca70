"""Running out of memory: reported with what would fit, and never worked around silently."""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch


class OutOfMemory(RuntimeError):
    """The batch does not fit the memory of so many devices.

    `fits`: the largest power-of-two part of it that does; None: none does, or of several devices it is not known.
    """

    def __init__(self, batch_size: int, fits: int | None, devices: int = 1):
        if devices == 1:
            advice = f"; batches of {fits} fit" if fits else "; smaller ones do not fit either"
        else:
            advice = f" on {devices} devices: take smaller ones, or more devices"
        super().__init__(f"out of memory with batches of {batch_size} images{advice}")
        self.batch_size, self.fits = batch_size, fits


def ran_out(error: BaseException) -> bool:
    """Whether this error says that the device, or the machine, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def largest(batch_size: int, attempt: Callable[[int], None]) -> int | None:
    """The largest of batch_size/2, /4 ... down to 2 with which `attempt` does not run out of memory."""
    size = batch_size // 2
    while size >= 2:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            attempt(size)
        except Exception as error:
            if not ran_out(error):
                raise
            size //= 2
        else:
            return size
    return None
