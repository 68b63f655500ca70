"""Data sets on disk: prepared once as plain arrays, then memory-mapped by every process that reads them."""

from __future__ import annotations

import json
import shlex

from kdcore import arrays, inputs, registry
from kdcore.data.places import missing, place, ready
from kdcore.data.prepare import prepare
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import ITEMS, LABELS, Dataset
from kdcore.problems import Problem, RecipeError
from kdcore.registry import Options


class NotFetched(RecipeError):
    """The data set is not prepared on this machine, and making it takes a download or some time.

    `source`: its options. `title`: its name in messages. `download_bytes`: about how much would be downloaded now;
    0 where it only has to be prepared. `command`: how to fetch it from a shell.
    """

    def __init__(self, source: Options, title: str, download_bytes: int):
        self.source, self.title, self.download_bytes = source, title, download_bytes
        name = registry.entry_of("dataset", source).name
        chosen = {"dataset": name} | source.model_dump(mode="json", exclude_defaults=True)
        wanted = name if len(chosen) == 1 else shlex.quote(json.dumps(chosen, ensure_ascii=False))
        self.command = f"python -m kdcore fetch {wanted}"
        state, button = (
            (f"is not on this machine yet ({megabytes(download_bytes)})", "Download")
            if download_bytes
            else ("is not prepared yet (nothing to download)", "Prepare")
        )
        super().__init__(
            [Problem("data.source", f"{title} {state}: fetch it with `{self.command}`, or press {button}")]
        )


def megabytes(size: int) -> str:
    """Bytes in words."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 0.1):.3g} MB"


def load(source: Options) -> Dataset:
    """The data set that these options choose, out of `place(source)`.

    One that needs no download and no time is prepared there on first use. Raises NotFetched where it would, other
    RecipeErrors where the options name files that are not there, ValueError where a registered data set returns arrays
    that do not fit together.
    """
    entry = registry.entry_of("dataset", source)
    folder = place(source)
    if not ready(folder):
        if fetch := DatasetTraits.of(source).fetch:
            raise NotFetched(source, fetch.title(source), sum(f.bytes for f in missing(source)))
        prepare(entry.implementation, source, folder)
    info = json.loads((folder / "info.json").read_text("utf-8"))
    kind = inputs.named(info.get("kind", "pictures"))
    return Dataset(
        name=info["name"],
        classes=tuple(info["classes"]),
        fingerprint=info["fingerprint"],
        mean=tuple(info["mean"]),
        std=tuple(info["std"]),
        **{name: arrays.mapped(folder / f"{name}.npy") for name in LABELS},
        **{name: kind.load(folder, name) for name in ITEMS},
        kind=kind,
    )
