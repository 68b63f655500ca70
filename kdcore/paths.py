"""Where things are kept: the workspace (`KDCORE_HOME`), the data sets (`KDCORE_DATA`) and the dashboard's script."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent  # of an installed wheel: site-packages
PACKED = PACKAGE / "_dashboard"  # where a wheel has what stands at the root of the checkout


def is_checkout() -> bool:
    """Whether this code runs from a checkout (an editable installation too), not from an installed wheel."""
    return not PACKED.is_dir()


def dashboard() -> Path:
    """The script that Streamlit runs; its configuration and pages stand beside it."""
    return (CHECKOUT if is_checkout() else PACKED) / "app.py"


def home() -> Path:
    """The workspace's folder: `KDCORE_HOME`, or `workspace/` in the checkout; of a wheel `~/.local/share/kdcore`."""
    usual = CHECKOUT / "workspace" if is_checkout() else Path("~/.local/share/kdcore")
    return Path(os.environ.get("KDCORE_HOME") or usual).expanduser().resolve()


def index_of(root: Path) -> Path:
    """The index of the workspace in `root`: there, or in the folder `KDCORE_INDEX`, on a disk that is not shared."""
    chosen = os.environ.get("KDCORE_INDEX")
    if not chosen:
        return root / "index.sqlite"
    name = hashlib.sha256(str(root).encode()).hexdigest()[:16]
    return Path(chosen).expanduser().resolve() / f"{name}.sqlite"


def data_home() -> Path:
    """The folder of the data sets: `KDCORE_DATA`, or `data/` in the workspace."""
    chosen = os.environ.get("KDCORE_DATA")
    return Path(chosen).expanduser().resolve() if chosen else home() / "data"


def absolute(path: str) -> str:
    """A path as somebody typed it, made absolute; an unknown ~user stays as it is, and nothing stays nothing.

    Raises ValueError, for a validator of options.
    """
    if "\0" in path:
        raise ValueError("a path cannot contain a null character")
    return str(Path(os.path.expanduser(path)).absolute()) if path.strip() else ""
