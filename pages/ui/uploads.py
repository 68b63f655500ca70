"""Files that somebody sends from the browser: kept in the workspace under the hash of their content."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from kdcore.data import upload
from pages.ui import draft, store
from pages.ui.text import plain

BLOCK = 2**20
PROBLEM = "upload_problem"


def offer(words: str, types: list[str], path: str) -> None:
    """A place to drop a file; its path on this machine then stands at `path` in the draft."""
    key = draft.key(f"{path}.upload")
    st.file_uploader(words, types, key=key, on_change=_take, args=(path, key))
    if problem := st.session_state.get(PROBLEM, {}).get(path):
        st.error(plain(problem), icon=":material/error:")


def _take(path: str, key: str) -> None:
    sent = st.session_state[key]
    st.session_state.pop(PROBLEM, None)
    if sent is None:
        return
    folder = store.workspace().root / "uploads"
    try:
        kept = upload.receive(sent, sent.name, folder) if sent.name.lower().endswith(".zip") else keep(sent, folder)
    except (upload.UploadError, OSError) as error:
        st.session_state[PROBLEM] = {path: f"{sent.name} was not taken: {error}"}
        return
    draft.put(draft.get(), path, str(kept))
    draft.renew()


def keep(sent: BinaryIO, folder: Path) -> Path:
    """Writes what was sent to `folder/<hash>/<name>`; the same content is kept once. It is not looked into here."""
    folder.mkdir(parents=True, exist_ok=True)
    part, digest = folder / f".{secrets.token_hex(8)}.part", hashlib.sha256()
    try:
        with part.open("xb") as out:
            while block := sent.read(BLOCK):
                digest.update(block)
                out.write(block)
        name = Path(sent.name.replace("\\", "/"))
        clean = re.sub(r"[^\w. -]+", "_", name.stem).strip(". ")[:80] or "file"
        target = folder / digest.hexdigest()[:32] / f"{clean}{name.suffix.lower()}"
        target.parent.mkdir(exist_ok=True)
        os.replace(part, target)
        return target
    finally:
        part.unlink(missing_ok=True)
