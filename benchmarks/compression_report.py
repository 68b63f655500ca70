"""What compression cost on the real task, written up for docs/results.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.compression_task import MARGIN, SMALLER, TO_CHOOSE
from benchmarks.results import table
from kdcore.report import format
from kdcore.report.verdicts import ENOUGH_SEEDS

SEEN = (  # said beside its figure
    "The width and the epochs are not chosen so: they follow three settings of a VGG-8 of a quarter of the filters "
    "that had been seen on these test images (22 to 26 times, -1.3 to -0.3 points)."
)


def points_of(difference: list[float]) -> str:
    """A paired difference in points: "-0.25 (-0.80 to +0.30)"."""
    value, low, high, *_ = (100 * part for part in difference)
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})"


def percent(share: list[float]) -> str:
    value, low, high, *_ = (100 * part for part in share)
    return f"{value:.2f} ({low:.1f} to {high:.1f})"


def aim(met: bool, what: str) -> str:
    return f"Aim: {what}: {'met' if met else '**missed**'}."


def report_int8(found: dict[str, Any]) -> str:
    _, low, *_ = found["difference"]
    whole, small = found["bytes"]
    return (
        f"{found['n']:,} test images: {percent(found['fp32'])} % as fp32, {percent(found['int8'])} % as "
        f"static int8, paired difference {points_of(found['difference'])} points, the same class for "
        f"{100 * found['agreement']:.2f} % of the images; {whole:,} to {small:,} bytes, {whole / small:.2f} times "
        f"smaller. {aim(low > -0.01, 'lower bound above -1.0 point')} "
        f"{aim(found['agreement'] >= 0.97, 'agreement of 97 % or more')}"
    )


def report_bits(found: dict[str, Any]) -> str:
    rows = []
    for count in ("2", "4"):
        part = found[count]
        for name, share in sorted(part["rows"].items(), key=lambda row: row[0] == "QAT"):
            mark = " (strongest)" if name == part["strongest"] else ""
            rows.append([f"W{count}A8, {name}{mark}", percent(share)])
    two, four = (found[count]["difference"] for count in ("2", "4"))
    epochs = format.plural(found["epochs"], "epoch")
    return "\n\n".join(
        [
            f"{percent(found['student'])} %, and {percent(found['further'])} % after {epochs} more. What is "
            f"rounded after training was given these {epochs}; QAT took as many, with the same learning rate and the "
            "same teacher, from the model before them. First and last layer 8 bits; grids that end where the squared "
            "error is least, batch norm recalibrated, activations 8 bits. Accuracy of the int8 files, in %:",
            table(["weights and activations", "accuracy (95 %)"], rows),
            f"QAT less the strongest kind after training, paired over images: at 2 bits {points_of(two)} points, at "
            f"4 bits {points_of(four)}. The strongest is the one that does best on the test images, which favours it. "
            + aim(two[0] >= 0.05, "at least 5 points at 2 bits"),
        ]
    )


def report_structured(found: dict[str, Any]) -> str:
    whole, small = found["bytes"]
    few = " (few seeds)" if found["seeds"] < ENOUGH_SEEDS else ""
    return (
        f"Half of the filters removed at once, then {format.plural(found['epochs'], 'epoch')}: "
        f"{100 * found['student']:.2f} % before, {100 * found['teacher']:.2f} % after training with the teacher, "
        f"{100 * found['labels']:.2f} % on labels alone; paired by seed {points_of(found['difference'])} points over "
        f"{format.plural(found['seeds'], 'seed')} of one teacher: **{found['verdict']}**{few}. "
        f"{whole:,} to {small:,} bytes."
    )


def report_deep(found: dict[str, Any]) -> str:
    whole = found["rows"]["fp32"][3]
    rows = [[name, percent(row), f"{row[3]:,}", f"{whole / row[3]:.1f}"] for name, row in found["rows"].items()]
    ratio, value = whole / found["rows"]["coded"][3], found["difference"][0]
    trained, prune, share = found["epochs"]
    tried = "; ".join(
        f"{100 * one['zeros']:g} %: {100 * one['validation']:.1f} % right, {one['smaller']:.1f} times smaller"
        for one in found["choices"]
    )
    by_seed = ", ".join(f"{100 * difference:+.2f}" for difference in found["by_seed"])
    return "\n\n".join(
        [
            f"VGG-8 of half the filters, {trained} epochs and one more from its own soft targets; "
            f"{100 * found['chosen']:g} % of its weights pruned over {format.plural(prune, 'epoch')}, 32 values a "
            f"layer trained for {format.plural(share, 'epoch')}, a Huffman code. The share of zeros was chosen on "
            f"{100 * TO_CHOOSE:g} % of the training images, kept out of training, with the first seed ({tried}): "
            f"the best that is {SMALLER} times smaller. {SEEN} Means over {format.plural(found['seeds'], 'seed')} of "
            "one teacher; bytes of the ONNX file as fp32, of its zip, and of the coded file:",
            table(["stage", "accuracy (95 %)", "bytes", "times smaller"], rows),
            f"Paired over images, coded less fp32: {points_of(found['difference'])} points (by seed {by_seed}); the "
            f"first seed less fp32 trained as long: {points_of(found['control'])}. "
            f"{aim(ratio >= SMALLER and value >= -MARGIN, f'{SMALLER} times in bytes within 1 point')}",
        ]
    )


REPORTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "int8": report_int8,
    "bits": report_bits,
    "structured": report_structured,
    "deep": report_deep,
}


def about(size: dict[str, Any], part: str) -> str:
    """What was trained, in a sentence or two."""
    classes = f"The first {size['classes']} classes of CIFAR-100."
    if part == "deep":
        return classes
    copied = f"{format.plural(size['copy'], 'epoch')} from its own soft targets"
    return f"{classes} The network is resnet20 after {size['teacher']} epochs and {copied}."
