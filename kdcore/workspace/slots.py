"""Slots: how many workers run at a time, and which GPU each of them has."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
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


def environment(chosen: Iterable[int], count: int) -> dict[str, str]:
    """What a process in these slots of `count` finds in its environment: their GPUs."""
    return {"CUDA_VISIBLE_DEVICES": ",".join(_gpus_of(chosen, count))} if gpus() else {}


def _gpus_of(chosen: Iterable[int], count: int) -> list[str]:
    """A GPU for each slot, in turn where there are too few, and several where there are more than slots."""
    found = (gpus()[slot::count] or gpus()[slot % len(gpus()) :][:1] for slot in chosen)
    return list(dict.fromkeys(name for own in found for name in own))


def enough(free: Sequence[int], count: int, wanted: int) -> tuple[int, ...]:
    """The first of these slots of `count` that together have `wanted` GPUs, or all where there are no more; none while
    they have fewer. One without GPUs."""
    least = min(wanted, len(gpus()))
    for number in range(1, len(free) + 1):
        if not gpus() or len(_gpus_of(free[:number], count)) >= least:
            return tuple(free[:number])
    return ()


def devices(workspace: Workspace, run_id: str) -> int:
    """On how many devices a run trains a network at once."""
    with contextlib.suppress(Damaged, OSError, LookupError):
        if shapes.search(workspace.run(run_id)) is None:
            return max((stage.devices for stage in workspace.plan(run_id).stages), default=1)
    return 1  # a search, damaged, deleted, or a run without a plan


def most_devices(workspace: Workspace) -> tuple[int, str] | None:
    """On how many devices a worker of this workspace can train a network, and what they are; None where the cluster
    decides, which gives a job as many as it needs."""
    with contextlib.suppress(Damaged):
        job = settings.read(workspace).launcher
        if hasattr(job, "gpus"):
            return None if job.gpus else (getattr(job, "cpus", 1), "cores of a job, which has no GPU")
    return (len(gpus()), "GPUs of this machine") if gpus() else (machine.cores(), "cores of this machine")


def stages_to_share(workspace: Workspace, run_id: str) -> int:
    """How many stages of a run still train and could start now: each could have a process of its own. Of a search, how
    many candidates are left."""
    with contextlib.suppress(Damaged, OSError, LookupError):
        if found := shapes.search(workspace.run(run_id)):
            return max(0, found["target"] - sum(trial["state"] in shapes.TRIED for trial in found["trials"]))
        due = [stage for stage in workspace.plan(run_id).stages if not workspace.complete(stage.key)]
        if any(stage.devices > 1 for stage in due):
            return 0  # the worker of the run has the slots that these need
        keys = {stage.key for stage in due}
        return sum(bool(stage.steps) and not keys & set(stage.inputs) for stage in due)
    return 0  # damaged, deleted, or a run without a plan
