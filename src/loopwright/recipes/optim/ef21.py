"""EF21: workers send only the largest entries of what has changed in their gradients, and it still converges.

Richtárik, Gasanov and Burlachenko, "Error feedback reloaded: from quadratic to arithmetic mean of smoothness constants",
arXiv:2402.10774; the method is that of arXiv:2106.05203. For training with many workers and a narrow line: everybody keeps an
estimate of each worker's gradient, a worker sends the ``keep`` largest entries of gradient less estimate (top-k), and the
server steps along the mean of the estimates. Sending the top entries of the gradient itself (``memory=False``, the row
``compressed-gradient``) stalls away from the optimum when workers' data differ.

A trial is a worker's question (its number is the context) and proposes the point; the answer is its gradient there. The step
is 1 / (L + M sqrt(b / a)), a = 1 - sqrt(1 - k/d), b = (1 - k/d) / a, where M is the quadratic mean of the workers' smoothness
constants, or with ``weighted`` their arithmetic mean, which is the paper's result (see the row ``ef21-weighted``); ``step``
multiplies it.

How this differs: a step is made after as many answers as there are workers, whoever sent them, so that one who fails or is
late holds nobody up. EF21-W compresses gradients divided by the worker's weight; top-k commutes with that, so its iterates are
those of EF21 with the longer step, which is what is computed here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import arms
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Gradient, Positive
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Server(NamedTuple):
    point: np.ndarray  # [d]
    estimates: np.ndarray  # [workers, d] of their gradients
    step: float
    answers: int  # since the last step


@learner(paper="arXiv:2402.10774", improves="point", learns_from=("gradient",))
def ef21(
    *, keep: Annotated[int, Field(gt=0)] = 1, step: Positive = 1.0, weighted: bool = False, memory: bool = True
) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Server:
        workers, d = arms.number_of(spec, "workers"), arms.number_of(spec, "dimensions")
        constants = np.asarray(spec.get("smoothness"), dtype=float)
        whole = spec.get("smoothness_of_mean")
        if constants.shape != (workers,) or not (constants > 0).all() or not isinstance(whole, int | float):
            raise InputError(
                f"the specification must say 'smoothness', {workers} positive numbers, and 'smoothness_of_mean', one; got "
                f"{spec.get('smoothness')!r} and {whole!r}"
            )
        mean = float(constants.mean() if weighted else np.sqrt((constants**2).mean()))
        length = step / (whole + mean * penalty(min(keep, d) / d))
        return Server(np.zeros(d), np.zeros((workers, d)), length, 0)

    def ask(state: Server, context: Any, rng: np.random.Generator) -> Trial:
        number(state, context)
        return Trial(id="", proposal=state.point.tolist(), propensity=1.0)

    def tell(state: Server, trial: Trial, feedback: Feedback) -> Server:
        if not isinstance(feedback, Gradient) or feedback.status != "ok":
            return state
        worker = number(state, trial.context)
        gradient = np.asarray(feedback.vector)
        if gradient.shape != state.point.shape:
            raise InputError(f"a gradient here is {len(state.point)} numbers, got {len(gradient)}")
        estimates = state.estimates.copy()
        before = estimates[worker] if memory else 0.0
        estimates[worker] = before + largest_entries(gradient - before, keep)
        if state.answers + 1 < len(estimates):
            return state._replace(estimates=estimates, answers=state.answers + 1)
        return Server(state.point - state.step * estimates.mean(axis=0), estimates, state.step, 0)

    return Learner(init, ask, tell)


def number(state: Server, context: Any) -> int:
    """The worker who asks. Raises InputError for nobody."""
    if isinstance(context, bool) or not isinstance(context, int) or not 0 <= context < len(state.estimates):
        raise InputError(f"the context is the worker who asks, 0 to {len(state.estimates) - 1}, got {context!r}")
    return context


def largest_entries(vector: np.ndarray, keep: int) -> np.ndarray:
    """Top-k: the ``keep`` entries of largest size, the others 0."""
    kept = np.zeros_like(vector)
    places = np.argsort(-np.abs(vector), kind="stable")[:keep]
    kept[places] = vector[places]
    return kept


def penalty(share: float) -> float:
    """sqrt(b / a) for top-k with k/d = share: 0 where all is sent."""
    rest = math.sqrt(1.0 - share)
    return rest / (1.0 - rest)
