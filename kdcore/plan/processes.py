"""How many processes build the stages of a plan here, and how long they take together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psutil

from kdcore import machine
from kdcore.workspace import slots
from kdcore.workspace.plans import Stage
from kdcore.workspace.workspace import Workspace

WORTH_STEPS = 1000  # optimizer steps still to be made; a process takes seconds to start
MEMORY_BYTES = 2 * 2**30  # that must be free for a second process's libraries and images


def processes(due: Sequence[Stage]) -> int:
    """How many processes build these stages, which are not complete: 2 where a second one pays, else 1.

    Two processes need two sets of threads, so that neither waits for the other's cores.
    """
    if any(stage.devices > 1 for stage in due):
        return 1  # they take the cores themselves
    if machine.device() != "cpu" or machine.cores() < 2 * machine.threads():
        return 1
    trained = [stage.steps for stage in due if stage.steps]
    pays = len(trained) > 1 and sum(trained) >= WORTH_STEPS
    return 2 if pays and psutil.virtual_memory().available > MEMORY_BYTES else 1


def at_work(workspace: Workspace, due: Sequence[Stage]) -> int:
    """How many processes build these stages when no other run needs the slots."""
    several = slots.count(workspace)
    return several if several > 1 else processes(due)


def together(due: Sequence[Stage], seconds: Mapping[str, float], count: int) -> float:
    """The seconds until `count` processes have built these stages, each taking the first that is ready.

    `due`: in an order in which inputs come first. `seconds`: of each stage, by its key.
    """
    done: dict[str, float] = {}
    free = [0.0] * count
    left = list(due)
    while left:
        process = free.index(min(free))
        unbuilt = {stage.key for stage in left}
        starts = {
            stage.key: max((free[process], *(done.get(key, 0.0) for key in stage.inputs)))
            for stage in left
            if not unbuilt & set(stage.inputs)
        }
        key = min(starts, key=starts.__getitem__)
        done[key] = free[process] = starts[key] + seconds[key]
        left = [stage for stage in left if stage.key != key]
    return max(free)


def critical_path(due: Sequence[Stage], seconds: Mapping[str, float]) -> float:
    """The seconds of the longest chain of stages that need each other: what any number of processes takes at least.

    `due`, `seconds`: as in `together`.
    """
    ends: dict[str, float] = {}
    for stage in due:
        ends[stage.key] = seconds[stage.key] + max((ends.get(key, 0.0) for key in stage.inputs), default=0.0)
    return max(ends.values(), default=0.0)
