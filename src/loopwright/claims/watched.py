"""A Learner watched on a stream of tasks for a claim: a figure of what it still knows, plain or as a Measure tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from loopwright.blocks import continual
from loopwright.blocks.convert import converter
from loopwright.blocks.watching import Watched, experts, watch
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback
from loopwright.core.measure import Table
from loopwright.core.registry import get_recipe

FIGURES = continual.FIGURES


def seen(world: Any, slug: str, options: Mapping[str, Any], setting: Mapping[str, Any], seed: int) -> Watched:
    """``every`` of the setting: steps between evaluations, 1 where it does not say, 0 at the ends of tasks alone; ``steps``:
    of the stream, one pass where it does not say.
    """
    steps = int(setting.get("steps", 0))
    return watch(get_recipe(slug)(**options), world, seed=seed, steps=steps, every=_every(setting), convert=_lawful(slug))


def _every(setting: Mapping[str, Any]) -> int:
    return int(setting.get("every", 1)) or 10**9


def _lawful(slug: str) -> Callable[[Feedback], Feedback]:
    return converter(get_recipe(slug).card.learns_from)


def learner_named(run: Any) -> bool:
    """Whether a setting's ``recipe_run`` or ``baseline_run`` is of a Learner."""
    return isinstance(run, Mapping) and "recipe" in run and get_recipe(str(run["recipe"])).card.shape == "learner"


def measured(world: Any, slug: str, options: Mapping[str, Any], run: Mapping[str, Any], metric: str, seed: int) -> float:
    """What a Measure with a row for each figure says of a Learner's run, with ``experts`` beside learners of one task alone.
    Raises InputError where it does not tell.
    """
    name, chosen = str(run["recipe"]), run.get("options") or {}
    told = seen(world, name, chosen, run, seed).records()
    if run.get("experts"):
        told += experts(get_recipe(name)(**chosen), world, seed=seed, every=_every(run), convert=_lawful(name))
    table: Table = get_recipe(slug)(told, **options)
    for row in table.rows:
        cells = dict(zip(table.columns, row, strict=True))
        if cells.get("figure") == metric and isinstance(cells.get("value"), int | float):
            return float(cells["value"])  # type: ignore[arg-type]
    raise InputError(f"{slug} has no row for {metric!r} of this run; its columns are {', '.join(table.columns)}")
