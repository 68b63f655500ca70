"""The usual way: the teacher is trained first, then it teaches."""

from __future__ import annotations

from kdcore.distill.scheme import Scheme
from kdcore.registry import Options, register


class Offline(Options):
    """The usual way has no options."""


@register(
    "scheme",
    "offline",
    "A trained teacher teaches the student",
    source="Hinton et al. 2015, arXiv:1503.02531",
    options=Offline,
)
class OfflineScheme(Scheme[Offline]):
    """Teacher first, student after."""
