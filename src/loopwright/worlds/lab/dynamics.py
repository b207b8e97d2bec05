"""One exact update of methods that learn from preferences: what a recipe does in the limit of many comparisons.

A policy is a distribution over arms [n], a game its preference matrix [n, n] (see ``games``). These are closed forms or
solved to machine precision, so that it can be told whether a method errs or only its samples do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from loopwright.core.errors import InputError
from loopwright.worlds.lab.games import Array, checked, sigmoid, softmax


def proximal_step(matrix: Any, anchor: Any, opponent: Any, reference: Any, *, beta: float, inertia: float) -> Array:
    """[n] The policy pi that maximises P(pi beats opponent) - beta KL(pi || reference) - inertia KL(pi || anchor)."""
    if not (beta >= 0 and inertia >= 0 and beta + inertia > 0):
        raise InputError(f"expected beta and inertia of at least 0 and not both 0, got {beta:g} and {inertia:g}")
    worth = checked(matrix) @ np.asarray(opponent, dtype=float)
    logs = [np.log(np.asarray(p, dtype=float)) for p in (reference, anchor)]
    return softmax((worth + beta * logs[0] + inertia * logs[1]) / (beta + inertia))


def inpo_step(matrix: Any, policy: Any, reference: Any, *, tau: float, eta: float) -> Array:
    """[n] The minimiser of INPO's loss over all policies: online mirror descent against oneself with inertia eta - tau.

    Zhang et al., arXiv:2407.00617, equation 5. Raises InputError unless 0 <= tau <= eta and eta > 0.
    """
    return proximal_step(matrix, policy, policy, reference, beta=tau, inertia=eta - tau)


def nash_mp_step(matrix: Any, policy: Any, reference: Any, *, beta: float, eta: float = 0.0) -> Array:
    """[n] Two proximal steps from ``policy``, against itself and then against what came out; inertia beta / eta.

    Tiapkin et al., arXiv:2505.19731. eta: 0 for 2 beta, of which the paper's rate is: KL(Nash || policy) falls at least by
    the factor 1 + 2 beta a step, which is two queries. Larger ones need not converge.
    """
    inertia = beta / eta if eta else 0.5
    half = proximal_step(matrix, policy, policy, reference, beta=beta, inertia=inertia)
    return proximal_step(matrix, policy, half, reference, beta=beta, inertia=inertia)


def dpo_step(matrix: Any, policy: Any, reference: Any, *, beta: float) -> Array:
    """[n] The minimiser of the DPO loss over all policies, on pairs that ``policy`` [n], positive, wrote.

    It is reference exp(r / beta), normalised, with the Bradley-Terry rewards r that fit these pairs best, by Newton's
    method. So it answers the present opponent as if preferences were transitive. Rafailov et al., arXiv:2305.18290.
    """
    p, q = checked(matrix), np.asarray(policy, dtype=float)
    if not ((q > 0).all() and beta > 0):
        raise InputError("DPO has an answer where beta is positive and every arm is played")
    weights, r = np.outer(q, q), np.zeros(len(p))

    def loss(r: Array) -> float:
        return float((weights * (np.logaddexp(0.0, r[:, None] - r) - p * (r[:, None] - r))).sum())

    for _ in range(200):
        fitted = sigmoid(r[:, None] - r)
        gradient = 2 * (weights * (fitted - p)).sum(axis=1)
        if np.abs(gradient).max() < 1e-15:
            break
        curve = 2 * weights * fitted * (1 - fitted)
        hessian = np.diag(curve.sum(axis=1)) - curve
        # Rewards are known up to a constant: the least-norm step leaves it alone.
        step, rate = np.linalg.lstsq(hessian, gradient, rcond=None)[0], 1.0
        while rate > 1e-8 and loss(r - rate * step) > loss(r):
            rate /= 2
        r = r - rate * step
    return softmax(np.log(np.asarray(reference, dtype=float)) + r / beta)
