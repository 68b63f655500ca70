"""The usual teacher: trained by the run itself."""

from __future__ import annotations

from kdcore.distill.source import Source
from kdcore.distill.traits import TeacherTraits
from kdcore.inputs import EVERY
from kdcore.registry import Options, register


class Trained(Options):
    """A teacher that is trained here has its options beside this one: teacher.model and teacher.train."""


@register(
    "teacher",
    "trained",
    "Trained here, on all labels",
    options=Trained,
    traits=TeacherTraits(stage="train teacher", reads=EVERY),
)
class TrainedTeacher(Source[Trained]):
    """The run trains it."""
