"""Preference games whose answer is known exactly: what a learner of general preferences should have found.

A game of n arms is its preference matrix P [n, n]: P[i, j] is the probability that arm i is preferred over arm j, so
P + P' = 1. A policy is a distribution over arms [n]. All values are in units of probability, logits and divergences in nats.

Two solutions are computed, both to machine precision and without a solver from outside:

* the Nash policy (von Neumann winner, Dudík et al. 2015, arXiv:1502.06362), which no other policy beats more often than not;
* the Nash policy of the game regularised towards a reference policy by ``beta`` KL (Munos et al. 2023, arXiv:2312.00886;
  their tau), what Nash-MD, SPPO, INPO and their kin run after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loopwright.core.errors import InputError

Array = np.ndarray[Any, np.dtype[np.float64]]


def nothing() -> Array:
    """The default of an array that is made in ``__post_init__``."""
    return np.zeros(0)


def checked(matrix: Any) -> Array:
    """The preference matrix [n, n] as floats. Raises InputError unless P + P' = 1 within 1e-9 and P lies in [0, 1]."""
    p = np.asarray(matrix, dtype=float)
    if p.ndim != 2 or p.shape[0] != p.shape[1] or not p.size:
        raise InputError(f"a preference matrix is square, got shape {p.shape}")
    if not (np.isfinite(p).all() and (p >= 0).all() and (p <= 1).all()):
        raise InputError("a preference matrix holds probabilities; some entry is outside [0, 1]")
    if np.abs(p + p.T - 1).max() > 1e-9:
        i, j = map(int, np.argwhere(np.abs(p + p.T - 1) > 1e-9)[0])
        raise InputError(f"P[i, j] + P[j, i] must be 1, got {p[i, j] + p[j, i]:g} for i={i}, j={j}")
    return p


def _policy(policy: Any, n: int, what: str = "policy") -> Array:
    q = np.asarray(policy, dtype=float)
    if q.shape != (n,) or not np.isfinite(q).all() or (q < -1e-12).any() or abs(q.sum() - 1) > 1e-9:
        raise InputError(f"the {what} must be a distribution over {n} arms, got {q.tolist()}")
    return np.asarray(np.maximum(q, 0.0))


def _reference(reference: Any, n: int, beta: float) -> Array:
    """A reference policy, the uniform one by default, that the regularised game is defined for."""
    if not (beta > 0 and np.isfinite(beta)):
        raise InputError(f"beta must be positive and finite, got {beta:g}")
    mu = np.full(n, 1 / n) if reference is None else _policy(reference, n, "reference")
    if not (mu > 0).all():
        raise InputError("the reference must give every arm some probability; leave out the arms that it never plays")
    return mu


def softmax(logits: Any) -> Array:
    """Along the last axis."""
    z = np.asarray(logits, dtype=float)
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def kl(policy: Any, reference: Any) -> Array:
    """KL(policy || reference) in nats along the last axis; infinite where the reference lacks an arm that is played."""
    p, q = np.broadcast_arrays(np.asarray(policy, dtype=float), np.asarray(reference, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (np.log(p) - np.log(q)), 0.0)
    return np.asarray(terms.sum(axis=-1))


# ---- what a policy is worth -------------------------------------------------------------------------------------------


def preference(matrix: Any, first: Any, second: Any) -> float:
    """Probability that an arm drawn from ``first`` is preferred over one drawn from ``second``."""
    p = checked(matrix)
    return float(_policy(first, len(p)) @ p @ _policy(second, len(p)))


def best_response(matrix: Any, policy: Any, *, reference: Any = None, beta: float = 0.0) -> Array:
    """[n] The policy that does best against ``policy``, mixing evenly over ties.

    With ``beta`` the one that maximises preference less beta KL(. || reference): reference exp(P policy / beta), normalised.
    """
    p = checked(matrix)
    against = p @ _policy(policy, len(p))
    if beta:
        return softmax(np.log(_reference(reference, len(p), beta)) + against / beta)
    best = against >= against.max() - 1e-12
    return np.asarray(best / best.sum())


def exploitability(matrix: Any, policy: Any, *, reference: Any = None, beta: float = 0.0) -> float:
    """How much more than half of the time the best response is preferred over ``policy``; 0 for Nash alone, at least 0.

    With ``beta`` in the regularised game, where both sides pay beta KL to the reference (uniform where there is none).
    """
    p = checked(matrix)
    q = _policy(policy, len(p))
    if not beta:
        return max(float((p @ q).max()) - 0.5, 0.0)
    mu = _reference(reference, len(p), beta)
    z = np.log(mu) + p @ q / beta
    best = beta * (z.max() + np.log(np.exp(z - z.max()).sum()))
    return max(float(best + beta * kl(q, mu)) - 0.5, 0.0)


def duality_gap(matrix: Any, first: Any, second: Any, *, reference: Any = None, beta: float = 0.0) -> float:
    """What the two players could gain together by best responses; 0 for a pair of Nash policies alone.

    For a policy against itself it is twice the ``exploitability``, as the game is symmetric.
    """
    one = exploitability(matrix, first, reference=reference, beta=beta)
    return one + exploitability(matrix, second, reference=reference, beta=beta)


# ---- solutions --------------------------------------------------------------------------------------------------------


def nash(matrix: Any) -> Array:
    """[n] A Nash policy, by the simplex method; where there are several, a corner of their set.

    The game with payoffs P + 1/2, all positive and of value 1, is the linear program "most sum(y) with (P + 1/2) y <= 1",
    whose slack variables are feasible from the start (von Neumann; Dantzig 1951). Bland's rule keeps it from cycling.
    """
    p = checked(matrix)
    n = len(p)
    # Normalised, y is the policy of the player who picks columns; the game is symmetric, so it is the other's too.
    table = np.hstack([p + 0.5, np.eye(n), np.ones((n, 1))])
    price = np.concatenate([-np.ones(n), np.zeros(n + 1)])
    basis = list(range(n, 2 * n))
    while (entering := np.flatnonzero(price[:-1] < -1e-12)).size:
        column = int(entering[0])
        rises = table[:, column] > 1e-12
        ratios = np.where(rises, table[:, -1] / np.where(rises, table[:, column], 1.0), np.inf)
        least = np.flatnonzero(ratios <= ratios.min() + 1e-14)
        row = int(min(least, key=lambda r: basis[r]))
        table[row] /= table[row, column]
        for other in range(n):
            if other != row:
                table[other] -= table[other, column] * table[row]
        price = price - price[column] * table[row]
        basis[row] = column
    y = np.zeros(2 * n)
    y[basis] = np.maximum(table[:, -1], 0.0)
    found: Array = y[:n] / y[:n].sum()
    return found


def regularised_nash(matrix: Any, *, beta: float, reference: Any = None) -> Array:
    """[n] The only Nash policy of the regularised game; ``reference`` [n] is uniform where there is none.

    It solves pi = reference exp(P pi / beta), normalised, by a damped Newton method in the logits. The Jacobian is I less
    a product of a skew-symmetric and a positive semi-definite matrix, whose eigenvalues are imaginary, so it is never
    singular and the residual always has a way down; plain iteration diverges once beta is small.
    """
    p = checked(matrix)
    n = len(p)
    start = np.log(_reference(reference, n, beta))
    skew = p - 0.5  # constants drop out of a softmax
    z = start
    # Small betas are reached through larger ones: each solution is near the next.
    steps = max(1, int(np.ceil(np.log2(1.0 / min(beta, 1.0)))) + 1)
    for b in np.geomspace(max(beta, 1.0), beta, steps):
        z = _newton(skew, start, float(b), z)
    return softmax(z)


def _newton(skew: Array, start: Array, beta: float, z: Array) -> Array:
    def residual(z: Array) -> Array:
        return np.asarray(z - start - skew @ softmax(z) / beta)

    r = residual(z)
    for _ in range(200):
        q = softmax(z)
        jacobian = np.eye(len(z)) - skew @ (np.diag(q) - np.outer(q, q)) / beta
        step = np.linalg.solve(jacobian, r)
        rate = 1.0
        while rate > 1e-10:
            trial = z - rate * step
            after = residual(trial)
            if np.linalg.norm(after) <= (1 - 1e-4 * rate) * np.linalg.norm(r):
                break
            rate /= 2
        else:  # nothing is left but rounding
            break
        z, r = trial, after
    if np.abs(r).max() > 1e-9 * (1 + np.abs(z).max()):
        raise InputError(f"the regularised game was not solved for beta={beta:g}; beta is too small for double precision")
    return z


# ---- games ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Game:
    """A preference matrix [n, n] with its Nash policy [n]: known by construction, or computed where none is given."""

    matrix: Array
    nash: Array = field(default_factory=nothing)
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", checked(self.matrix))
        object.__setattr__(self, "nash", _policy(self.nash, self.arms) if np.size(self.nash) else nash(self.matrix))

    @property
    def arms(self) -> int:
        return len(self.matrix)

    def prefers(self, first: int, second: int, uniform: float) -> bool:
        """Whether ``first`` is preferred, given a number from [0, 1) that the caller drew."""
        return bool(uniform < self.matrix[first, second])


def three_cycle(first: float, second: float, third: float) -> Game:
    """Rock, paper, scissors with margins in (0, 1/2]: 0 beats 1 by ``first``, 1 beats 2 by ``second``, 2 beats 0 by ``third``.

    Each arm is played in proportion to the margin between the other two: (second, third, first), normalised.
    """
    margins = np.array([first, second, third])
    if not ((margins > 0) & (margins <= 0.5)).all():
        raise InputError(f"margins of a three-cycle lie in (0, 1/2], got {margins.tolist()}")
    p = np.full((3, 3), 0.5)
    for i, margin in enumerate(margins):
        j = (i + 1) % 3
        p[i, j], p[j, i] = 0.5 + margin, 0.5 - margin
    return Game(p, np.array([second, third, first]) / margins.sum(), "three-cycle")


def bradley_terry(rewards: Any, temperature: float = 1.0) -> Game:
    """P[i, j] = sigmoid((r_i - r_j) / temperature), for rewards [n]; Nash is the best arm, or evenly the best ones."""
    r = np.asarray(rewards, dtype=float)
    if not (temperature > 0 and np.isfinite(temperature)):
        raise InputError(f"the temperature must be positive, got {temperature:g}")
    best = r == r.max()
    return Game(sigmoid((r[:, None] - r[None, :]) / temperature), best / best.sum(), "bradley-terry")


def random_game(n: int, seed: int, *, spread: float = 1.0) -> Game:
    """Independent normal logits of standard deviation ``spread`` for every pair; almost surely one Nash policy."""
    upper = np.triu(np.random.default_rng([n, seed % 2**64]).standard_normal((n, n)) * spread, 1)
    return Game(sigmoid(upper - upper.T), name=f"random-{n}-{seed}")


def hidden_cycle(
    n: int, seed: int, *, margins: tuple[float, float, float] = (0.3, 0.2, 0.1), ahead: float = 0.1, spread: float = 1.0
) -> Game:
    """A random game of n arms with a three-cycle hidden in it, whose arms beat all the others by ``ahead`` or more.

    Nash plays the cycle alone, as in ``three_cycle(*margins)``. Which arms it is made of is drawn; they are the arms that
    ``nash`` plays. ``ahead`` lies in (0, 1/2].
    """
    if n < 3 or not 0 < ahead <= 0.5:
        raise InputError(f"a hidden cycle needs at least 3 arms and ahead in (0, 1/2], got n={n}, ahead={ahead:g}")
    rng = np.random.default_rng([n, seed % 2**64, 3])
    cycle, p = three_cycle(*margins), random_game(n, seed, spread=spread).matrix.copy()
    p[:3, :3] = cycle.matrix
    p[:3, 3:] = 0.5 + ahead + (0.5 - ahead) * rng.uniform(size=(3, n - 3))
    p[3:, :3] = 1 - p[:3, 3:].T
    order = rng.permutation(n)
    known = np.concatenate([cycle.nash, np.zeros(n - 3)])
    return Game(p[np.ix_(order, order)], known[order], f"hidden-cycle-{n}-{seed}")


def sigmoid(x: Any) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    x = np.asarray(x, dtype=float)
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, e) / (1.0 + e))
