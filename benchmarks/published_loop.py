"""Distillation the way that the published repositories train: the reference of the throughput benchmark.

Written for this comparison after their common shape: every image through PIL, a DataLoader, fp32, the teacher asked
about every batch, running averages fed by `.item()` each step.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """uint8 images (N, H, W, C) and their labels (N,), one at a time: cropped, flipped, normalised."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, mean: list[float], std: list[float]):
        self.images, self.labels = images, labels
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(images.shape[1], padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(mean, std),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def loss(
    student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, temperature: float, hard: float, soft: float
) -> torch.Tensor:
    """`hard * CE + soft * T² * KL` of logits (B, K), summed over classes and divided by the batch."""
    log_student = functional.log_softmax(student / temperature, dim=1)
    softened = functional.softmax(teacher / temperature, dim=1)
    divergence = functional.kl_div(log_student, softened, reduction="sum") * temperature**2 / len(student)
    return hard * functional.cross_entropy(student, labels) + soft * divergence


class Published:
    """The loop. `student`, `teacher`: networks for normalised images; they are moved to `device`."""

    def __init__(
        self, student: nn.Module, teacher: nn.Module, pictures: Pictures, batch: int, device: torch.device, workers: int
    ):
        self.student, self.teacher = student.to(device).train(), teacher.to(device).eval()
        self.device = device
        self.loader = DataLoader(
            pictures, batch, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
        )
        self.optimizer = torch.optim.SGD(student.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
        self.batches = self._endless()
        self.losses = self.right = self.seen = 0.0

    def _endless(self) -> Iterator[list[torch.Tensor]]:
        while True:
            yield from self.loader

    def run(self, steps: int) -> None:
        for _ in range(steps):
            images, labels = (part.to(self.device) for part in next(self.batches))
            logits = self.student(images)
            with torch.no_grad():
                asked = self.teacher(images)
            total = loss(logits, asked, labels, temperature=4.0, hard=0.1, soft=0.9)
            self.losses += total.item() * len(images)
            self.right += (logits.argmax(1) == labels).sum().item()
            self.seen += len(images)
            self.optimizer.zero_grad()
            total.backward()
            self.optimizer.step()
