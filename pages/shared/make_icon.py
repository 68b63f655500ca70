"""Draws the page icon: a large network's star that hands its light to a small one. Run once; the PNG is kept.

python pages/shared/make_icon.py
"""

from __future__ import annotations

from math import cos, pi, sin
from pathlib import Path

from PIL import Image, ImageDraw

SIDE, SCALE = 64, 8
TEACHER, STUDENT = "#0072B2", "#E69F00"


def star(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    points = []
    for corner in range(10):
        reach = radius if corner % 2 == 0 else radius * 0.45
        angle = -pi / 2 + corner * pi / 5
        points.append((x + reach * cos(angle), y + reach * sin(angle)))
    return points


def draw() -> Image.Image:
    large = Image.new("RGBA", (SIDE * SCALE, SIDE * SCALE), (0, 0, 0, 0))
    pen = ImageDraw.Draw(large)
    pen.line([(26 * SCALE, 26 * SCALE), (50 * SCALE, 50 * SCALE)], fill=STUDENT, width=4 * SCALE)
    pen.polygon(star(25 * SCALE, 25 * SCALE, 25 * SCALE), fill=TEACHER)
    pen.ellipse([40 * SCALE, 40 * SCALE, 62 * SCALE, 62 * SCALE], fill=STUDENT)
    return large.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    draw().save(Path(__file__).with_name("icon.png"), optimize=True)
