"""Epsilon-greedy: the arm a ridge regression on the context predicts best, and any arm with probability epsilon.

The reference that contextual bandits are measured against (as in Langford & Zhang, "The epoch-greedy algorithm for
multi-armed bandits with side information", NeurIPS 2007, and in Li et al., arXiv:1003.0146, section 5.3). With
probability ``epsilon`` the arm is drawn uniformly, else it is the one with the highest predicted reward.

How this differs: epsilon stays the same for good, and the explored rounds also teach the regression. The propensity is
the true probability of the arm, so the log can be used for off-policy estimates.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from pydantic import JsonValue

from loopwright.core.feedback import Feedback, Score
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial


class EpsilonGreedyState(NamedTuple):
    gram_inverse: np.ndarray  # [arms, d, d]
    response: np.ndarray  # [arms, d]


@learner(improves="choice", learns_from=("score",), baseline=True)
def epsilon_greedy(*, epsilon: float = 0.1, ridge: float = 1.0) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> EpsilonGreedyState:
        arms, d = int(spec["arms"]), int(spec["dimensions"])  # type: ignore[arg-type]
        return EpsilonGreedyState(np.tile(np.eye(d) / ridge, (arms, 1, 1)), np.zeros((arms, d)))

    def ask(state: EpsilonGreedyState, context: Any, rng: np.random.Generator) -> Trial:
        x = np.asarray(context, dtype=float)
        predicted = np.einsum("kij,kj->ki", state.gram_inverse, state.response) @ x
        best = predicted == predicted.max()
        probability = epsilon / len(best) + (1.0 - epsilon) * best / best.sum()
        arm = int(rng.choice(len(best), p=probability))
        return Trial(id="", proposal=arm, propensity=min(float(probability[arm]), 1.0))

    def tell(state: EpsilonGreedyState, trial: Trial, feedback: Feedback) -> EpsilonGreedyState:
        if not isinstance(feedback, Score):
            return state
        arm, x = int(trial.proposal), np.asarray(trial.context, dtype=float)  # type: ignore[arg-type]
        gram_inverse, response = state.gram_inverse.copy(), state.response.copy()
        half = gram_inverse[arm] @ x
        gram_inverse[arm] -= np.outer(half, half) / (1.0 + x @ half)
        response[arm] += feedback.value * x
        return EpsilonGreedyState(gram_inverse, response)

    return Learner(init, ask, tell)
