"""What a network costs: parameters, multiply-accumulates and bytes, also for processes without torch.

`cost` and `costs` ask a short subprocess (`python -m kdcore.models.cost`) and remember its answers on disk.
"""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from filelock import Timeout

from kdcore import child, inputs, registry
from kdcore.files import lock, read_json, write_json
from kdcore.lazy import nn, torch
from kdcore.models.traits import ArchitectureTraits
from kdcore.paths import home
from kdcore.registry import Options

TIMEOUT_SECONDS = 120
COUNT = 2  # raise it when the same network should be counted otherwise: earlier answers are then forgotten
JOINED = 2  # the same, of students that borrow a classifier
ATTENTION = "_scaled_dot_product_"  # how torch's fused kernels begin; the plain one is made of matrix products
_CPU_VALUES = (
    3 * 64 * 64
)  # of an input: what is larger is counted on the meta device: no arithmetic, but seconds of imports


class CostError(RuntimeError):
    """The subprocess that counts has failed; the message is its last line."""


class Cost(NamedTuple):
    """`params`: parameters. `macs`: multiply-accumulates an image (conv + linear + matmul).

    `size_bytes`: the parameters as fp32, without what a file adds. `taps`: the stages whose outputs can be matched.
    """

    params: int
    macs: int
    size_bytes: int
    taps: Sequence[str] = ()


class Borrowed(NamedTuple):
    """A teacher's classifier, reached by a projector that is `reduction` times narrower inside (SimKD)."""

    teacher: Options
    reduction: int


class Question(NamedTuple):
    """Which network: its options, the number of classes, (C, H, W) of an image, and what is borrowed of a teacher."""

    architecture: Options
    classes: int
    shape: inputs.Shape
    borrowed: Borrowed | None = None


def costs(questions: Iterable[Question | tuple[Options, int, inputs.Shape]]) -> list[Cost]:
    """The costs of several networks, in order; all that are not known yet in one subprocess. Raises CostError.

    Milliseconds when they were asked before, seconds otherwise. Who asks while another does waits for its answers.
    """
    documents = [_document(Question(*question)) for question in questions]
    paths = [_path(document) for document in documents]
    wanted = dict(zip(paths, documents, strict=True))
    known = _known(wanted)
    if len(known) < len(wanted):
        folder = paths[0].parent
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with lock(folder.with_suffix(".lock"), TIMEOUT_SECONDS):
                known |= _found(wanted)
        except Timeout:
            raise _too_slow() from None
    return [known[path] for path in paths]


def _known(wanted: Iterable[Path]) -> dict[Path, Cost]:
    return {path: answer for path in wanted if (answer := _read(path))}


def _found(wanted: Mapping[Path, dict[str, Any]]) -> dict[Path, Cost]:
    """The answers by file; those that are not there are asked for, and written."""
    known = _known(wanted)
    unknown = [path for path in wanted if path not in known]
    for path, answer in zip(unknown, _ask([wanted[path] for path in unknown]) if unknown else (), strict=True):
        with suppress(OSError):  # the cache is disposable, also while it is written
            write_json(path, answer._asdict())
        known[path] = answer
    return known


def macs(network: nn.Module, shape: inputs.Shape) -> int:
    """Multiply-accumulates of one input: conv + linear + matmul, with both products of attention.

    Attention counts as queries times keys and weights times values, without the softmax: the same on every version of
    torch, on the CPU and on the meta device, whichever kernel is taken. The other formulas are those of torch's
    FlopCounterMode, which itself imports torch's compiler, and that takes 2 s.
    """
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    flops = 0

    class Counter(TorchDispatchMode):
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # guarding against the compiler would import it

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal flops
            out = func(*args, **(kwargs or {}))
            formula = flop_registry.get(func.overloadpacket)
            if func.overloadpacket.__name__.startswith(ATTENTION):
                flops += 2 * _attention(*(tensor.shape for tensor in args[:3]))
            elif formula:
                flops += formula(*args, **(kwargs or {}), out_val=out)
            return out

    image = inputs.of(shape).example(shape, device=next(network.parameters()).device)
    training, fast = network.training, torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # fused attention has no formula
    try:
        with torch.no_grad(), Counter():
            network.eval()(image)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        network.train(training)
    return flops // 2


def _attention(queries: Sequence[int], keys: Sequence[int], values: Sequence[int]) -> int:
    """Multiply-accumulates of scaled dot-product attention by the shapes (..., length, width) of its inputs."""
    return math.prod(queries[:-1]) * keys[-2] * (keys[-1] + values[-1])


def _document(question: Question) -> dict[str, Any]:
    document: dict[str, Any] = {
        "count": COUNT,
        "version": registry.entry_of("architecture", question.architecture).stamp,
        "architecture": question.architecture.model_dump(mode="json"),
        "classes": question.classes,
        "shape": list(question.shape),
    }
    if question.borrowed:
        teacher = _document(question._replace(architecture=question.borrowed.teacher, borrowed=None))
        document["borrowed"] = {"teacher": teacher, "reduction": question.borrowed.reduction, "joined": JOINED}
    return document


def _path(document: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return home() / "cache" / "costs" / f"{digest[:32]}.json"


def _read(path: Path) -> Cost | None:
    try:
        document = read_json(path)
        return Cost(*(document[name] for name in Cost._fields))
    except (OSError, ValueError, TypeError, KeyError):
        return None  # not there, or not readable: counted again


def _ask(documents: list[dict[str, Any]]) -> list[Cost]:
    """Has a subprocess count, on one thread."""
    try:
        done = child.run_module("kdcore.models.cost", question=documents, seconds=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise _too_slow() from None
    if done.returncode:
        raise CostError(f"cannot count parameters and MACs: {child.reason(done)}")
    return [Cost(*answer) for answer in child.answer(done)]


def _too_slow() -> CostError:
    return CostError(f"counting parameters and MACs took longer than {TIMEOUT_SECONDS} s")


def _count(document: dict[str, Any]) -> Cost:
    from kdcore.models import zoo

    with torch.device("meta" if _large(document) else "cpu"):
        network = _network(document)
    params = sum(parameter.numel() for parameter in network.parameters())
    return Cost(params, macs(network, document["shape"]), 4 * params, list(zoo.taps(network)))


def _large(document: dict[str, Any]) -> bool:
    traits = ArchitectureTraits.named(document["architecture"]["architecture"])
    return inputs.of(shape := document["shape"]).values(shape) > _CPU_VALUES or traits.large


def _network(document: dict[str, Any]) -> nn.Module:
    from kdcore.models import zoo
    from kdcore.models.nets import projector

    options = registry.validate("architecture", document["architecture"])
    shape = tuple(document["shape"])
    network = zoo.create(options, document["classes"], shape, *inputs.of(shape).neutral(shape), fetch=False)
    if "borrowed" not in document:
        return network
    return projector.between(network, _network(document["borrowed"]["teacher"]), document["borrowed"]["reduction"])


if __name__ == "__main__":
    print(json.dumps([_count(document) for document in json.load(sys.stdin)]))
