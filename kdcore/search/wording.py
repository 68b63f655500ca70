"""Settings of candidates in words. No torch, no Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

IN_THE_LABEL = ("student.", "with.", "order of ", "last")  # what these begin with, a candidate's label says


def words(setting: str) -> str:
    """A setting as people read it: "student width", "with low rank", "int8 calibration", "last step"."""
    if setting == "last":
        return "last step"
    return setting.replace("distill.", "distillation ").replace("finetune.", "fine-tuning ").replace(".", " ").replace(
        "_", " "
    )  # fmt: skip


def apart(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of each candidate, the options in which these differ and which its label does not show: "distillation temperature
    4, prune structured round to 2"."""
    found = differing(rows)
    return [
        ", ".join(f"{name} {values[place]}" for name, values in found.items() if values[place])
        for place in range(len(rows))
    ]  # fmt: skip


def differing(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The options in which these candidates differ and which their labels do not show, with the value of each; empty
    where a candidate has no such option."""
    settings = [row["settings"] for row in rows]
    names = [name for name in dict.fromkeys(name for one in settings for name in one)
             if not name.startswith(IN_THE_LABEL) and len({str(one.get(name)) for one in settings}) > 1]  # fmt: skip
    return {words(name): [_written(one[name]) if name in one else "" for one in settings] for name in names}


def namesakes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The candidates' labels; those that share theirs say in brackets in which options they differ."""
    found = []
    for row in rows:
        same = [other for other in rows if other["label"] == row["label"]]
        differs = apart(same)[same.index(row)]
        found.append(f"{row['label']} ({differs})" if differs else row["label"])
    return found


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
