"""How large a deployed file is."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path


def size(path: Path) -> dict[str, int]:
    """`size_bytes` of the file, and `zip_bytes` of a zip archive that holds nothing else: storage only."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packing:
        packing.writestr(path.name, path.read_bytes())
    return {"size_bytes": path.stat().st_size, "zip_bytes": archive.getbuffer().nbytes}
