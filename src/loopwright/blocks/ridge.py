"""Ridge regressions kept up to date one row at a time, one for each arm."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from loopwright.core.feedback import Feedback, Score
from loopwright.core.lazy import lazy
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Ridge(NamedTuple):
    gram_inverse: np.ndarray  # [arms, d, d], inverse of X'X + ridge I
    response: np.ndarray  # [arms, d], X'y


def fresh(arms: int, dimensions: int, ridge: float) -> Ridge:
    return Ridge(np.tile(np.eye(dimensions) / ridge, (arms, 1, 1)), np.zeros((arms, dimensions)))


def predict(state: Ridge, x: np.ndarray) -> np.ndarray:
    """Predicted response of every arm [arms] at x [d]."""
    return np.asarray(np.einsum("kij,kj->ki", state.gram_inverse, state.response) @ x)


def width(state: Ridge, x: np.ndarray) -> np.ndarray:
    """Standard error of every arm's prediction [arms] at x [d], in units of the noise."""
    return np.asarray(np.sqrt(np.einsum("i,kij,j->k", x, state.gram_inverse, x)))


def update(state: Ridge, arm: int, x: np.ndarray, y: float) -> Ridge:
    """One more row for one arm, by Sherman-Morrison; the state given stays as it was."""
    gram_inverse, response = state.gram_inverse.copy(), state.response.copy()
    half = gram_inverse[arm] @ x
    gram_inverse[arm] -= np.outer(half, half) / (1.0 + x @ half)
    response[arm] += y * x
    return Ridge(gram_inverse, response)


def tell(state: Ridge, trial: Trial, feedback: Feedback) -> Ridge:
    """A learner's ``tell``: the score is the response of the arm that was tried in the trial's context."""
    if not isinstance(feedback, Score):
        return state
    x = np.asarray(trial.context, dtype=float)
    return update(state, int(trial.proposal), x, feedback.value)  # type: ignore[arg-type]
