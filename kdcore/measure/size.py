"""How large a deployed file is."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from kdcore.export import coded


def size(path: Path) -> dict[str, int | None]:
    """`size_bytes` of the file; `zip_bytes` of a zip archive that holds nothing else, and `coded_bytes` of the
    entropy-coded file beside it, None where there is none: both storage only."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packing:
        packing.writestr(path.name, path.read_bytes())
    beside = path.with_name(coded.NAME)
    return {
        "size_bytes": path.stat().st_size,
        "zip_bytes": archive.getbuffer().nbytes,
        "coded_bytes": beside.stat().st_size if beside.is_file() else None,
    }
