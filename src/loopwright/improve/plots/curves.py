"""How learners do as they go on, with intervals over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from loopwright.core.errors import InputError
from loopwright.core.statistics import t_interval
from loopwright.improve.plots.canvas import COLOURS, GRID, Form, render

Array = np.ndarray[Any, np.dtype[Any]]
POINTS = 200  # of a curve; what lies between two is averaged


def learning_curves(
    curves: Mapping[str, Array], *, ylabel: str, title: str = "", form: Form = "png"
) -> bytes:
    """A picture of one line for each name, the mean over seeds, in a band that is the 95% interval of that mean (Student's).

    curves: by name, [seeds, steps] what each step was worth; steps without a value (NaN) on every seed are left out.
    With one seed there is no band. Raises InputError for curves without a number, or of different lengths.
    """
    tables = {name: np.atleast_2d(np.asarray(values, dtype=float)) for name, values in curves.items()}
    if len({table.shape[1] for table in tables.values()}) != 1 or any(np.isnan(t).all() for t in tables.values()):
        shapes = {name: table.shape for name, table in tables.items()}
        raise InputError(f"learning curves are tables [seeds, steps] of as many steps, with numbers in them; got {shapes}")

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for number, (name, table) in enumerate(tables.items()):
            steps, middle, low, high = _band(table)
            colour = COLOURS[number % len(COLOURS)]
            label = f"{name} ({len(table)} seeds)" if len(table) > 1 else name
            axes.plot(steps, middle, color=colour, linewidth=1.8, label=label)
            axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.set_xlabel("step")
        axes.set_ylabel(ylabel)
        axes.grid(**GRID)
        if title:
            axes.set_title(title)
        axes.legend(loc="best")

    return render("curves", (6.4, 3.8), draw, form)


def _band(table: Array) -> tuple[Array, Array, Array, Array]:
    """(steps, mean, low, high) at up to POINTS places, each the mean of the steps up to it since the one before."""
    known = np.flatnonzero(~np.isnan(table).any(axis=0))
    groups = np.array_split(known, min(POINTS, len(known)))
    seeds = np.array([[table[s, group].mean() for group in groups] for s in range(len(table))])
    middle = seeds.mean(axis=0)
    bounds = np.array([t_interval(list(column)) for column in seeds.T])
    known_ends = np.isfinite(bounds)  # of one seed, or of seeds that agree, there is no band
    low, high = np.where(known_ends, bounds, middle[:, None]).T
    steps = np.array([group[-1] + 1 for group in groups])
    return steps, middle, low, high
