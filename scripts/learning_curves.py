"""How a Learner and its baseline do as they go on, with intervals over seeds: python scripts/learning_curves.py SLUG.

Runs the Learner's claim again and writes SLUG.png and SLUG.svg: what is summed over all steps (regret, reward) as the
sum so far, a score as it was at each step.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from loopwright.claims.playing import STEPS, played
from loopwright.claims.table import Claim, claim_of
from loopwright.core.errors import InputError
from loopwright.core.registry import get_recipe
from loopwright.improve.plots.canvas import FORMS
from loopwright.improve.plots.curves import Array, learning_curves
from loopwright.worlds.registry import known_world


def claim_curves(claim: Claim, *, seeds: int | None = None) -> dict[str, Array]:
    """Both sides of a Learner's claim, [seeds, steps]: sums so far, or a score at each step (NaN where there is none).

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
        found[slug] = np.nancumsum(table, axis=1) if claim.metric in ("regret", "reward") else table
    return found


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
    ylabel = f"{claim.metric}, sum so far" if claim.metric in ("regret", "reward") else claim.metric
    given.out.mkdir(parents=True, exist_ok=True)
    for form in FORMS:
        path = given.out / f"{given.slug}.{form}"
        path.write_bytes(learning_curves(curves, ylabel=ylabel, title=f"{claim.recipe} on {claim.world}", form=form))
        print(path)


if __name__ == "__main__":
    main()
