"""A real workspace folder, small: files of exactly the shapes that the pipeline writes, with numbers that a test
can work out for itself."""

from __future__ import annotations

import hashlib
import time
from itertools import count

import numpy as np
import pytest

from kdcore.files import write_json
from kdcore.workspace.workspace import Workspace

IMAGES, CLASSES = 200, 10


class Laboratory:
    """Writes models, runs and timing sessions into `workspace`. `labels` are the test images' classes."""

    def __init__(self, root):
        self.workspace = Workspace(root).ensure()
        self.random = np.random.default_rng(0)
        self.labels = self.random.integers(0, CLASSES, IMAGES)
        self.serial = count()
        folder = self.workspace.dataset("f00d")
        folder.mkdir()
        np.save(folder / "test_labels.npy", self.labels)
        write_json(folder / "info.json", {"name": "digits", "classes": list("0123456789"), "shape": [1, 8, 8]})

    def model(self, right, size_bytes=10_000, seconds=2.0):
        """A model that is right on the images `right` (N booleans, or how many from the first on); returns its key."""
        if np.isscalar(right):
            right = np.arange(IMAGES) < right
        key = hashlib.sha256(f"model {next(self.serial)}".encode()).hexdigest()
        answers = np.where(right, self.labels, (self.labels + 1) % CLASSES)
        logits = self.random.normal(size=(IMAGES, CLASSES)).astype(np.float32)
        logits[np.arange(IMAGES), answers] += 20
        folder = self.workspace.model(key)
        folder.mkdir()
        np.savez(folder / "logits.npz", test=logits, validation=logits[:20])
        write_json(folder / "report.json", _report(answers, self.labels, size_bytes, seconds))
        write_json(folder / "done.json", {"finished": time.time()})
        return key

    def run(self, variants, *, name="Test", margin=1.0, state="done", dataset="digits", sweep=None):
        """A run whose plan has these rows: dicts of name, role, keys, and where they apply parent, values, note."""
        rows = [{"stage": row["role"], "parent": None, "values": {}, "note": ""} | row for row in variants]
        teacher = rows[0]["keys"][0]
        stages = [
            {
                "key": key,
                "title": row["name"],
                "kind": "train",
                "variant": row["name"],
                "role": row["role"],
                "seed": seed,
            }
            | {"parent": None, "teacher": teacher if row["role"] not in ("teacher", "alone") else None, "spec": {}}
            for row in rows
            for seed, key in enumerate(row["keys"])
        ]
        told = {"name": dataset, "fingerprint": "f00d", "classes": list("0123456789"), "shape": [1, 8, 8], "hidden": []}
        counts = {"train": 1000, "labelled": 50, "seen": 50, "validation": 100, "test": IMAGES}
        files = {
            "recipe.json": {"name": name, "measure": {"margin": margin, "timing_seconds": 8}, "sweep": sweep or {}},
            "plan.json": {"dataset": told | counts, "precision": "fp32", "stages": stages, "variants": rows},
            "meta.json": {"name": name, "requested": "run", "turn": 1, "created": time.time()},
        }
        if state == "done":
            made = [{"stage": one["title"], "key": one["key"], "reused": False, "seconds": 1.5} for one in stages]
            files["result.json"] = {"state": state, "turn": 1, "stages": made, "environment": {"cpu": "a test's"}}
        return self.workspace.new_run(files)

    def session(self, costs, *, runs=(), noise=0.01, noisy=False):
        """A timing session; `costs` gives the CPU milliseconds of an image alone, by key. A batch costs 16 times that.

        The first key is the reference. Rounds scatter by `noise`; wall times are 1.25 times the CPU's.
        """
        session_id = f"261121-1200{next(self.serial):02d}-abcdef"
        models = {key: self._timed(cost, noise) for key, cost in costs.items()}
        reference = next(iter(costs))
        copy = self._timed(costs[reference], noise)["batches"]
        document = {
            "id": session_id, "created": time.time(), "runs": list(runs), "machine": {"summary": "a test's"},
            "protocol": {"threads": 1, "rounds": {"1": 20, "64": 20}}, "reference": reference, "seconds": 1.0,
            "contention": {"1": 0.99, "64": 0.99}, "noisy": noisy, "models": models,
            "aa": {batch: {"rounds_cpu_ms": found["rounds_cpu_ms"]} for batch, found in copy.items()},
        }  # fmt: skip
        write_json(self.workspace.sessions / f"{session_id}.json", document)
        return session_id

    def _timed(self, cost, noise):
        batches = {}
        for batch, scale in (("1", 1), ("64", 16)):
            rounds = (cost * scale * (1 + noise * self.random.normal(size=20))).tolist()
            middle = float(np.median(rounds))
            batches[batch] = {
                "wall_ms": 1.25 * middle, "wall_p90_ms": 1.5 * middle, "cpu_ms": middle, "rounds_cpu_ms": rounds,
            }  # fmt: skip
        return {"peak_memory_mb": 31.0, "batches": batches}


def _report(answers, labels, size_bytes, seconds):
    right = int((answers == labels).sum())
    quality = {"n": IMAGES, "correct": right, "accuracy": right / IMAGES, "top5": 1.0, "macro_precision": 0.91}
    quality |= {"macro_recall": right / IMAGES, "macro_f1": 0.915, "ece": 0.0123456789012345, "nll": 0.3}
    return {
        "quality": quality | {"per_class": [], "confusion": [], "hidden": []},
        "size": {"size_bytes": size_bytes, "zip_bytes": size_bytes - 1000},
        "cost": {"params": 2500, "nonzero_params": 2000, "sparsity": 0.2, "macs": 81_000},
        "layers": [],
        "train": {"seconds": seconds, "steps": 300, "images": 19_200, "work": 5.0},
        "step": [],
        "export": {},
    }


@pytest.fixture
def laboratory(tmp_path):
    return Laboratory(tmp_path / "workspace")


@pytest.fixture
def quickstart(laboratory):
    """A finished run of six variants with three seeds for each student, and its session; returns the run's id.

    Right answers of 200: teacher 198; alone 170, 168, 173; hard labels 184, 180, 183; distilled 194, 192, 196;
    pruned: the first distilled one's without its last 4, and 1 more; int8: as the pruned one but for 1 image.
    """
    distilled = [laboratory.model(right, 40_000) for right in (194, 192, 196)]
    pruned_right = (np.arange(IMAGES) < 190) | (np.arange(IMAGES) == 199)
    rows = [
        {"name": "teacher", "role": "teacher", "keys": [laboratory.model(198, 400_000, 8.0)]},
        {"name": "student alone", "role": "alone", "keys": [laboratory.model(n, 40_000) for n in (170, 168, 173)]},
        {
            "name": "student on hard labels",
            "role": "hard_labels",
            "keys": [laboratory.model(n, 40_000) for n in (184, 180, 183)],
        },
        {"name": "student distilled", "role": "distilled", "keys": distilled},
        {
            "name": "pruned 50 %",
            "role": "pruned",
            "keys": [laboratory.model(pruned_right, 20_000)],
            "parent": "student distilled",
        },
        {"name": "int8", "role": "quantized", "keys": [laboratory.model(190, 10_000)], "parent": "pruned 50 %"},
    ]
    run_id = laboratory.run(rows)
    costs = dict(zip([row["keys"][0] for row in rows], (1.0, 0.5, 0.5, 0.5, 0.25, 0.1), strict=True))
    laboratory.session(costs, runs=[run_id])
    return run_id
