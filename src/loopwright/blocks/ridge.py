"""Ridge regressions kept up to date one row at a time, one for each arm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field

from loopwright.blocks import arms
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Score
from loopwright.core.lazy import lazy
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

# Without a regulariser the Gram matrix of an arm that was never tried is singular.
Regulariser = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]

LARGEST = 1e15  # a row's length beside what is known along it; above, double precision keeps nothing of the other features
_SQUARE = LARGEST**2


class Ridge(NamedTuple):
    """root: [arms, d, d], a square root of each inverse Gram matrix: (X'X + ridge I)^-1 = root' root. coefficients: [arms, d].

    What a feature of 1e9 does to the inverse itself is lost in rounding, and the next step makes it infinite; its square root
    keeps it, with half the digits in use.
    """

    root: np.ndarray
    coefficients: np.ndarray

    @property
    def gram_inverse(self) -> np.ndarray:
        """[arms, d, d] (X'X + ridge I)^-1."""
        return np.asarray(self.root.transpose(0, 2, 1) @ self.root)

    @classmethod
    def of_format(cls, values: Sequence[Any], format: int) -> Ridge:
        """Of a snapshot of format 1, whose first field is the inverse itself."""
        inverse, coefficients = values
        try:
            if not np.isfinite(inverse).all():
                raise np.linalg.LinAlgError
            return cls(np.linalg.cholesky(inverse).transpose(0, 2, 1), coefficients)
        except np.linalg.LinAlgError:
            raise InputError(
                "this snapshot's regression was spoilt by features too large for its inverse Gram matrix; begin anew"
            ) from None


def fresh(count: int, dimensions: int, ridge: float) -> Ridge:
    return Ridge(np.tile(np.eye(dimensions) / math.sqrt(ridge), (count, 1, 1)), np.zeros((count, dimensions)))


def features(state: Ridge, context: Any) -> np.ndarray:
    """The context as numbers [d]. Raises InputError for one that is missing, of another length, not finite or too large."""
    d = state.coefficients.shape[1]
    if context is None:
        raise InputError(f"this trial has no context: a linear model needs the {d} numbers that were known when it was asked")
    try:
        x = np.asarray(context, dtype=float)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"a context is {d} numbers, got {str(context)[:80]}") from None
    if x.shape != (d,):
        raise InputError(f"a context is {d} numbers, got an array of shape {x.shape}")
    square = np.vdot(x, x)
    if not square <= _SQUARE:
        if not np.isfinite(x).all():
            raise InputError("a context holds finite numbers, got one that is not")
        raise InputError(
            f"a context holds numbers of up to {LARGEST:g}, got {np.abs(x).max():g}: the square of it leaves no digit for the "
            "others; scale this feature, or take its logarithm"
        )
    return x


def predict(state: Ridge, x: np.ndarray) -> np.ndarray:
    """Predicted response of every arm [arms] at x [d]."""
    return np.asarray(state.coefficients.dot(x))


def width(state: Ridge, x: np.ndarray) -> np.ndarray:
    """Standard error of every arm's prediction [arms] at x [d], in units of the noise."""
    count, d = state.coefficients.shape
    half = state.root.reshape(count * d, d).dot(x).reshape(count, d)  # one product of a matrix, not one for each arm
    half *= half
    return np.asarray(np.sqrt(half.sum(axis=1)))


def update(state: Ridge, arm: int, x: np.ndarray, y: float) -> Ridge:
    """One more row for one arm; the state given stays as it was.

    Potter's update of a square root (Kaminski, Bryson and Schmidt, "Discrete square root filtering: a survey of current
    techniques", IEEE Transactions on Automatic Control 16, 1971). Raises InputError for a row too large beside the regulariser.
    """
    root, coefficients = state.root.copy(), state.coefficients.copy()
    part, row = root[arm], coefficients[arm]  # views
    half = part.dot(x)
    whole = 1.0 + float(half.dot(half))
    if not whole <= _SQUARE:
        raise InputError(
            f"this context is {math.sqrt(whole):g} times as long as the regulariser tells apart; scale the features, or take "
            "a larger ridge"
        )
    gain = half.dot(part)  # the inverse Gram matrix times x
    # By what the prediction was wrong, and not as the inverse times X'y: of a nearly singular design that loses every digit.
    row += gain * ((y - float(row.dot(x))) / whole)
    part -= half[:, None] * (gain / (whole + math.sqrt(whole)))
    return Ridge(root, coefficients)


def some(ridge: float) -> Callable[[Ridge, Sequence[int]], Ridge]:
    """``Learner.arms`` of regressions with this regulariser."""

    def rearranged(state: Ridge, places: Sequence[int]) -> Ridge:
        new = np.eye(state.coefficients.shape[1]) / math.sqrt(ridge)
        return Ridge(arms.rearranged(state.root, places, new), arms.rearranged(state.coefficients, places))

    return rearranged


def merge(state: Ridge, other: Ridge, base: Ridge) -> Ridge:
    """``Learner.merge``: Gram matrices and X'y are sums. Raises InputError where their sum cannot be solved to any use."""
    root, coefficients = state.root.copy(), state.coefficients.copy()
    for arm in range(len(root)):
        if np.array_equal(other.root[arm], base.root[arm]) and np.array_equal(other.coefficients[arm], base.coefficients[arm]):
            continue
        sums = []
        for one in (state, other, base):
            half = np.linalg.inv(one.root[arm])
            gram = half @ half.T
            sums.append((gram, gram @ one.coefficients[arm]))
        gram = sums[0][0] + sums[1][0] - sums[2][0]
        if not np.isfinite(gram).all() or not np.linalg.cond(gram) < 1e12:
            raise InputError(
                f"what was learned of arm {arm} cannot be merged: its features differ too much in size, or hang together; scale "
                "them, or tell all feedback to one session"
            )
        root[arm] = np.linalg.inv(np.linalg.cholesky(gram))
        coefficients[arm] = root[arm].T @ (root[arm] @ (sums[0][1] + sums[1][1] - sums[2][1]))
    return Ridge(root, coefficients)


def tell(state: Ridge, trial: Trial, feedback: Feedback) -> Ridge:
    """A learner's ``tell``: the score is the response of the arm that was tried in the trial's context.

    A censored score counts as its bound.
    """
    if not isinstance(feedback, Score):
        return state
    x = features(state, trial.context)
    return update(state, int(trial.proposal), x, feedback.value)  # type: ignore[arg-type]
