"""LinUCB: the arm with the highest upper confidence bound of a ridge regression on the context.

Li et al., "A contextual-bandit approach to personalized news article recommendation", arXiv:1003.0146, Algorithm 1
(disjoint linear models). ``alpha`` scales the width of the bound; ``ridge`` is the regulariser, 1 in the paper.

How this differs: the inverse Gram matrix is updated by Sherman-Morrison instead of being solved at every step.
The choice is deterministic, so its propensity is 1 (ties: 1 / number of tied arms).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from pydantic import JsonValue

from loopwright.core.feedback import Feedback, Score
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial


class LinUCBState(NamedTuple):
    gram_inverse: np.ndarray  # [arms, d, d]
    response: np.ndarray  # [arms, d]


@learner(paper="arXiv:1003.0146", improves="choice", learns_from=("score",), baseline=True)
def lin_ucb(*, alpha: float = 1.0, ridge: float = 1.0) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> LinUCBState:
        arms, d = int(spec["arms"]), int(spec["dimensions"])  # type: ignore[arg-type]
        return LinUCBState(np.tile(np.eye(d) / ridge, (arms, 1, 1)), np.zeros((arms, d)))

    def ask(state: LinUCBState, context: Any, rng: np.random.Generator) -> Trial:
        x = np.asarray(context, dtype=float)
        theta = np.einsum("kij,kj->ki", state.gram_inverse, state.response)
        width = np.sqrt(np.einsum("i,kij,j->k", x, state.gram_inverse, x))
        bound = theta @ x + alpha * width
        best = np.flatnonzero(bound == bound.max())
        return Trial(id="", proposal=int(rng.choice(best)), propensity=1.0 / len(best))

    def tell(state: LinUCBState, trial: Trial, feedback: Feedback) -> LinUCBState:
        if not isinstance(feedback, Score):
            return state
        arm, x = int(trial.proposal), np.asarray(trial.context, dtype=float)  # type: ignore[arg-type]
        gram_inverse, response = state.gram_inverse.copy(), state.response.copy()
        half = gram_inverse[arm] @ x
        gram_inverse[arm] -= np.outer(half, half) / (1.0 + x @ half)
        response[arm] += feedback.value * x
        return LinUCBState(gram_inverse, response)

    return Learner(init, ask, tell)
