"""Continual learning on split digits beside what peers' programs came to: python benchmarks/continual.py [--json]

Ten classes in five tasks, one pass in batches of ten, 1,797 digits of which each seed holds out 30%; after every step all
held-out digits are asked about. A memory holds 200. Peers' figures are means over ten seeds of small networks of their own, on
splits of their own; what is set beside them is what ours come to, with 95% intervals over the seeds (Student's).

joint is one task of shuffled data, in one pass. within: the same, when questions say of which task they are. permuted: tasks of
all ten classes, each with its pixels in an order of its own (domain-incremental).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from itertools import pairwise
from typing import Any

from loopwright.blocks.watching import Watched, watch
from loopwright.core.registry import get_recipe
from loopwright.core.statistics import t_interval
from loopwright.worlds.digits import digits

# name: (recipe, options, options of the world, peers' ACC and WC-ACC)
ROWS: dict[str, tuple[str, dict[str, Any], dict[str, Any], tuple[float | None, float | None]]] = {
    "naive": ("naive-sgd", {}, {}, (0.190, None)),
    "replay": ("replay", {}, {}, (0.737, 0.476)),
    "der-plus-plus": ("der-plus-plus", {}, {}, (0.750, 0.530)),
    "uer": ("uer", {}, {}, (0.829, None)),
    "joint": ("naive-sgd", {}, {"tasks": 1}, (0.828, None)),
    "kept all": ("joint", {}, {}, (None, None)),
    "a-gem": ("a-gem", {}, {}, (None, None)),
    "gdumb": ("gdumb", {}, {}, (None, None)),
    "ewc": ("ewc", {}, {}, (None, None)),
    "lwf": ("lwf", {}, {}, (None, None)),
    "progressive": ("progressive-networks", {}, {}, (None, None)),
    "naive within": ("naive-sgd", {}, {"told": True}, (None, None)),
    "ewc within": ("ewc", {}, {"told": True}, (None, None)),
    "lwf within": ("lwf", {}, {"told": True}, (None, None)),
    "progressive within": ("progressive-networks", {}, {"told": True}, (None, None)),
    "naive permuted": ("naive-sgd", {}, {"permuted": True}, (None, None)),
    "replay permuted": ("replay", {}, {"permuted": True}, (None, None)),
    "ewc permuted": ("ewc", {}, {"permuted": True}, (None, None)),
    "lwf permuted": ("lwf", {}, {"permuted": True}, (None, None)),
}
SHOWN = ("ACC", "WC-ACC", "min-ACC", "stability gap", "forgetting")
LOWEST = "lowest at"  # share of a new task's training at which an old one is known least
BEYOND = "gap beyond naive"  # of the same seeds and world: swings from batch to batch look like gaps, too


def measured(name: str, seeds: range, every: int) -> dict[str, Any]:
    """Means over the seeds with their intervals, and the seconds of one run, evaluations included."""
    slug, options, setting, peers = ROWS[name]
    world = digits(**setting)
    began = time.perf_counter()
    seen = [watch(get_recipe(slug)(**options), world, seed=seed, every=every) for seed in seeds]
    found = [{**one.figures(), LOWEST: lowest_at(one)} for one in seen]
    row: dict[str, Any] = {"seconds": round((time.perf_counter() - began) / len(seeds), 2)}
    for figure in (*SHOWN, LOWEST):
        values = [f[figure] for f in found]
        if not any(map(math.isnan, values)):
            row[figure] = interval(values)
    row["gaps"] = [f["stability gap"] for f in found]
    row["peers"] = {figure: value for figure, value in zip(("ACC", "WC-ACC"), peers, strict=True) if value is not None}
    return row


def interval(values: list[float]) -> dict[str, float]:
    low, high = t_interval(values)
    return {"mean": round(sum(values) / len(values), 3), "low": round(low, 3), "high": round(high, 3)}


def lowest_at(seen: Watched) -> float:
    """The mean over all new tasks and those before them; NaN for one task."""
    places = [
        (int(seen.matrix[begin + 1 : end + 1, old].argmin()) + 1) / (end - begin)
        for new, (begin, end) in enumerate(pairwise(seen.ends), 1)
        for old in range(new)
    ]
    return sum(places) / len(places) if places else math.nan


def beside_naive(result: dict[str, Any], names: list[str]) -> None:
    """Add to each row what its gap exceeds that of naive training on the same world by, where that was measured too."""
    for name in names:
        plain = next((n for n in names if ROWS[n][0] == "naive-sgd" and ROWS[n][2] == ROWS[name][2]), name)
        if plain != name and BEYOND not in result[name] and "stability gap" in result[name]:
            pairs = zip(result[name]["gaps"], result[plain]["gaps"], strict=True)
            result[name][BEYOND] = interval([own - naive for own, naive in pairs])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1, help="steps between evaluations")
    parser.add_argument("--only", nargs="*", choices=list(ROWS), default=list(ROWS), help="these rows")
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    result: dict[str, Any] = {"benchmark": "continual", "cpus": os.cpu_count(), "seeds": given.seeds, "every": given.every}
    if not given.json:
        print(f"{'':20}" + "".join(f"{figure:>24}" for figure in SHOWN) + f"{'peers':>16}{'s a run':>9}")
    for name in given.only:
        row = result[name] = measured(name, seeds, given.every)
        if not given.json:
            cells = [row.get(figure) for figure in SHOWN]
            told = [f"{c['mean']:.3f} [{c['low']:.3f}, {c['high']:.3f}]" if c else "" for c in cells]
            peers = ", ".join(f"{value:.3f}" for value in row["peers"].values())
            print(f"{name:20}" + "".join(f"{cell:>24}" for cell in told) + f"{peers:>16}{row['seconds']:9.2f}", flush=True)
    beside_naive(result, given.only)
    if given.json:
        print(json.dumps(result))
        return
    for name in given.only:
        told = [f"{k} {c['mean']:.3f} [{c['low']:.3f}, {c['high']:.3f}]" for k in (LOWEST, BEYOND) if (c := result[name].get(k))]
        print(f"{name:20}{', '.join(told)}")


if __name__ == "__main__":
    main()
