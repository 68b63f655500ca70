"""Whether a model that is there can be used again, and what happens to one that is damaged."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from kdcore.distill.traits import TeacherTraits
from kdcore.workspace.library import maker
from kdcore.workspace.plans import Stage
from kdcore.workspace.workspace import Workspace

log = logging.getLogger(__name__)


class DamagedTeacher(LookupError):
    """The files of the model that should teach are damaged, and this run cannot make it again."""


def sound(workspace: Workspace, key: str) -> bool:
    """Whether the model of this key is finished, and its files are what was written."""
    return workspace.complete(key) and workspace.damage(key, read=None) is None


def usable(workspace: Workspace, files: Mapping[str, Path]) -> dict[str, Path]:
    """Those of these models' files that can be measured; the log says which are damaged."""
    damaged = {key: reason for key in files if (reason := workspace.damage(key, read=None))}
    for key, reason in damaged.items():
        log.warning("model %s is left out, it is damaged (%s): resume the run that made it", key[:12], reason)
    return {key: path for key, path in files.items() if key not in damaged}


def make_room(workspace: Workspace, stage: Stage) -> str | None:
    """Moves a damaged model of this stage to the trash, so that it can be made again; what is wrong with it.

    The stage's lock must be held. None where there is nothing to move. Raises DamagedTeacher.
    """
    teaches = stage.spec["content"] if stage.kind == "given" and _of_a_run(stage) else None
    if teaches and (reason := workspace.damage(teaches, read=None)):
        by = maker(workspace, teaches)
        remedy = f"resume {by}, which makes it again" if by else "no run can rebuild it: train another"
        raise DamagedTeacher(f"the teacher, model {teaches[:12]}, is damaged: {reason}; {remedy}")
    reason = workspace.damage(stage.key, read=None)
    if reason:
        log.warning("%s: its model is damaged (%s); it is moved to the trash and rebuilt", stage.title, reason)
        workspace.set_aside(stage.key)
    return reason


def _of_a_run(stage: Stage) -> bool:
    return TeacherTraits.named(stage.spec["teacher"]).model
