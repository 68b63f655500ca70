"""How far workers, one queue and one workspace go: the sections of docs/scale.md that need no class.

`python -m benchmarks.scale workers`: two workers against one, and any number by simulation. `--set PATH=VALUE` changes
the Recipes, as `kdcore run` does: `--set train.steps=40` for a first try.
`python -m benchmarks.scale runs`: what workspaces of 1,000, 10,000 and 100,000 runs cost. `--most 10000` ends earlier.
`--write` puts the section into docs/scale.md.
"""

from __future__ import annotations

import argparse

from benchmarks import many_runs, workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("workers", "runs"))
    parser.add_argument("--set", action="append", default=[], help="workers: a change of the Recipes")
    parser.add_argument("--most", type=int, default=max(many_runs.SIZES), help="runs: of the synthetic workspace")
    parser.add_argument("--rounds", type=int, default=5, help="runs: visits of each page")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    if asked.part == "workers":
        workers.measure(asked.set)
    else:
        many_runs.measure(asked.most, asked.rounds)


if __name__ == "__main__":
    main()
