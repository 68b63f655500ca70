"""What a measurement needs to be installed."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore.export import openvino_runtime
from kdcore.problems import Problem


def problems(field: str, openvino: bool) -> Iterator[Problem]:
    """`openvino`: whether times in OpenVINO are asked for, in this field."""
    if openvino and not openvino_runtime.installed():
        yield Problem(field, f"{openvino_runtime.MISSING}; or measure without it")
