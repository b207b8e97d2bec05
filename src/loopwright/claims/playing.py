"""A Learner played through a stream for a claim, step by step: what each step was worth in the claim's metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loopwright.blocks.convert import converter
from loopwright.core.errors import InputError
from loopwright.core.feedback import Score
from loopwright.core.learner import Session
from loopwright.core.registry import get_recipe
from loopwright.core.types import Trial

STEPS = 1000  # where the claim's setting does not say


def played(
    world: Any, slug: str, options: Mapping[str, Any], *, metric: str, seed: int, steps: int = STEPS
) -> Iterator[tuple[Trial, float | None]]:
    """Step by step, what was asked and what it was worth: its regret (for ``gap``, too), its reward, or the world's own
    score; None where a step has none. Raises InputError for a metric that the world does not have.
    """
    recipe = get_recipe(slug)
    figure = {"regret": "regret", "gap": "regret", "score": "score"}.get(metric, "")
    if (figure and not hasattr(world, figure)) or not (figure or metric == "reward" or hasattr(world, "figures")):
        raise InputError(f"{world.name} has no {metric} to measure learners by")
    session = Session(recipe(**options), world.spec, seed=seed, convert=converter(recipe.card.learns_from))
    for t in range(steps):
        trial = session.ask(world.context(seed, t))
        feedback = world.respond(seed, t, trial).model_copy(update={"about": trial.id})
        if figure:
            yield trial, getattr(world, figure)(seed, t, trial)
        else:
            yield trial, feedback.value if isinstance(feedback, Score) else None
        session.tell(feedback)


def value(world: Any, slug: str, options: Mapping[str, Any], *, metric: str, seed: int, steps: int = STEPS) -> float:
    """What a claim compares: the sum over all steps, of a score the mean over those that have one, of a gap the last;
    else what the world makes of all trials together.
    """
    log = list(played(world, slug, options, metric=metric, seed=seed, steps=steps))
    if metric not in ("regret", "reward", "gap", "score"):
        return float(world.figures(seed, [trial for trial, _ in log])[metric])
    known = [worth for _, worth in log if worth is not None]
    if not known and metric != "reward":
        raise InputError(f"no step has a {metric}: {world.name} measures late steps only; give the claim more than {steps}")
    if metric == "gap":
        return known[-1]
    return sum(known) / (len(known) if metric == "score" else 1)
