"""Slots: how many workers run at a time, and which GPU each of them has."""

from __future__ import annotations

import contextlib
import os
from functools import cache

from kdcore import machine
from kdcore.files import Damaged
from kdcore.workspace import settings, shapes
from kdcore.workspace.workspace import Workspace


@cache
def gpus() -> tuple[str, ...]:
    """The GPUs that workers may have, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = machine.gpus()
    if visible and found:
        return tuple(name.strip() for name in visible.split(","))
    return tuple(str(number) for number in range(len(found)))


def usual() -> int:
    """One for each GPU; one where there is none."""
    return max(1, len(gpus()))


def count(workspace: Workspace, otherwise: int | None = None) -> int:
    """As the settings say, else `otherwise`, else the usual number."""
    with contextlib.suppress(Damaged):
        return settings.read(workspace).slots or otherwise or usual()
    return otherwise or usual()


def environment(slot: int, count: int) -> dict[str, str]:
    """What a process in this slot of `count` finds in its environment: a GPU of its own, in turn where there are too
    few, and several where there are more than slots."""
    if not gpus():
        return {}
    own = gpus()[slot::count] or gpus()[slot % len(gpus()) :][:1]
    return {"CUDA_VISIBLE_DEVICES": ",".join(own)}


def stages_to_share(workspace: Workspace, run_id: str) -> int:
    """How many stages of a run still train and could start now: each could have a process of its own. Of a search, how
    many candidates are left."""
    with contextlib.suppress(Damaged, OSError, LookupError):
        if found := shapes.search(workspace.run(run_id)):
            return max(0, found["target"] - sum(trial["state"] in shapes.TRIED for trial in found["trials"]))
        due = [stage for stage in workspace.plan(run_id).stages if not workspace.complete(stage.key)]
        keys = {stage.key for stage in due}
        return sum(bool(stage.steps) and not keys & set(stage.inputs) for stage in due)
    return 0  # damaged, deleted, or a run without a plan
