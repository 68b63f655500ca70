"""Plug-ins: a person's own Python files that register data sets, architectures, methods, steps and more.

They lie in `plugins/` of the workspace and in the folders that `KDCORE_PLUGINS` names (separated as in PATH), a `.py`
file or a folder with `__init__.py` each; or an installed package names a module under the entry point `kdcore.plugins`.
They are code of the owner and run with the owner's rights: nothing that is uploaded or imported is ever written there.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import NamedTuple

from kdcore.paths import home

FOLDERS, GROUP = "KDCORE_PLUGINS", "kdcore.plugins"


class Plugin(NamedTuple):
    """`name`: of its file, folder or entry point. `module`: under which it is imported; `file`: from where, where it is
    not installed. `digest`: sha256 of its source, 64 hex digits; "" until it is known."""

    name: str
    module: str
    file: Path | None
    digest: str = ""


class Failure(NamedTuple):
    """A plug-in that was left out, and why, in a line."""

    plugin: str
    reason: str


def folders() -> list[Path]:
    """Where plug-ins are looked for; they need not exist."""
    named = filter(None, os.environ.get(FOLDERS, "").split(os.pathsep))
    return list(dict.fromkeys([home() / "plugins", *(Path(one).expanduser().resolve() for one in named)]))


def found() -> list[Plugin]:
    """All that there are, in a fixed order: those in folders, then installed ones."""
    files = [_of_file(path) for folder in folders() for path in _files(folder)]
    installed = sorted(entry_points(group=GROUP), key=lambda one: one.name)
    return [*files, *map(_of_package, installed)]


def load(plugin: Plugin) -> None:
    """Imports it. Raises whatever its code raises."""
    if plugin.file is None:
        importlib.import_module(plugin.module)
        return
    inside = [str(plugin.file.parent)] if plugin.file.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(plugin.module, plugin.file, submodule_search_locations=inside)
    if spec is None or spec.loader is None:
        raise ImportError(f"{plugin.file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[plugin.module] = module  # pydantic looks there for a class's annotations
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[plugin.module]
        raise


def with_digest(plugin: Plugin) -> Plugin:
    """The same with the sha256 of its source: of the file, or of every `.py` file of its folder. Raises OSError."""
    digest = hashlib.sha256()
    for path in _sources(plugin):
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return plugin._replace(digest=digest.hexdigest())


def _sources(plugin: Plugin) -> Iterator[Path]:
    file = plugin.file
    if file is None:
        spec = importlib.util.find_spec(plugin.module)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"there is no module {plugin.module}")
        file = Path(spec.origin)
    yield from sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    own = [path if path.suffix == ".py" else path / "__init__.py" for path in sorted(folder.iterdir())]
    return [path for path in own if path.is_file() and not _name(path).startswith((".", "_"))]


def _name(file: Path) -> str:
    return file.parent.name if file.name == "__init__.py" else file.name


def _of_file(file: Path) -> Plugin:
    name = _name(file)
    place = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    return Plugin(name, f"kdcore_plugin_{name.removesuffix('.py')}_{place}", file)


def _of_package(point: EntryPoint) -> Plugin:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else point.module
    return Plugin(f"{point.name} of {package}", point.module, None)
