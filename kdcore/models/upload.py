"""Weights files that people bring for an architecture of the zoo: read as hostile input.

A safetensors file is read here. PyTorch's own files are pickles, so they are read with `weights_only` in a
subprocess with limits (`python -m kdcore.models.upload SOURCE TARGET`), which hands over safetensors.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kdcore import child, registry
from kdcore.lazy import nn, torch
from kdcore.models import zoo
from kdcore.models.upload_names import Held, UploadError, compare, is_mean, places
from kdcore.problems import first_line

TIMEOUT_SECONDS = 300
SPARE_BYTES = 3 * 2**30  # what torch takes, beside four times the file
WRAPPERS = ("state_dict", "model", "model_state_dict", "net", "network", "state_dict_ema", "model_ema", "ema")
EMA_TOLD = "kdcore.ema"  # in the metadata of a converted file: what became of the running mean
DEEPEST = 4  # mappings within mappings
FLOATS = ("F64", "F32", "F16", "BF16")  # as safetensors names them
WHOLE = ("I64", "I32", "I16", "I8", "U8")  # in which a count may be
REFUSED = 3  # the subprocess's exit code when its last line is for the person


class Wanted(NamedTuple):
    """What to make of a file. `document`: a `describe` document of the network.

    `ema`: take the running mean of the weights, where there are others too. `own`: take the file's own normalisation
    where it has one. `order`: the class of each output; empty: as the document's come.
    """

    document: Mapping[str, Any]
    ema: bool = False
    own: bool = True
    order: Sequence[int] = ()


def read(path: Path, document: Mapping[str, Any]) -> nn.Module:
    """The network of a `describe` document with the weights in a file; see `take`. Raises UploadError."""
    return take(path, Wanted(document))[0]


def take(path: Path, wanted: Wanted) -> tuple[nn.Module, Held]:
    """The network with the weights in a file that torch.save or safetensors wrote, in eval mode; what else it holds.

    The file's content says what it is. Tensors may be under "state_dict" or "model", beside others, and their names
    may begin with what a trainer calls its network, or hold a "module."; those of torchvision's models may be
    torchvision's own. The `normalize` layer may be absent: then it is the document's. Raises UploadError.
    """
    kind = kind_of(path)
    with tempfile.TemporaryDirectory() as folder:
        plain = path if kind == "safetensors" else _converted(path, Path(folder) / "tensors.safetensors", wanted.ema)
        tensors, held = _tensors(plain, wanted)
    _check_values(tensors)
    try:
        network = zoo.rebuild(wanted.document, tensors)
    except ValueError as error:
        raise UploadError(f"the weights do not fit the architecture: {error}") from None
    if len(wanted.order):
        _reorder(network, wanted)
    return network, held


def kind_of(path: Path) -> Literal["safetensors", "torch"]:
    """What wrote a weights file, as its first bytes tell. No torch. Raises UploadError."""
    with path.open("rb") as file:
        start = file.read(9)
    if not start:
        raise UploadError("the weights file is empty")
    if start[8:] == b"{":
        return "safetensors"
    if start.startswith(b"PK\x03\x04") and _is_script(path):
        raise UploadError(
            "this is a TorchScript program, not a weights file: save its state_dict() with torch.save, or "
            "export it to ONNX and use it as an ONNX file"
        )
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return "torch"
    raise UploadError("this is not a weights file: neither safetensors nor written by torch.save")


def _is_script(path: Path) -> bool:
    """Whether torch.jit.save wrote a zip file: its constants are a pickle of their own."""
    try:
        with zipfile.ZipFile(path) as file:
            return any(name.endswith("/constants.pkl") for name in file.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def _reorder(network: nn.Module, wanted: Wanted) -> None:
    """Puts the outputs in the document's order of classes. Raises UploadError for a head that cannot be reordered."""
    image = torch.rand(1, *wanted.document["shape"], generator=torch.Generator().manual_seed(0))
    places = torch.tensor(wanted.order).argsort()
    with torch.no_grad():
        expected = network(image)[:, places]
        for part in zoo.head(network).parameters():
            if part.shape[0] == len(places):
                part.copy_(part[places].clone())
        same = torch.allclose(network(image), expected, rtol=1e-3, atol=1e-4)
    if not same:
        raise UploadError("the class order of this architecture cannot be changed: use an ONNX file")


def _tensors(path: Path, wanted: Wanted) -> tuple[dict[str, torch.Tensor], Held]:
    """The file's tensors under the architecture's names, in fp32. Raises UploadError before it reads misfits."""
    from safetensors import SafetensorError, safe_open

    own = _expected(wanted.document)
    try:
        with safe_open(path, framework="pt") as file:
            about = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            placed, held = places(
                about, own, wanted.document, ema=wanted.ema, decided=(file.metadata() or {}).get(EMA_TOLD, "")
            )
            shapes = {ours: tuple(about[theirs].get_shape()) for ours, theirs in placed.items()}
            compare(shapes, own, wanted.document, placed, held.left)
            _check_kinds({ours: about[theirs].get_dtype() for ours, theirs in placed.items()}, own)
            tensors = {ours: file.get_tensor(theirs) for ours, theirs in placed.items()}
    except (SafetensorError, OSError) as error:
        raise UploadError(f"the weights file is damaged or cut short ({error})") from None
    if not wanted.own:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("normalize.")}
    return own | {name: tensor.to(own[name].dtype) for name, tensor in tensors.items()}, held


def _check_kinds(kinds: Mapping[str, str], own: Mapping[str, torch.Tensor]) -> None:
    for name, kind in kinds.items():
        if kind not in (FLOATS if own[name].is_floating_point() else WHOLE):
            wanted = "float32" if own[name].is_floating_point() else "int64"
            raise UploadError(f"tensor {name!r} has type {kind}: save it as {wanted}")


def _check_values(tensors: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise UploadError(
                f"tensor {name!r} contains values that are not finite (NaN, infinity or beyond float32): use "
                "weights of a training that did not diverge"
            )
        if name == "normalize.std" and not (tensor > 0).all():
            raise UploadError(f"tensor {name!r} contains a standard deviation that is not above zero: leave it out")
        if name.endswith("running_var") and not (tensor >= 0).all():
            raise UploadError(
                f"tensor {name!r} contains a negative variance: the file is damaged, or belongs to other layers"
            )


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


def _converted(path: Path, target: Path, ema: bool) -> Path:
    """The same tensors as safetensors in `target`, which a subprocess with limits writes."""
    arguments = str(path.resolve()), str(target), str(int(ema))
    try:
        done = child.run_module("kdcore.models.upload", *arguments, seconds=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise UploadError(f"reading the weights file took longer than {TIMEOUT_SECONDS} s") from None
    if done.returncode == REFUSED:
        raise UploadError(child.reason(done))
    if done.returncode:
        raise UploadError(f"the weights file cannot be read within the limits of memory and time: {child.reason(done)}")
    return target


def _convert(source: Path, target: Path, ema: bool = False) -> None:
    """What the subprocess does. `ema`: as in Wanted. Raises UploadError, MemoryError."""
    from safetensors.torch import save_file

    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((line for line in str(error).splitlines() if "GLOBAL" in line), first_line(error))
        raise UploadError(
            f"the file contains more than tensors, and opening it can run code ({reason.strip()[:200]}); save the"
            " weights alone, with torch.save(model.state_dict(), path) or as safetensors"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        reason = first_line(error)
        raise UploadError(f"the weights file is damaged or cut short ({reason[:200]})") from None
    found, notes = _unwrapped(content, ema)
    for name, value in found.items():
        if value.layout != torch.strided or value.is_quantized:
            raise UploadError(f"tensor {name!r} is sparse or quantized; plain numbers are needed")
        if value.is_complex() or (value.is_floating_point() and value.element_size() < 2):
            kind = str(value.dtype).removeprefix("torch.")
            raise UploadError(f"tensor {name!r} has type {kind}: save it as float32")
    save_file({name: value.detach().contiguous().clone() for name, value in found.items()}, target, notes)


def _unwrapped(content: Any, ema: bool) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors by name, wherever a training script has put them; and what became of a running mean beside them."""
    if not isinstance(content, Mapping):
        raise UploadError(f"the file contains a {type(content).__name__}, not tensors by name (a state_dict)")
    found = sorted(_within(content), key=lambda one: (not _wrapped(one[0]), -len(one[1])))
    means, plain = ([one for one in found if is_mean(".".join(one[0])) is mean] for mean in (True, False))
    if not found:
        keys = ", ".join(map(repr, list(content)[:5])) or "nothing"
        raise UploadError(
            f"the file contains {keys}, but no tensors by name; they may be under 'state_dict' or 'model'"
        )
    of_mean, of_plain = (len(some[0][1]) if some else 0 for some in (means, plain))
    both = min(of_mean, of_plain) > max(of_mean, of_plain) / 2
    mean = ema if both else of_mean > of_plain
    return (means if mean else plain)[0][1], {EMA_TOLD: "taken" if mean else "left"} if both else {}


def _within(content: Mapping[Any, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """All mappings with tensors, with their paths; an optimizer's are not those of a network."""
    tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
    if tensors:
        yield path, tensors
    for name, value in content.items():
        if isinstance(value, Mapping) and len(path) < DEEPEST and not str(name).startswith("optim"):
            yield from _within(value, (*path, str(name)))


def _wrapped(path: Collection[str]) -> bool:
    return bool(path) and all(name in WRAPPERS for name in path)


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
    source, target = map(Path, sys.argv[1:3])
    _limit(source.stat().st_size)
    try:
        _convert(source, target, ema=sys.argv[3] == "1")
    except UploadError as error:
        print(error, file=sys.stderr)
        sys.exit(REFUSED)
    except MemoryError:
        print("the weights file needs more memory than its size suggests", file=sys.stderr)
        sys.exit(REFUSED)
