"""What compression costs on a real task: CIFAR-100, trained through kdcore's own runs.

Every network is a Recipe's, so what is finished is found again in the workspace, and a killed benchmark goes on where
it was. The network that the steps begin from is a student that begins as a copy of its teacher (weight selection) and
learns on from its soft targets for a little while: all of a part's branches follow this one model.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.runs import carry_out
from kdcore import machine, registry
from kdcore.data.dataset import load
from kdcore.data.splits import split
from kdcore.plan.plan import plan
from kdcore.recipe import Recipe, parse, points
from kdcore.report.reading import Model, model
from kdcore.report.statistics import Paired, paired_interval, paired_proportions, wilson
from kdcore.report.verdicts import judge
from kdcore.train.order import steps_of
from kdcore.workspace.workspace import Workspace

BATCH, PER_CLASS, MARGIN = 64, 500, 0.01
VALIDATION, TO_CHOOSE = 0.02, 0.1  # share of the training images: where nothing is chosen, and where something is
VIEWS = {"crop": 4, "flip": True}
RESNET20, VGG = {"architecture": "resnet", "depth": 20}, {"architecture": "vgg", "depth": 8, "width": 0.5}
KD = {"method": "kd", "temperature": 4, "hard_weight": 0.1, "soft_weight": 0.9}
COPY = {"method": "combine", "parts": [{"of": KD}, {"of": {"method": "weight_selection"}}]}
ZEROS = (0.80, 0.85, 0.90)  # Deep Compression's, chosen on validation among those that are small enough
SMALLER = 20  # times in bytes, its aim
PTQ = {"activations": "int8", "clip": "mse", "recalibrate": True}  # the strongest settings that rounding has


class Size(NamedTuple):
    """How much is trained: classes of the data set, epochs of each training, AdaRound's iterations and images."""

    name: str
    classes: int
    teacher: int
    copy: int
    extra: int
    finetune: int
    seeds: int
    vgg: int
    prune: int
    share: int
    iterations: int
    learnt: int


FULL = Size("full", 20, 30, 1, 3, 5, 3, 30, 12, 3, 400, 512)
QUICK = Size("quick", 5, 4, 1, 1, 1, 2, 2, 1, 1, 10, 64)
CUDA = Size("cuda", 100, 120, 4, 10, 20, 5, 100, 30, 10, 2000, 512)

Branch = list[dict[str, Any]]
Answers = NDArray[Any]


def chosen(quick: bool) -> Size:
    """All classes where there is a GPU, else twenty."""
    if quick:
        return QUICK
    return CUDA if machine.device() == "cuda" else FULL


def finetune(
    size: Size, epochs: float, rate: float, targets: str = "teacher", validation: float = VALIDATION
) -> dict[str, Any]:
    return {"steps": steps_of(epochs, images(size, validation), BATCH), "learning_rate": rate, "targets": targets}


def images(size: Size, validation: float) -> int:
    """Training images that the student sees."""
    return size.classes * (PER_CLASS - round(PER_CLASS * validation))


def recipe(
    size: Size,
    name: str,
    branches: list[Branch],
    *,
    seeds: int = 1,
    network: Any = RESNET20,
    validation: float = VALIDATION,
) -> Recipe:
    """One Recipe whose sweep is over chains of steps, all behind the same student."""
    shared = {"batch_size": BATCH, "views": VIEWS}
    epochs, rate = (size.vgg, 0.1) if network is VGG else (size.teacher, 0.2)
    thorough = {"epochs": epochs, "optimizer": "sgd", "learning_rate": rate, "weight_decay": 0.0005, "decay_all": True}
    short = {"epochs": size.copy, "optimizer": "adamw", "learning_rate": 0.0005, "weight_decay": 0.01}
    return parse(
        {
            "name": f"Compression: {name}",
            "data": {"source": {"dataset": "cifar100", "classes": size.classes}, "validation": validation},
            "teacher": {"model": network, "train": shared | thorough},
            "student": {"model": network},
            "distill": COPY,
            "compress": branches[0],
            "compress_seeds": "all",
            "train": shared | short,
            "measure": {"timing_seconds": 0},
            "seeds": list(range(seeds)),
            "sweep": {"compress": branches} if len(branches) > 1 else {},
        }
    )


class Row(NamedTuple):
    """A row of a run: its models, one a seed."""

    models: list[Model]

    @property
    def first(self) -> Model:
        return self.models[0]


def rows_of(asked: Recipe) -> list[list[Row]]:
    """Carries the Recipe out; the rows of each branch: teacher, student alone, student, then its steps."""
    workspace, _ = carry_out(asked)
    found = []
    for point in points(asked):
        planned = plan(point.recipe, workspace).variants
        found.append([Row([known for key in one.keys if (known := model(workspace, key))]) for one in planned])
    return found


def labels(size: Size) -> Answers:
    return load(registry.validate("dataset", {"dataset": "cifar100", "classes": size.classes})).test_labels


def paired(mine: Answers, other: Answers, true: Answers) -> Paired:
    """Share of images whose class `mine` (N,) gets right less that of `other` (N,), on the same images."""
    right, other_right = mine == true, other == true
    return paired_proportions(int((right & ~other_right).sum()), int((other_right & ~right).sum()), len(true))


def accuracy(made: Model) -> list[float]:
    """Share right and its 95 % interval."""
    return accuracy_of(made.quality["correct"], made.quality["n"])


def accuracy_of(right: int, of: int) -> list[float]:
    return [float(part or 0) for part in wilson(right, of)]


def int8(size: Size) -> dict[str, Any]:
    (_, _, student, quantized), *_ = rows_of(recipe(size, "int8", [[{"step": "int8"}]]))
    return {
        "fp32": accuracy(student.first),
        "int8": accuracy(quantized.first),
        "difference": list(paired(quantized.first.answers, student.first.answers, labels(size))),
        "agreement": float((quantized.first.answers == student.first.answers).mean()),
        "bytes": [student.first.size["size_bytes"], quantized.first.size["size_bytes"]],
        "n": student.first.quality["n"],
    }


def further(size: Size, epochs: float, rate: float, validation: float = VALIDATION) -> dict[str, Any]:
    """Plain further training: a pruning that removes less than half a weight."""
    training = finetune(size, epochs, rate, validation=validation)
    return {"step": "prune_unstructured", "ratio": 1e-9, "finetune": training}


def bits(size: Size) -> dict[str, Any]:
    extra = further(size, size.extra, 0.002)
    learning = {"iterations": size.iterations, "images": size.learnt}
    rounded = {
        "nearest, even grid": {"step": "weight_quant", "symmetric": True},
        "nearest, one more level below zero": {"step": "weight_quant", "symmetric": False},
        "AdaRound, even grid": {"step": "adaround", "symmetric": True} | learning,
        "AdaRound, one more level below zero": {"step": "adaround", "symmetric": False} | learning,
    }
    trained = {"step": "qat", "activation_bits": 8, "finetune": extra["finetune"]}
    branches: dict[tuple[int, str], Branch] = {}
    for count in (2, 4):
        branches[count, "QAT"] = [trained | {"weight_bits": count}]
        branches |= {(count, name): [extra, step | PTQ | {"bits": count}] for name, step in rounded.items()}
    found = dict(zip(branches, rows_of(recipe(size, "few bits", list(branches.values()))), strict=True))
    true, student = labels(size), found[2, "QAT"][2].first
    result: dict[str, Any] = {
        "epochs": size.extra,
        "student": accuracy(student),
        "further": accuracy(found[2, "nearest, even grid"][3].first),
    }
    for count in (2, 4):
        last = {name: found[count, name][-1].first for bits, name in branches if bits == count}
        best = max(rounded, key=lambda name: last[name].accuracy)
        result[str(count)] = {
            "rows": {name: accuracy(made) for name, made in last.items()},
            "strongest": best,
            "difference": list(paired(last["QAT"].answers, last[best].answers, true)),
        }
    return result


def structured(size: Size) -> dict[str, Any]:
    step = {"step": "prune_structured", "ratio": 0.5}
    branches = [[step | {"finetune": finetune(size, size.finetune, 0.005, to)}] for to in ("teacher", "labels")]
    teacher, alone = rows_of(recipe(size, "structured pruning", branches, seeds=size.seeds))
    cut = [[made.accuracy for made in rows[3].models] for rows in (teacher, alone)]
    difference = paired_interval(*cut, resolution=1 / teacher[3].first.quality["n"])
    return {
        "epochs": size.finetune,
        "student": float(np.mean([made.accuracy for made in teacher[2].models])),
        "teacher": float(np.mean(cut[0])),
        "labels": float(np.mean(cut[1])),
        "difference": list(difference),
        "verdict": judge(difference, difference.p, MARGIN),
        "seeds": len(cut[0]),
        "bytes": [row.first.size["size_bytes"] for row in (teacher[2], teacher[3])],
    }


def deep(size: Size) -> dict[str, Any]:
    """The share of zeros is chosen on validation with the first seed; then all seeds with that share."""
    tried = [deep_branch(size, zeros) for zeros in ZEROS]
    asked = deep_recipe(size, [[further(size, size.prune + size.share, 0.003, TO_CHOOSE)], *tried], 1)
    control, *candidates = rows_of(asked)
    held_back = validation_labels(asked)
    choices = [
        {
            "zeros": zeros,
            "smaller": candidate[2].first.size["size_bytes"] / candidate[-1].first.size["coded_bytes"],
            "validation": validation_accuracy(candidate[-1].first, held_back),
        }
        for zeros, candidate in zip(ZEROS, candidates, strict=True)
    ]
    best = chosen_zeros(choices)
    ((_, _, student, pruned, shared, coded),) = rows_of(deep_recipe(size, [deep_branch(size, best)], size.seeds))
    true = labels(size)
    return {
        "epochs": [size.vgg, size.prune, size.share],
        "choices": choices,
        "chosen": best,
        "seeds": len(coded.models),
        "rows": {
            "fp32": deep_row(student, "size_bytes"),
            f"{100 * best:g} % zeros": deep_row(pruned, "zip_bytes"),
            "5 bits shared": deep_row(shared, "zip_bytes"),
            "coded": deep_row(coded, "coded_bytes"),
            "fp32, trained as long (one seed)": deep_row(control[3], "size_bytes"),
        },
        "difference": list(paired_rows(coded, student, true)),
        "by_seed": [made.accuracy - before.accuracy for made, before in zip(coded.models, student.models, strict=True)],
        "control": list(paired(coded.first.answers, control[3].first.answers, true)),
    }


def deep_recipe(size: Size, branches: list[Branch], seeds: int) -> Recipe:
    return recipe(size, "Deep Compression", branches, seeds=seeds, network=VGG, validation=TO_CHOOSE)


def deep_branch(size: Size, zeros: float) -> Branch:
    pruning = {
        "step": "prune_unstructured", "ratio": zeros, "schedule": "gradual",
        "finetune": finetune(size, size.prune, 0.003, validation=TO_CHOOSE),
    }  # fmt: skip
    sharing = {"step": "share", "bits": 5, "finetune": finetune(size, size.share, 0.0005, validation=TO_CHOOSE)}
    return [pruning, sharing, {"step": "code"}]


def validation_labels(asked: Recipe) -> Answers:
    """Classes of the training images that no training saw, (n,)."""
    dataset = load(asked.data.source)
    return dataset.train_labels[split(dataset, asked.data).validation]


def validation_accuracy(made: Model, true: Answers) -> float:
    """Share of the validation images, of the classes `true` (n,), that the model's file gets right."""
    with np.load(Workspace().model(made.key) / "logits.npz", allow_pickle=False) as logits:
        return float((logits["validation"].argmax(axis=1) == true).mean())


def chosen_zeros(choices: list[dict[str, Any]]) -> float:
    """The share of zeros that does best on validation among the small enough, or the smallest where none is."""
    small = [one for one in choices if one["smaller"] >= SMALLER]
    best = max(small, key=lambda one: one["validation"]) if small else max(choices, key=lambda one: one["smaller"])
    return float(best["zeros"])


def deep_row(row: Row, measure: str) -> list[float]:
    """Mean accuracy over the seeds, with Wilson's interval of as many right among one test split, and mean bytes."""
    right = round(fmean(made.quality["correct"] for made in row.models))
    return [*accuracy_of(right, row.first.quality["n"]), round(fmean(made.size[measure] for made in row.models))]


def paired_rows(mine: Row, other: Row, true: Answers) -> Paired:
    """Share right less that of `other`, each image's mean over the seeds; the interval is over the images."""
    shares = [np.mean([made.answers == true for made in row.models], axis=0).tolist() for row in (mine, other)]
    return paired_interval(*shares)


PARTS: dict[str, Callable[[Size], dict[str, Any]]] = {
    "int8": int8,
    "bits": bits,
    "structured": structured,
    "deep": deep,
}
