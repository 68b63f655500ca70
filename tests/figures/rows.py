"""Rows of the comparison as the figures take them."""

from __future__ import annotations

from typing import Any

from kdcore.report.quality import Quality


def row(variant: str, role: str, accuracy: float, size: int, **more: Any) -> dict[str, Any]:
    made = {
        "run": "r1",
        "variant": variant,
        "role": role,
        "accuracy": accuracy,
        "accuracy_low": accuracy - 0.02,
        "accuracy_high": accuracy + 0.01,
        "measure": "accuracy",
        "score": accuracy,
        "score_low": accuracy - 0.02,
        "score_high": accuracy + 0.01,
        "size_bytes": size,
        "session": "s1",
        "latency_ms": size / 1e6,
        "images_per_s": 1e9 / size,
        "speedup": 1000 / size * 100,
        "speedup_differs": True,
        "throughput_gain": 1e5 / size,
        "throughput_differs": True,
        "values": {},
        "verdict": None,
        "against": "",
    } | more
    score = [made[name] for name in ("score", "score_low", "score_high")]
    return {"quality": None if score[0] is None else Quality(made["measure"], *score)} | made


def quickstart() -> list[dict[str, Any]]:
    return [
        row("teacher", "teacher", 0.99, 400_000),
        row("student alone", "alone", 0.86, 100_000),
        row("student on hard labels", "hard_labels", 0.95, 100_000),
        row("student distilled", "distilled", 0.98, 100_000),
        row("pruned 25 %", "pruned", 0.97, 60_000),
        row("int8", "quantized", 0.965, 20_000),
    ]
