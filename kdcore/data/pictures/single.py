"""One picture that somebody sends: opened in a process of its own, as pictures of a folder are."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import numpy as np

from kdcore.data.pictures import isolated
from kdcore.data.pictures.names import Refused

MOST_BYTES = 30_000_000
MOST_SIDE = 512  # pixels; a larger picture is made smaller
SECONDS = 15.0


def open_picture(content: bytes) -> np.ndarray:
    """The picture in `content`, upright: uint8 (H, W, 1 or 3), at most MOST_SIDE pixels a side.

    Raises Refused for what is no picture, or takes too much to open; its message says why and what to send.
    """
    if len(content) > MOST_BYTES:
        raise Refused(f"it has {len(content) / 1e6:,.0f} MB: send a picture of at most {MOST_BYTES / 1e6:.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(content)
        made = isolated.decode({"picture": str(path), "side": MOST_SIDE}, lambda progress: None, SECONDS)
    return np.frombuffer(base64.b64decode(made["pixels"]), np.uint8).reshape(made["shape"])
