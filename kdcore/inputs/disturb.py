"""An image disturbed by noise, blur, lost contrast and rotation, each as strong as a person wants."""

from __future__ import annotations

import numpy as np
from PIL import Image

from kdcore.inputs.corruptions import Pixels, at_strength
from kdcore.inputs.kind import Disturbance


def disturbances(height: int, width: int) -> dict[str, Disturbance]:
    """Those of images of this size, by name."""
    blur = max(0.8, round(min(height, width) / 6, 1))
    return {
        "noise": Disturbance("Noise (% of white)", 60.0, 5.0, " %"),
        "blur": Disturbance("Blur (pixels)", blur, round(blur / 13, 2) or 0.1, " px"),
        "contrast": Disturbance("Contrast removed (%)", 96.0, 8.0, " %"),
        "rotation": Disturbance("Rotation (degrees)", 90.0, 7.5, "°"),
    }


def disturbed(image: Pixels, strengths: dict[str, float]) -> Pixels:
    """uint8 (H, W, C) rotated, then blurred, then paler, then noisy. What `strengths` does not name stays."""
    changed = _rotated(image, strengths.get("rotation", 0.0))
    for name, value in (
        ("blur", strengths.get("blur", 0.0)),
        ("contrast", 1 - strengths.get("contrast", 0.0) / 100),
        ("noise", strengths.get("noise", 0.0) / 100),
    ):
        if value != (1 if name == "contrast" else 0):
            changed = at_strength(changed[None], name, value)[0]
    return changed


def _rotated(image: Pixels, degrees: float) -> Pixels:
    """Counter-clockwise around the middle; what comes in from outside has the border's usual value."""
    if not degrees:
        return image
    turned = np.empty_like(image)
    for channel in range(image.shape[2]):
        plane = image[..., channel]
        border = np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])
        picture = Image.fromarray(plane)
        picture = picture.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=int(np.median(border)))
        turned[..., channel] = np.asarray(picture)
    return turned
