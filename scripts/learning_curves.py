"""How a Learner and its baseline do as they go on, with intervals over seeds: python scripts/learning_curves.py SLUG.

Runs the Learner's claim again and writes SLUG.png and SLUG.svg: what is summed over all steps (regret, reward) as the
sum so far, a score as its mean so far.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from loopwright.claims.playing import STEPS, played
from loopwright.claims.table import Claim, claim_of
from loopwright.core.errors import InputError
from loopwright.core.registry import get_recipe
from loopwright.improve.plots.curves import Array, learning_curves
from loopwright.improve.plots.files import save
from loopwright.worlds.registry import known_world


def claim_curves(claim: Claim, *, seeds: int | None = None) -> dict[str, Array]:
    """Both sides of a Learner's claim, [seeds, steps], as ``so_far`` has it; NaN where there is none yet.

    Raises InputError for a claim whose metric no single step has.
    """
    if get_recipe(claim.recipe).card.shape != "learner" or claim.metric not in ("regret", "reward", "gap", "score"):
        raise InputError(f"{claim.recipe} has no learning curve: its claim measures {claim.metric}, which single steps have not")
    options: Any = claim.setting.get("world", {})
    steps: Any = claim.setting.get("steps", STEPS)
    world: Any = known_world(claim.world).make(**options)
    found: dict[str, Array] = {}
    for slug, given in ((claim.recipe, claim.options), (claim.baseline, claim.baseline_options)):
        rows = []
        for seed in range(claim.first_seed, claim.first_seed + (seeds or claim.seeds)):
            log = played(world, slug, given, metric=claim.metric, seed=seed, steps=steps)
            rows.append([np.nan if worth is None else worth for _, worth in log])
        table = np.array(rows, dtype=float)
        found[slug] = so_far(table, claim.metric)
    return found


def so_far(table: Array, metric: str) -> Array:
    """What a claim would compare after each step: the sum of regrets or rewards, the mean of scores; a gap as it is."""
    if metric == "gap":
        return table
    known = np.cumsum(~np.isnan(table), axis=1)
    sums = np.where(known > 0, np.nancumsum(table, axis=1), np.nan)
    return sums if metric in ("regret", "reward") else sums / np.maximum(known, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the learning curves of a Learner's claim.")
    parser.add_argument("slug", help="the recipe")
    parser.add_argument("--out", type=Path, default=Path("."), help="the folder to write to")
    parser.add_argument("--seeds", type=int, help="fewer than the claim's")
    given = parser.parse_args()
    claim = claim_of(given.slug)
    if claim is None:
        raise InputError(f"no claim has been written for {given.slug}, so there is nothing to draw")
    curves = claim_curves(claim, seeds=given.seeds)
    ylabel = claim.metric + {"regret": ", sum so far", "reward": ", sum so far", "score": ", mean so far"}.get(claim.metric, "")
    draw = partial(learning_curves, curves, ylabel=ylabel, title=f"{claim.recipe} on {claim.world}")
    for path in save({given.slug: draw}, given.out):
        print(path)


if __name__ == "__main__":
    main()
