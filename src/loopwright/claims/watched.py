"""A Learner watched on a stream of tasks for a claim: a figure of what it still knows, plain or as a Measure tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopwright.blocks import continual
from loopwright.blocks.convert import convert
from loopwright.blocks.watching import Watched, watch
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback
from loopwright.core.measure import Table
from loopwright.core.registry import get_recipe

FIGURES = continual.FIGURES


def seen(world: Any, slug: str, options: Mapping[str, Any], setting: Mapping[str, Any], seed: int) -> Watched:
    """``every`` of the setting: steps between evaluations, 1 where it does not say, 0 at the ends of tasks alone; ``steps``:
    of the stream, one pass where it does not say.
    """
    recipe = get_recipe(slug)
    every, steps = int(setting.get("every", 1)), int(setting.get("steps", 0))

    def lawful(feedback: Feedback) -> Feedback:
        return convert(feedback, recipe.card.learns_from) if recipe.card.learns_from else feedback

    return watch(recipe(**options), world, seed=seed, steps=steps, every=every or 10**9, convert=lawful)


def learner_named(run: Any) -> bool:
    """Whether a setting's ``recipe_run`` or ``baseline_run`` is of a Learner."""
    return isinstance(run, Mapping) and "recipe" in run and get_recipe(str(run["recipe"])).card.shape == "learner"


def measured(world: Any, slug: str, options: Mapping[str, Any], run: Mapping[str, Any], metric: str, seed: int) -> float:
    """What a Measure with a row for each figure says of a Learner's run. Raises InputError where it does not tell."""
    found = seen(world, str(run["recipe"]), run.get("options") or {}, run, seed)
    table: Table = get_recipe(slug)(found.records(), **options)
    for row in table.rows:
        cells = dict(zip(table.columns, row, strict=True))
        if cells.get("figure") == metric and isinstance(cells.get("value"), int | float):
            return float(cells["value"])  # type: ignore[arg-type]
    raise InputError(f"{slug} has no row for {metric!r} of this run; its columns are {', '.join(table.columns)}")
