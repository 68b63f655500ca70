"""Is this machine fit for the work? What is checked, and what to do where it is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import NamedTuple

from kdcore import machine, plugins, registry
from kdcore.files import Damaged, NoLocks, require_locks
from kdcore.jobs import launcher, versions
from kdcore.jobs.api import queue
from kdcore.jobs.mending import way_out
from kdcore.paths import is_checkout
from kdcore.report import format
from kdcore.workspace import settings
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import Workspace

REMEDY = "pip install -r requirements.txt" if is_checkout() else "pip install --upgrade kdcore"
LOAD_SECONDS = 120.0
LEAST_FREE = 2 * 2**30
PROBE = (
    "import torch, onnx, onnxruntime, onnxscript, torch_pruning, safetensors;"
    "print('torch', torch.__version__, 'on', 'cuda' if torch.cuda.is_available() else 'cpu')"
)


class Check(NamedTuple):
    """One thing that was looked at. `found` says what was found, and the remedy where it is not `ok`."""

    name: str
    ok: bool
    found: str


def checks(workspace: Workspace) -> list[Check]:
    """Looks at Python, the libraries, plug-ins, device, disk, workspace, its runs, the queue and the launcher."""
    here = [_python(), _versions(), _libraries(), _plugins(), _device()]
    return [*here, _disk(workspace), *_runs(workspace), _queue(workspace), _launcher(workspace)]


def _python() -> Check:
    ok = sys.version_info >= (3, 11)
    return Check("python", ok, sys.version.split()[0] + ("" if ok else ": install Python 3.11 or later"))


def _versions() -> Check:
    """Outside the allowed ranges is a finding; other than the lock, which only says what was tested, is not."""
    here = versions.installed()
    if wrong := versions.differences(versions.allowed(), here):
        return Check("versions", False, f"not allowed: {_listed(wrong)}; {REMEDY}")
    lock = versions.locked()
    if not lock:
        return Check("versions", True, "in the allowed ranges")
    other = [one for one in versions.differences(lock, here) if one.installed]
    if not other:
        return Check("versions", True, "as in the lock file (requirements.txt)")
    return Check("versions", True, f"in the allowed ranges; different from the lock file: {_listed(other)}")


def _listed(found: list[versions.Difference]) -> str:
    return ", ".join(map(str, found))


def _libraries() -> Check:
    command = [sys.executable, "-c", PROBE]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        found = f"did not load within {format.duration(LOAD_SECONDS)}: try again when the machine is less busy"
        return Check("libraries", False, found)
    if answer.returncode:
        return Check("libraries", False, f"{answer.stderr.strip().splitlines()[-1]}: {REMEDY}")
    return Check("libraries", True, answer.stdout.strip())


def _plugins() -> Check:
    failed = [f"{one.plugin} was not loaded. {one.reason}" for one in registry.failures()]
    lines = [f"{name}: {', '.join(f'{e.kind} {e.name}' for e in made)}" for name, made in registry.plugged().items()]
    return Check("plug-ins", not failed, "\n".join(failed + lines) or f"none in {plugins.folders()[0]}")


def _device() -> Check:
    threads = format.plural(machine.threads(), "thread")
    return Check("device", True, f"{machine.device()}; {machine.describe()['summary']}; {threads} for training")


def _disk(workspace: Workspace) -> Check:
    try:
        workspace.ensure()
        probe = workspace.cache / ".probe"
        probe.touch()
        probe.unlink()
        require_locks(workspace.root)
    except NoLocks as error:
        return Check("workspace", False, str(error))
    except OSError as error:
        return Check("workspace", False, f"{workspace.root} cannot be written ({error.strerror}): set KDCORE_HOME")
    free = shutil.disk_usage(workspace.root).free
    found = f"{workspace.root}, {free / 2**30:.0f} GiB free"
    return Check("workspace", free >= LEAST_FREE, found if free >= LEAST_FREE else f"{found}: free some, or run gc")


def _runs(workspace: Workspace) -> list[Check]:
    index = Index(workspace)
    index.sync()
    rows = index.runs()
    found = [f"{row.id} is damaged: {row.error}. {way_out(row.id, row.damaged)}" for row in rows if row.damaged]
    noted = [f"{row.id}: {row.note}" for row in rows if row.note]
    unknown = [f"{name!r} is not a run; it is left alone" for name in workspace.unknown_entries()]
    lines = found + noted + unknown or ["all runs can be read"]
    return [
        Check("index", True, format.plural(len(rows), "run")),
        Check("runs", not found, "\n".join(lines)),
    ]


def _queue(workspace: Workspace) -> Check:
    now = queue(workspace)
    alive = "the queue is running" if now.dispatcher else "the queue is idle (it starts with the next run)"
    return Check("queue", now.dispatcher or not now.runs, f"{len(now.runs)} runs; {alive}")


def _launcher(workspace: Workspace) -> Check:
    """What the chosen launcher finds when it is tried."""
    try:
        chosen = launcher.of(settings.read(workspace).launcher)
        return Check("launcher", True, chosen.check(workspace))
    except (Damaged, launcher.Refused, launcher.Unreachable) as error:
        return Check("launcher", False, str(error))
