"""Which methods a job tries, in which order, for what may change."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.extras import require
from loopwright.core.registry import Recipe, get_recipe
from loopwright.core.types import Candidate

# Weights first: a prompt is good or bad for the weights it is used with, so it is tried on the ones that stay. Where the
# weights find nothing to learn from at first, the job comes back to them after a prompt was accepted.
# Solvers last: they multiply the price of every answer, so they must beat what is already there.
PORTFOLIO: dict[str, tuple[str, ...]] = {
    "weights": ("rest-em",),
    "prompt": ("few-shot",),
    "answers": ("self-consistency", "best-of-n", "critic-tools"),
}


@dataclass(frozen=True, slots=True)
class Method:
    recipe: Recipe
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        return self.recipe.slug


def changes(change: Sequence[str]) -> list[str]:
    """What may change, in the portfolio's order. Raises UnknownName."""
    for name in change:
        if name not in PORTFOLIO:
            raise UnknownName("kind of change", name, PORTFOLIO)
    if not change:
        raise InputError(f"nothing may change; expected --change with some of {', '.join(PORTFOLIO)}")
    return [name for name in PORTFOLIO if name in change]


def choose(
    change: Sequence[str],
    options: Mapping[str, Mapping[str, Any]],
    *,
    only: Sequence[str] = (),
    has_critics: bool,
    has_tools: bool,
) -> list[Method]:
    """The methods that fit: a Solver that needs a critic or tools is left out of a task that has none.

    options: by slug; ``enabled = false`` leaves a method out, and naming a recipe that is not in the portfolio adds it.
    """
    slugs = list(only)
    if not slugs:
        slugs = [slug for kind in changes(change) for slug in PORTFOLIO[kind]]
        slugs += [slug for slug in options if slug not in slugs and _kind(get_recipe(slug)) in change]
    methods = []
    for slug in slugs:
        settings = dict(options.get(slug, {}))
        if not settings.pop("enabled", True) and not only:
            continue
        recipe = get_recipe(slug)
        if recipe.card.shape not in ("solver", "improver"):
            raise InputError(f"{slug} is a {recipe.card.shape}; a job runs Solvers and Improvers")
        lacks = _lacks(recipe, has_critics=has_critics, has_tools=has_tools)
        if lacks and only:
            raise InputError(f"{slug} needs {lacks} when it answers, and this task has none: add {lacks} to task.toml")
        if lacks:
            continue
        require(*recipe.card.packages)
        methods.append(Method(recipe, recipe.check(settings)))
    return methods


def _lacks(recipe: Recipe, *, has_critics: bool, has_tools: bool) -> str:
    """The table of task.toml that a Solver cannot do without and this task has not; "" for none."""
    if recipe.card.shape != "solver":
        return ""
    if "critic" in recipe.card.needs and not has_critics:
        return "[[critics]]"
    return "[tools]" if "tools" in recipe.card.needs and not has_tools else ""


def _kind(recipe: Recipe) -> str:
    return "answers" if recipe.card.shape == "solver" else recipe.card.improves


async def wrap_solver(base: Candidate, method: Method) -> AsyncGenerator[Candidate, bool]:
    """A Solver as an Improver with one offer: the incumbent, used this way."""
    solver: JsonValue = {"recipe": method.recipe.address, "options": method.options}
    yield base.child(by=method.slug, note="another way to answer", solver=solver)
