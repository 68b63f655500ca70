"""The names of tensors in files that people bring: which belongs where in a network, and what does not fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kdcore import registry
from kdcore.lazy import torch
from kdcore.models.traits import ArchitectureTraits

EMA = re.compile(r"(^|_)(ema|swa)(_|$)")  # in the names of what holds a running mean of the weights
AROUND = ("module", "_orig_mod")  # what DataParallel and torch.compile add to names, wherever they were applied
NOT_WEIGHTS = ("n_averaged", "total_ops", "total_params")  # counters that programs leave among the tensors
SHOWN = 3  # names of each kind in a message


class UploadError(ValueError):
    """The file cannot be used; the message says what is wrong with it, and where that is known, what would do.

    `changes`: options of the source that would put it right.
    """

    def __init__(self, message: str, changes: Mapping[str, Any] = {}):
        super().__init__(message)
        self.changes = dict(changes)


class Held(NamedTuple):
    """What else a file holds. `both`: weights as they were trained and their running mean. `left`: names of tensors
    that are no part of the network."""

    both: bool
    left: Sequence[str]


def places(
    names: Iterable[str], own: Mapping[str, Any], document: Mapping[str, Any], *, ema: bool, decided: str
) -> tuple[dict[str, str], Held]:
    """Where each tensor of the file belongs: its name here, and its name in the file; what is left.

    The network's names may begin with what a trainer calls it, and there may be two, of which one is a running mean.
    `ema`: take the running mean. `decided`: whether that was "taken" or "left" already; empty where it was not.
    Raises UploadError.
    """
    given = {_bare(name): name for name in names if not name.endswith(NOT_WEIGHTS)}
    ours_already = all(name in given for name, tensor in own.items() if tensor.is_meta)
    known = {} if ours_already else _known(document)  # in some networks both have a "stage2", and mean two things
    ours = {name: known.get(name, name) for name in (*own, *known)}

    def fits(prefix: str) -> int:
        return sum(name.removeprefix(prefix) in ours for name in given if name.startswith(prefix))

    found = sorted(_prefixes(given), key=lambda prefix: (-fits(prefix), len(prefix)))
    means = [prefix for prefix in found if prefix and is_mean(prefix) and fits(prefix)]
    plain = [prefix for prefix in found if not is_mean(prefix) and (fits(prefix) or not means)]
    if ema and not means and decided != "taken":
        raise UploadError("it has no moving average of the weights (EMA): use the raw weights", {"ema": False})
    prefix = (means if means and (ema or not plain) else plain)[0]
    placed = {
        known.get(name.removeprefix(prefix), name.removeprefix(prefix)): place
        for name, place in given.items()
        if name.startswith(prefix) and not (prefix == "" and means and name.startswith(tuple(means)))
    }
    left = [place for place in given.values() if place not in placed.values()]
    return placed, Held(bool(means and plain) or bool(decided), left)


def _known(document: Mapping[str, Any]) -> Mapping[str, str]:
    """Another library's names of this network's tensors, to ours."""
    options = registry.validate("architecture", document["architecture"])
    theirs = ArchitectureTraits.of(options).names
    return theirs(options, document["classes"], tuple(document["shape"])) if theirs else {}


def _prefixes(names: Iterable[str]) -> set[str]:
    """What all of a network's names may begin with: nothing, or one or two parts of a name."""
    parts = [name.split(".") for name in names]
    return {"", *(".".join(one[:count]) + "." for one in parts for count in (1, 2) if len(one) > count)}


def is_mean(path: str) -> bool:
    return any(EMA.search(part) for part in path.split("."))


def _bare(name: str) -> str:
    """The name without what DataParallel and torch.compile add to it."""
    return ".".join(part for part in name.split(".") if part not in AROUND)


def compare(
    given: Mapping[str, tuple[int, ...]],
    own: Mapping[str, torch.Tensor],
    document: Mapping[str, Any],
    places: Mapping[str, str],
    left: Sequence[str],
) -> None:
    """`places`: the file's own names. `left`: those that are no part of the network. Raises UploadError."""
    missing = [name for name in own if name not in given and own[name].is_meta]
    unknown = [places[name] for name in given if name not in own] + (list(left) if missing else [])
    sizes = {name: (given[name], tuple(own[name].shape)) for name in own if name in given}
    other = {name: both for name, both in sizes.items() if both[0] != both[1]}
    if not missing and not unknown:
        _check_channels(other, document)
        _check_classes(other, document)
    of_other = [f"{places[name]} {theirs}, not {ours}" for name, (theirs, ours) in other.items()]
    kinds = (("missing", missing), ("unknown", unknown), ("of another shape", of_other))
    differences = [f"{kind}: {_some(names)}" for kind, names in kinds if names]
    if differences:
        chosen = document["architecture"]
        options = ", ".join(f"{name} {value}" for name, value in chosen.items() if name != "architecture")
        raise UploadError(
            f"the weights do not belong to {chosen['architecture']} ({options}) for {document['classes']} "
            f"classes and images of {'x'.join(map(str, document['shape']))}; tensors {'; '.join(differences)}"
        )


def _check_channels(other: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]], document: Mapping[str, Any]) -> None:
    """Says so where images of another number of channels is all that does not fit."""
    if len(other) != 1 or document["shape"][0] not in (1, 3):
        return
    (theirs, ours), channels = next(iter(other.values())), document["shape"][0]
    if len(theirs) == len(ours) == 4 and ours[1] == channels and theirs == (ours[0], theirs[1], *ours[2:]):
        message = f"the network expects {theirs[1]} channels, but these images have {channels}"
        if theirs[1] == 3:
            raise UploadError(f"{message}: set channels to repeated", {"channels": "repeated"})
        raise UploadError(f"{message}: use weights for images with as many channels")


def _check_classes(other: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]], document: Mapping[str, Any]) -> None:
    """Says so where a head for another number of classes is all that does not fit."""
    ours = document["classes"]
    counts = {sizes[0][:1] for sizes in other.values()}
    of_head = all(name.startswith("head.") and sizes[0][1:] == sizes[1][1:] for name, sizes in other.items())
    if of_head and len(counts) == 1:
        (theirs,) = counts.pop()
        raise UploadError(
            f"its head is for {theirs} classes, and this data set has {ours}: choose the data set whose {theirs} "
            f"classes it was trained on, or weights whose head was trained for these {ours}"
        )


def _some(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
