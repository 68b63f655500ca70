"""How long a plan will take, from what this machine did before. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kdcore import inputs, machine, registry
from kdcore.compress.traits import StepTraits
from kdcore.measure.robustness import CONDITIONS, FILE, MOST_IMAGES
from kdcore.models.cost import costs
from kdcore.plan.processes import at_work, critical_path, together
from kdcore.registry import Options
from kdcore.workspace import keys
from kdcore.workspace.index import Index
from kdcore.workspace.plans import Plan, Stage
from kdcore.workspace.workspace import Workspace

NOMINAL_RATE = 2e10  # MACs a second; only the proportions matter, they are scaled by what was measured
FIXED_SECONDS = 1.0  # of every stage: export, evaluation, writing
START_SECONDS = 6.0  # of a worker: libraries, data, the first export
INFERENCE_RATE = 2e10  # MACs a second of ONNX Runtime on one thread; 3 to 7e10 were measured with AVX-512
INFERENCE_SECONDS = 1e-5  # of an image through a network, however small
CORRUPTION_SECONDS = 5e-5, 3e-8  # of an image and of each of its values, the mean over the corruptions


class Estimate(NamedTuple):
    """Seconds that a run will take here, None where nothing has run yet, and what the figure rests on.

    `low` and `high`: the same at the tenth and the ninetieth percentile of the paces of earlier stages. `shortest`:
    with any number of workers, that is start, critical path and measuring; `speedup`: the ideal one, of these against
    a single worker.
    """

    seconds: float | None
    basis: str
    low: float | None = None
    high: float | None = None
    shortest: float | None = None
    speedup: float | None = None


def estimate(plan: Plan, workspace: Workspace, timing_seconds: float, robustness: bool = False) -> Estimate:
    """The time of a plan on this machine; stages whose models are there cost nothing. Raises CostError.

    `robustness`: whether the variants are measured on corrupted images too.
    """
    paces = Index(workspace).pace()
    if not paces:
        return Estimate(None, "Nothing has run on this machine yet.")
    classes, shape = len(plan.dataset["classes"]), tuple(plan.dataset["shape"])
    asked = architectures(plan)
    counted = costs([(options, classes, shape) for options in asked.values()])
    alike = inputs.of(shape).in_one(shape)  # answered at once
    sizes = {name: cost.macs // alike for name, cost in zip(asked, counted, strict=True)}
    due = [stage for stage in plan.stages if not workspace.complete(stage.key)]
    nominal = weights(plan, sizes)
    measuring = measuring_seconds(timing_seconds)
    if robustness:
        measuring += robustness_seconds(plan, sizes, workspace)

    def each(share: float) -> dict[str, float]:
        pace = _pace(plan, paces, share)
        return {key: value * pace[key] for key, value in nominal.items()}

    def at(share: float) -> float:
        return START_SECONDS + measuring + together(due, each(share), at_work(workspace, due))

    usual = each(0.5)
    shortest = START_SECONDS + measuring + critical_path(due, usual)
    alone = START_SECONDS + measuring + sum(usual[stage.key] for stage in due)
    reused = len(plan.stages) - len(due)
    basis = f"Based on {len(paces)} stages run on this machine"
    basis += f"; {reused} of {len(plan.stages)} stages are reused." if reused else "."
    return Estimate(at(0.5), basis, at(0.1), at(0.9), shortest, alone / shortest)


def _pace(plan: Plan, paces: Sequence[tuple[str, float]], share: float) -> dict[str, float]:
    """Seconds for one nominal second of each stage, by its key: this quantile, 0.5 the median, of stages of the same
    network, else of all.

    MACs a second differ several times over between networks: a small one spends its time between the products.
    """
    stages = {stage.key: stage for stage in plan.stages}
    known: dict[str, list[float]] = {}
    for network, value in paces:
        known.setdefault(network, []).append(value)
    everywhere = [value for _, value in paces]
    networks = {key: _origin(stage, stages).spec.get("model") for key, stage in stages.items()}
    return {
        key: float(np.quantile(known.get(keys.canonical(network) if network else "", everywhere), share))
        for key, network in networks.items()
    }


def measuring_seconds(timing_seconds: float) -> float:
    """Seconds of a timing session on this machine: a GPU is given as many again, for the same networks on it."""
    return timing_seconds * (2 if machine.device() == "cuda" else 1)


def robustness_seconds(plan: Plan, sizes: Mapping[str, int], workspace: Workspace) -> float:
    """Seconds that the variants take on corrupted images; those of which it is known take none. `sizes`: `weights`."""
    stages = {stage.key: stage for stage in plan.stages}
    first = {variant.keys[0] for variant in plan.variants}
    due = [stages[key] for key in first if not (workspace.model(key) / FILE).is_file()]
    macs = [_macs(_origin(stage, stages), sizes) for stage in due]
    return corrupted_seconds(macs, plan.dataset["test"], inputs.of(plan.dataset["shape"]).values(plan.dataset["shape"]))


def corrupted_seconds(macs: Sequence[int | None], count: int, values: int, most: int = MOST_IMAGES) -> float:
    """Seconds that models of so many MACs an image take, of a test split of `count` images of `values` values each.

    For the form and the progress bar: it may be wrong by a factor of two.
    """
    models = sum(INFERENCE_SECONDS + (of_image or 0) / INFERENCE_RATE for of_image in macs)
    corrupting = CORRUPTION_SECONDS[0] + CORRUPTION_SECONDS[1] * values
    return CONDITIONS * min(count, most) * (models + corrupting) if macs else 0.0


def architectures(plan: Plan) -> dict[str, Options]:
    """The architectures that a plan trains, by their canonical JSON."""
    specs = [stage.spec["model"] for stage in plan.stages if "model" in stage.spec]
    specs += [model for stage in plan.stages for model in stage.spec.get("beside", ())]
    return {keys.canonical(spec): registry.validate("architecture", spec) for spec in specs}


def weights(plan: Plan, sizes: Mapping[str, int]) -> dict[str, float]:
    """Nominal seconds of each stage by its key; `sizes`: MACs of an image by the architecture's canonical JSON."""
    stages = {stage.key: stage for stage in plan.stages}
    return {key: FIXED_SECONDS + _work(stage, stages, sizes) / NOMINAL_RATE for key, stage in stages.items()}


def _work(stage: Stage, stages: Mapping[str, Stage], sizes: Mapping[str, int]) -> float:
    """MACs of a stage: for each image of its training three passes of what is trained and one of each teacher; and the
    passes that a step takes beside."""
    work = 0.0
    if stage.kind == "compress":
        passes = StepTraits.of(registry.validate("step", stage.spec["step"])).passes
        work = passes * _macs(_origin(stage, stages), sizes)
    return work + _training(stage, stages, sizes)


def _training(stage: Stage, stages: Mapping[str, Stage], sizes: Mapping[str, int]) -> float:
    if "train" not in stage.spec:
        return 0.0
    asked = sum(_macs(_origin(stages[key], stages), sizes) for key in stage.asked)
    beside = sum(sizes[keys.canonical(model)] for model in stage.spec.get("beside", ()))
    work = 3 * (_macs(_origin(stage, stages), sizes) + beside) + asked
    devices = stage.devices if machine.device() == "cuda" else 1  # without GPUs, they divide the cores
    return stage.spec["train"]["steps"] * stage.spec["train"]["batch_size"] * work / devices


def _macs(stage: Stage, sizes: Mapping[str, int]) -> int:
    """MACs of an image; 0 for a teacher that is not there, or does not tell."""
    return sizes[keys.canonical(stage.spec["model"])] if "model" in stage.spec else stage.macs or 0


def _origin(stage: Stage, stages: Mapping[str, Stage]) -> Stage:
    """The stage that trained the network which this one compresses."""
    return _origin(stages[stage.parent], stages) if stage.kind == "compress" and stage.parent else stage
