"""How a Learner and its baseline do as they go on, with intervals over seeds: python -m loopwright.improve.plots.curves SLUG.

Runs the Learner's claim again and writes SLUG.png and SLUG.svg: what is summed over all steps (regret, reward) as the
sum so far, a score as it was at each step.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from loopwright.claims.playing import STEPS, played
from loopwright.claims.table import Claim, claim_of
from loopwright.core.errors import InputError
from loopwright.core.registry import get_recipe
from loopwright.core.statistics import t_interval
from loopwright.worlds.registry import known_world

Array = np.ndarray[Any, np.dtype[Any]]
POINTS = 200  # of a curve; what lies between two is averaged
_INK, _SOFT = "#1f2933", "#7b8794"
_COLOURS = ("#0b6bcb", "#c0392b", "#2e8540", "#8e44ad", "#b7791f")
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif", "font.size": 9, "text.color": _INK, "axes.edgecolor": _SOFT, "axes.labelcolor": _INK,
    "xtick.color": _INK, "ytick.color": _INK, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "svg.fonttype": "none", "svg.hashsalt": "curves", "text.parse_math": False,
}  # fmt: skip


def learning_curves(
    curves: Mapping[str, Array], *, ylabel: str, title: str = "", form: Literal["png", "svg"] = "png"
) -> bytes:
    """A picture of one line for each name, the mean over seeds, in a band that is the 95% interval of that mean (Student's).

    curves: by name, [seeds, steps] what each step was worth; steps without a value (NaN) on every seed are left out.
    With one seed there is no band. Raises InputError for curves without a number, or of different lengths.
    """
    import matplotlib
    from matplotlib.figure import Figure

    tables = {name: np.atleast_2d(np.asarray(values, dtype=float)) for name, values in curves.items()}
    if len({table.shape[1] for table in tables.values()}) != 1 or any(np.isnan(t).all() for t in tables.values()):
        shapes = {name: table.shape for name, table in tables.items()}
        raise InputError(f"learning curves are tables [seeds, steps] of as many steps, with numbers in them; got {shapes}")
    with matplotlib.rc_context(rc=_STYLE):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained", dpi=150)
        axes = figure.subplots()
        for number, (name, table) in enumerate(tables.items()):
            steps, middle, low, high = _band(table)
            colour = _COLOURS[number % len(_COLOURS)]
            label = f"{name} ({len(table)} seeds)" if len(table) > 1 else name
            axes.plot(steps, middle, color=colour, linewidth=1.8, label=label)
            axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.set_xlabel("step")
        axes.set_ylabel(ylabel)
        axes.grid(color=_SOFT, alpha=0.25, linewidth=0.6)
        if title:
            axes.set_title(title, loc="left", fontsize=10)
        axes.legend(loc="best")
        out = io.BytesIO()
        metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
        figure.savefig(out, format=form, metadata=metadata)
    return out.getvalue()


def _band(table: Array) -> tuple[Array, Array, Array, Array]:
    """(steps, mean, low, high) at up to POINTS places, each the mean of the steps up to it since the one before."""
    known = np.flatnonzero(~np.isnan(table).any(axis=0))
    groups = np.array_split(known, min(POINTS, len(known)))
    seeds = np.array([[table[s, group].mean() for group in groups] for s in range(len(table))])
    middle = seeds.mean(axis=0)
    bounds = [t_interval(list(column)) if len(table) > 1 else (column[0], column[0]) for column in seeds.T]
    steps = np.array([group[-1] + 1 for group in groups])
    return steps, middle, np.array([low for low, _ in bounds]), np.array([high for _, high in bounds])


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
    for form in ("png", "svg"):
        path = given.out / f"{given.slug}.{form}"
        path.write_bytes(learning_curves(curves, ylabel=ylabel, title=f"{claim.recipe} on {claim.world}", form=form))
        print(path)


if __name__ == "__main__":
    main()
