"""What the sources of the CIFAR-100 tables train with and print, read in their code and logs.

Each recipe has the field names of `benchmarks.recipe_check`; a method's options have the names that they have here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

REPDISTILLER = "HobbitLong/RepDistiller b84f547"
MDISTILLER = "megvii-research/mdistiller a08d46f"
DIST = "hunto/image_classification_sota 6f7a70a"
TTM = "zkxufo/TTM fe457b3"
STANDARDIZED = "sunshangquan/logit-standardization-KD f6e5aa5"

PAIRS = ("resnet32x4-resnet8x4", "wrn40x2-wrn16x2", "resnet56-resnet20", "vgg13-vgg8")


class Figure(NamedTuple):
    """A printed test accuracy in %, and its source.

    `last`: after the last epoch. `best`: the best epoch on the test images. `unsaid`: the source does not say which.
    """

    source: str
    last: float | None = None
    best: float | None = None
    unsaid: float | None = None


def _row(source: str, which: str, *values: float) -> dict[str, Figure]:
    return {pair: Figure(source, **{which: value}) for pair, value in zip(PAIRS, values, strict=True)}


def _logged(*values: tuple[float, float]) -> dict[str, Figure]:
    """Printed means of the best epochs, and the last epoch of the one log that goes with each."""
    return {pair: Figure(STANDARDIZED, last=last, best=best) for pair, (best, last) in zip(PAIRS, values, strict=True)}


FIGURES: dict[str, dict[str, Figure]] = {
    "teacher": _row(REPDISTILLER, "last", 79.42, 75.61, 72.34, 74.64),
    "student alone": _row(REPDISTILLER, "last", 72.50, 73.26, 69.06, 70.36),
    "kd": _row(REPDISTILLER, "last", 73.33, 74.92, 70.66, 72.98),
    "crd": _row(REPDISTILLER, "last", 75.51, 75.48, 71.16, 73.94),
    "dist": {
        "resnet32x4-resnet8x4": Figure(DIST, unsaid=76.31),
        "wrn40x2-wrn16x2": Figure(TTM, unsaid=75.51),
        "resnet56-resnet20": Figure(DIST, unsaid=71.75),
        "vgg13-vgg8": Figure(TTM, unsaid=73.89),
    },
    "dkd": _row(MDISTILLER, "best", 76.32, 76.23, 71.97, 74.68),
    "kd-standardized": _logged((76.62, 76.28), (76.11, 75.59), (71.43, 71.37), (74.36, 74.50)),
    "dkd-standardized": _logged((77.01, 76.93), (76.39, 76.05), (72.32, 71.82), (74.81, 74.53)),
}

NETWORKS = {
    "resnet32x4-resnet8x4": ("resnet, depth 32, width 4", "resnet, depth 8, width 4"),
    "wrn40x2-wrn16x2": ("wrn, depth 40, width 2", "wrn, depth 16, width 2"),
    "resnet56-resnet20": ("resnet, depth 56, width 1", "resnet, depth 20, width 1"),
    "vgg13-vgg8": ("vgg, depth 13, width 1.0", "vgg, depth 8, width 1.0"),
}

TRAINING: dict[str, Any] = {
    "training images": 50_000,
    "epochs": 240,
    "batch size": 64,
    "last batch of an epoch": "16 images",
    "optimizer": "sgd, momentum 0.9",
    "nesterov": False,
    "learning rate": 0.05,
    "divided by ten after epochs": (150, 180, 210),
    "warm-up of the learning rate": 0.0,
    "weight decay": 5e-4,
    "decay of biases and norms": True,
    "padding": "4, zeros",
    "flip": True,
    "normalisation": "0.5071 0.4867 0.4408, 0.2675 0.2565 0.2761",
    "mixing, smoothing, clipping, averaging, early stop": None,
    "precision": "fp32",
}
TRAINED_OTHERWISE = {DIST: {"last batch of an epoch": "dropped"}}

HEADS = {  # how the first weights of the classifier are drawn: weights; biases
    "resnet": "uniform; uniform",
    "wrn": "uniform; 0",
    "vgg": "normal, 0.01; 0",
}

CRD = {
    "contrast_weight": 0.8, "negatives": 16_384, "dimensions": 128, "contrast_temperature": 0.07, "momentum": 0.5,
    "hard_weight": 1.0, "student_tap": "auto", "teacher_tap": "auto",
    "negatives drawn": "without repetition",
}  # fmt: skip
KD = {"temperature": 4.0, "hard_weight": 0.1, "soft_weight": 0.9, "standardize": False}
DKD = {
    "temperature": 4.0, "hard_weight": 1.0, "target_weight": 1.0, "warmup": 20 / 240, "standardize": False,
    "rise of the loss": "each epoch",
}  # fmt: skip
# By pair: DKD's beta; the standardized losses' temperature, and DKD's the weight that multiplies alpha = 1 and beta.
BETA = dict(zip(PAIRS, (8.0, 6.0, 2.0, 6.0), strict=True))
STANDARDIZED_T = dict(zip(PAIRS, (2.0, 2.0, 2.0, 3.0), strict=True))
STANDARDIZED_DKD = dict(
    zip(PAIRS, ((2.0, 9.0, 8.0), (2.0, 12.0, 2.0), (3.0, 18.0, 2.0), (2.0, 15.0, 2.0)), strict=True)
)


def training(source: str) -> dict[str, Any]:
    """The training fields of a source."""
    return TRAINING | TRAINED_OTHERWISE.get(source, {})


def options(row: str, pair: str) -> Mapping[str, Any]:
    """The teacher and the loss of a row of a pair: none for the teacher and the student alone."""
    if row in ("teacher", "student alone"):
        return {}
    return {"teacher": "RepDistiller's checkpoint", **_loss(row, pair)}


def _loss(row: str, pair: str) -> Mapping[str, Any]:
    if row == "dkd-standardized":
        temperature, weight, beta = STANDARDIZED_DKD[pair]
        weights = {"target_weight": weight, "other_weight": weight * beta}
        return {"method": "dkd", **DKD, "temperature": temperature, "standardize": True, **weights}
    return {
        "kd": {"method": "kd", **KD},
        "crd": {"method": "crd", **CRD},
        "dist": {"method": "dist", "temperature": 4.0, "hard_weight": 1.0, "inter_weight": 2.0, "intra_weight": 2.0},
        "dkd": {"method": "dkd", **DKD, "other_weight": BETA[pair]},
        "kd-standardized": {
            "method": "kd", **KD, "temperature": STANDARDIZED_T[pair], "soft_weight": 9.0, "standardize": True,
        },
    }[row]  # fmt: skip
