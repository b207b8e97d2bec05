"""Checks of what a measure makes of a run's records."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable

from loopwright.checks import bench_measure
from loopwright.checks.bench_measure import EXAMPLES, Figure, figures, records, table, values
from loopwright.checks.suite import Failed, check
from loopwright.core.errors import LoopwrightError
from loopwright.core.measure import Record, Table
from loopwright.core.registry import Recipe
from loopwright.core.types import digest

SEED = 21
ROUNDING = 1e-9
MORE = 4  # times as many examples, on which intervals are to be narrower
NARROWER = 0.8  # by this at least; they halve where the examples are independent


@check("measure")
def order_does_not_matter(recipe: Recipe) -> None:
    """Records in another order give the same rows, and the records are left as they were."""
    given = records(SEED, recipe)
    expected = bench_measure.plain(table(recipe, given))
    for seed in range(3):
        mixed = list(given)
        random.Random(seed).shuffle(mixed)
        before = _digest(mixed)
        handed = list(mixed)
        found = bench_measure.plain(_given(recipe, handed))
        if _digest(handed) != before:
            raise Failed("it changed the records it was given; sort and filter into lists of your own")
        if found != expected:
            raise Failed("the same records in another order gave another table; go by round and replicate, not by place")


@check("measure")
def no_figure_from_nothing(recipe: Recipe) -> str | None:
    """A run without records gives an empty table or a clear error, and judgements that did not come are no zeros."""
    try:
        empty = table(recipe, [])
    except LoopwrightError as error:
        shown = f"a run without records is refused: {error}"
    except Exception as error:
        raise Failed(f"a run without records gives {error!r}; give an empty table or raise InputError") from error
    else:
        if figures(empty):
            raise Failed(f"a run without records gives figures: {figures(empty)[:3]}")
        shown = ""
    if not recipe.card.learns_from:
        return shown
    wrong = _all(recipe, lambda id, right: False)
    try:
        none = _all(recipe, lambda id, right: None)
    except LoopwrightError:
        none = []
    if none and none == wrong != _all(recipe, lambda id, right: True):
        raise Failed(f"with every judgement missing it gives what it gives when everything is wrong: {none[:3]}")
    # Five attempts, as one that an unusable judgement has left out must leave enough of them for what counts in fours.
    base = records(SEED, recipe, attempts=5)
    late = {r.rollout.id for r in base if r.replicate == 4}

    def figures_if(said: bool | None) -> list[tuple[str, float]]:
        return values(table(recipe, records(SEED, recipe, attempts=5, fate=lambda id, right: said if id[:16] in late else right)))

    missing = figures_if(None)
    if missing == figures_if(False) != figures_if(True):
        raise Failed("a judgement that is missing counts as a wrong answer; leave out what has no score (None is not 0)")
    if missing != values(table(recipe, [r for r in base if r.replicate < 4])):
        return "; ".join(filter(None, (shown, "warning: figures change with attempts whose judgements are missing")))
    return shown


def _all(recipe: Recipe, fate: Callable[[str, bool], bool | None]) -> list[tuple[str, float]]:
    return values(table(recipe, records(SEED, recipe, fate=fate)))


@check("measure")
def interval_holds_the_figure(recipe: Recipe) -> str:
    """Every figure lies within its interval, and more examples make the intervals narrower."""
    few = figures(table(recipe, records(SEED, recipe)))
    many = figures(table(recipe, records(SEED, recipe, examples=MORE * EXAMPLES)))
    if not few or not many:
        raise Failed("no figure with an interval; its columns follow the figure and are called low and high (see Table)")
    for one in (*few, *many):
        if not one.low - ROUNDING <= one.value <= one.high + ROUNDING:
            raise Failed(f"{one.name} is {one.value:g}, outside of its interval from {one.low:g} to {one.high:g}")
    before, after = _width(few), _width(many)
    shown = f"mean width {before:.3g}, with {MORE} times as many examples {after:.3g}"
    if not after < NARROWER * before:
        raise Failed(f"{shown}; an interval tells what is not known for want of examples")
    return shown


def _width(found: list[Figure]) -> float:
    return statistics.fmean(one.high - one.low for one in found)


def heeds_its_records(recipe: Recipe) -> str:
    """What loop-is-closed asks of a measure. Raises Failed."""
    here = _figures(recipe, records(SEED, recipe))
    if not here:
        raise Failed("it gives no figure of a run whose records hold all that its card says it learns from")
    if here == _figures(recipe, records(SEED + 1, recipe)):
        raise Failed("two runs that went differently have the same figures: it does not look at the records")
    if not recipe.card.learns_from:
        return "two runs differ; it learns from no feedback, so none was turned round"
    turned = records(SEED, recipe, fate=lambda id, right: right != (int(digest(["turn", id])[:4], 16) % 2 == 0))
    if here == _figures(recipe, turned):
        raise Failed("with half of all judgements turned round the figures stay as they are: it does not read the feedback")
    return "figures change with the run, and with half of its judgements turned round"


def _figures(recipe: Recipe, given: list[Record]) -> list[tuple[str, float]]:
    return values(table(recipe, given))


def _given(recipe: Recipe, handed: list[Record]) -> Table:
    """The recipe with this very list, which it must not change."""
    made: Table = recipe(handed)
    return made


def _digest(given: list[Record]) -> str:
    return digest([r.model_dump(mode="json") for r in given])
