"""Weights files that people bring for an architecture of the zoo: read as hostile input.

A safetensors file is read here. PyTorch's own files are pickles, so they are read with `weights_only` in a
subprocess with limits (`python -m kdcore.models.upload SOURCE TARGET`), which hands over safetensors.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from kdcore import registry
from kdcore.lazy import nn, torch
from kdcore.models import zoo
from kdcore.models.traits import ArchitectureTraits
from kdcore.paths import CHECKOUT
from kdcore.problems import first_line

TIMEOUT_SECONDS = 300
SPARE_BYTES = 3 * 2**30  # what torch takes, beside four times the file
WRAPPERS = ("state_dict", "model", "model_state_dict", "net")  # under which training scripts put the tensors
SHOWN = 3  # names of each kind in a message
FLOATS = ("F64", "F32", "F16", "BF16")  # as safetensors names them
WHOLE = ("I64", "I32", "I16", "I8", "U8")  # in which a count may be
REFUSED = 3  # the subprocess's exit code when its last line is for the person


class UploadError(ValueError):
    """The file cannot be used; the message says what is wrong with it, and where that is known, what would do."""


def read(path: Path, document: Mapping[str, Any]) -> nn.Module:
    """The network of a `describe` document with the weights in a .safetensors, .pt or .pth file, in eval mode.

    What the file is, its content tells. Tensors may be under "state_dict" or "model", and their names may
    begin with "module."; those of torchvision's models may be torchvision's own. The `normalize` layer may be absent:
    then it is the document's. Raises UploadError.
    """
    kind = kind_of(path)
    with tempfile.TemporaryDirectory() as folder:
        plain = path if kind == "safetensors" else _converted(path, Path(folder) / "tensors.safetensors")
        tensors = _tensors(plain, document)
    _check_values(tensors)
    try:
        return zoo.rebuild(document, tensors)
    except ValueError as error:
        raise UploadError(f"the weights do not make a network: {error}") from None


def kind_of(path: Path) -> Literal["safetensors", "torch"]:
    """What wrote a weights file, as its first bytes tell. No torch. Raises UploadError."""
    with path.open("rb") as file:
        start = file.read(9)
    if not start:
        raise UploadError("the weights file is empty")
    if start[8:] == b"{":
        return "safetensors"
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return "torch"
    raise UploadError("this is no weights file: neither safetensors nor one that torch.save wrote")


def _tensors(path: Path, document: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The file's tensors under the architecture's names, in fp32. Raises UploadError before it reads misfits."""
    from safetensors import SafetensorError, safe_open

    own = _expected(document)
    try:
        with safe_open(path, framework="pt") as file:
            about = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            places = _places(about, own, document)
            _compare({ours: tuple(about[theirs].get_shape()) for ours, theirs in places.items()}, own, document)
            _check_kinds({ours: about[theirs].get_dtype() for ours, theirs in places.items()}, own)
            tensors = {ours: file.get_tensor(theirs) for ours, theirs in places.items()}
    except (SafetensorError, OSError) as error:
        raise UploadError(f"the weights file is damaged or cut short ({error})") from None
    return own | {name: tensor.to(own[name].dtype) for name, tensor in tensors.items()}


def _check_kinds(kinds: Mapping[str, str], own: Mapping[str, torch.Tensor]) -> None:
    for name, kind in kinds.items():
        if kind not in (FLOATS if own[name].is_floating_point() else WHOLE):
            wanted = "float32" if own[name].is_floating_point() else "int64"
            raise UploadError(f"tensor {name!r} holds numbers of the kind {kind}: save it as {wanted}")


def _check_values(tensors: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise UploadError(
                f"tensor {name!r} holds numbers that are not finite (NaN, infinity or beyond float32): "
                "give the weights of a training that did not diverge"
            )
        if name == "normalize.std" and not (tensor > 0).all():
            raise UploadError(f"tensor {name!r} holds a standard deviation that is not above zero: leave it out")
        if name.endswith("running_var") and not (tensor >= 0).all():
            raise UploadError(f"tensor {name!r} holds a variance below zero: the file is damaged, or of other layers")


def _expected(document: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The architecture's tensors: on the meta device, but for those with the values that a file may leave out."""
    options = registry.validate("architecture", document["architecture"])
    mean, std = document["mean"], document["std"]
    with torch.device("meta"):
        network = zoo.create(options, document["classes"], tuple(document["shape"]), mean, std, fetch=False)
    own = {
        name: torch.zeros((), dtype=tensor.dtype) if _is_count(name) else tensor
        for name, tensor in network.state_dict().items()
    }
    return own | {
        f"normalize.{name}": torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
        for name, values in (("mean", mean), ("std", std))
    }


def _is_count(name: str) -> bool:
    return name.endswith("num_batches_tracked")  # batch norm's, which old files do not have


def _places(names: Iterable[str], own: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, str]:
    """Where each tensor of the file belongs: its name here, and its name in the file."""
    given = {_bare(name, names): name for name in names}
    options = registry.validate("architecture", document["architecture"])
    theirs = ArchitectureTraits.of(options).names
    if theirs and not given.keys() <= own.keys():
        known = theirs(options, document["classes"], tuple(document["shape"]))
        given = {known.get(name, name): place for name, place in given.items()}
    return given


def _bare(name: str, names: Iterable[str]) -> str:
    """The name without the "module." that all of the names have when they come from DataParallel."""
    return name.removeprefix("module.") if all(other.startswith("module.") for other in names) else name


def _compare(
    given: Mapping[str, tuple[int, ...]], own: Mapping[str, torch.Tensor], document: Mapping[str, Any]
) -> None:
    missing = [name for name in own if name not in given and own[name].is_meta]
    unknown = [name for name in given if name not in own]
    other = [
        f"{name} {shape}, not {tuple(own[name].shape)}"
        for name, shape in ((name, given[name]) for name in own if name in given)
        if shape != tuple(own[name].shape)
    ]
    kinds = (("missing", missing), ("unknown", unknown), ("of another shape", other))
    told = [f"{kind}: {_some(names)}" for kind, names in kinds if names]
    if told:
        chosen = document["architecture"]
        options = ", ".join(f"{name} {value}" for name, value in chosen.items() if name != "architecture")
        raise UploadError(
            f"the weights are not those of {chosen['architecture']} ({options}) for {document['classes']} classes and "
            f"images of {'x'.join(map(str, document['shape']))}; tensors {'; '.join(told)}"
        )


def _some(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _converted(path: Path, target: Path) -> Path:
    """The same tensors as safetensors in `target`, which a subprocess with limits writes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TORCH_FORCE")}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "kdcore.models.upload", str(path.resolve()), str(target)],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd=CHECKOUT,
            env=environment | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UploadError(f"reading the weights file took longer than {TIMEOUT_SECONDS} s") from None
    if done.returncode == REFUSED:
        raise UploadError(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UploadError(f"the weights file cannot be read within the limits of memory and time: {reason}")
    return target


def _convert(source: Path, target: Path) -> None:
    """What the subprocess does. Raises UploadError, MemoryError."""
    from safetensors.torch import save_file

    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((line for line in str(error).splitlines() if "GLOBAL" in line), first_line(error))
        raise UploadError(
            f"the file holds more than tensors, and opening such a file can run code ({reason.strip()[:200]}); "
            "save the network's state_dict() alone, or safetensors"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        reason = first_line(error)
        raise UploadError(f"the weights file is damaged or cut short ({reason[:200]})") from None
    found = {name: value for name, value in _unwrapped(content).items() if isinstance(value, torch.Tensor)}
    for name, value in found.items():
        if value.layout != torch.strided or value.is_quantized:
            raise UploadError(f"tensor {name!r} is sparse or quantized; plain numbers are needed")
        if value.is_complex() or (value.is_floating_point() and value.element_size() < 2):
            kind = str(value.dtype).removeprefix("torch.")
            raise UploadError(f"tensor {name!r} holds numbers of the kind {kind}: save it as float32")
    save_file({name: value.detach().contiguous().clone() for name, value in found.items()}, target)


def _unwrapped(content: Any) -> Mapping[str, Any]:
    """The mapping from names to tensors, wherever a training script has put it."""
    for _ in range(3):
        if not isinstance(content, Mapping):
            raise UploadError(f"the file holds a {type(content).__name__}, not tensors by name (a state_dict)")
        if any(isinstance(value, torch.Tensor) for value in content.values()):
            return {str(name): value for name, value in content.items()}
        inner = next((content[name] for name in WRAPPERS if name in content), None)
        if inner is None:
            break
        content = inner
    keys = ", ".join(map(repr, list(content)[:5])) or "nothing"
    raise UploadError(f"the file holds {keys}, but no tensors by name; they may be under 'state_dict' or 'model'")


def _limit(size: int) -> None:
    """Bounds the memory, the processor time and the output of this process. Windows has no such limits."""
    try:
        import resource
    except ImportError:
        return
    for limit, most in (
        (resource.RLIMIT_DATA, SPARE_BYTES + 4 * size),
        (resource.RLIMIT_CPU, TIMEOUT_SECONDS),
        (resource.RLIMIT_FSIZE, 4 * size + 2**20),
    ):
        hard = resource.getrlimit(limit)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (bound, bound))


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    _limit(source.stat().st_size)
    try:
        _convert(source, target)
    except UploadError as error:
        print(error, file=sys.stderr)
        sys.exit(REFUSED)
    except MemoryError:
        print("the weights file needs more memory than files of its size should", file=sys.stderr)
        sys.exit(REFUSED)
