"""Where things are kept: the workspace (`KDCORE_HOME`) and the data sets (`KDCORE_DATA`)."""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The workspace's folder: `KDCORE_HOME`, or `workspace/` in the checkout."""
    return Path(os.environ.get("KDCORE_HOME") or CHECKOUT / "workspace").expanduser().resolve()


def data_home() -> Path:
    """The folder of the data sets: `KDCORE_DATA`, or `data/` in the workspace."""
    chosen = os.environ.get("KDCORE_DATA")
    return Path(chosen).expanduser().resolve() if chosen else home() / "data"
