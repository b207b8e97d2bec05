"""What learners that choose among arms share: a tally of rewards, picks and draws with their probabilities."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

from pydantic import Field, JsonValue

from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Score
from loopwright.core.lazy import lazy
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

# By how much everything known so far is worth less after each answer; 1 forgets nothing.
Discount = Annotated[float, Field(gt=0.0, le=1.0)]


class Tally(NamedTuple):
    answers: np.ndarray  # [arms] how many, discounted
    total: np.ndarray  # [arms] sum of their rewards in [0, 1], discounted alike


def number_of(spec: Mapping[str, JsonValue], name: str, least: int = 1) -> int:
    """A whole number that a world tells at the start. Raises InputError where it is missing or too small."""
    value = spec.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        near = [] if name in spec else difflib.get_close_matches(name, list(spec), n=1, cutoff=0.6)
        meant = f"; did you mean {name!r} by {near[0]!r}?" if near else ""
        raise InputError(f"the specification must say {name!r}, a whole number of at least {least}; got {value!r}{meant}")
    return value


def fresh(arms: int) -> Tally:
    return Tally(np.zeros(arms), np.zeros(arms))


def add(state: Tally, trial: Trial, feedback: Feedback, discount: float = 1.0) -> Tally:
    """One more answer. The reward is the score in units of its range, as these learners' bounds are made for [0, 1].

    A censored score counts as its bound.
    """
    if not isinstance(feedback, Score):
        return state
    answers, total = state.answers * discount, state.total * discount
    arm = int(trial.proposal)  # type: ignore[arg-type]
    answers[arm] += 1.0
    total[arm] += feedback.unit
    return Tally(answers, total)


def rearranged(values: np.ndarray, places: Sequence[int], new: Any = 0.0) -> np.ndarray:
    """A copy of values [arms, ...] whose row i is row ``places[i]``, or ``new`` where that is -1: see ``Learner.arms``."""
    index = np.asarray(places, dtype=np.intp)
    rows = values[np.maximum(index, 0)]
    rows[index < 0] = new
    return np.asarray(rows)


def some(state: Tally, places: Sequence[int]) -> Tally:
    """``Learner.arms`` of a tally. What depends on how many answers there were goes by those of the arms that are offered."""
    return Tally(rearranged(state.answers, places), rearranged(state.total, places))


Sums = TypeVar("Sums", bound=tuple[Any, ...])


def added(state: Sums, other: Sums, base: Sums) -> Sums:
    """``Learner.merge`` of a NamedTuple whose every field is a sum over the answers."""
    return type(state)(*(a + b - c for a, b, c in zip(state, other, base, strict=True)))


def largest(values: np.ndarray, rng: np.random.Generator) -> tuple[int, float]:
    """Place of the largest value, and the probability of this place: 1, or 1 / n where n of them tie and one is drawn."""
    place = int(values.argmax())
    ties = values == values[place]
    if np.count_nonzero(ties) <= 1:
        return place, 1.0
    best = np.flatnonzero(ties)
    return int(best[rng.integers(len(best))]), 1.0 / len(best)


def draw(probabilities: np.ndarray, rng: np.random.Generator) -> tuple[int, float]:
    """A place drawn with these probabilities, which sum to 1 but for rounding, and its probability."""
    cumulated = np.cumsum(probabilities)
    place = int(np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right"))
    place = min(place, len(probabilities) - 1)
    return place, min(float(probabilities[place]), 1.0)


def chance_of(trial: Trial, name: str) -> float:
    """The probability its arm was drawn with. Raises InputError, in the name of the recipe, where the trial has none."""
    if trial.propensity is None:
        raise InputError(f"this trial has no propensity: {name} divides its feedback by the probability the arm was drawn with")
    return trial.propensity
