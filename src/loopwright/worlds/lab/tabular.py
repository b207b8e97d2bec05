"""Contextual tabular and log-linear worlds: policies as tables of logits, and preferences with a known parameter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loopwright.core.errors import InputError
from loopwright.worlds.lab.games import (
    Array,
    checked,
    exploitability,
    kl,
    nash,
    nothing,
    regularised_nash,
    sigmoid,
    softmax,
)


@dataclass(frozen=True, eq=False)
class Table:
    """A softmax policy: ``logits`` [contexts, actions]. Not changed in place; ``moved`` gives another."""

    logits: Array

    def __post_init__(self) -> None:
        z = np.array(self.logits, dtype=float)
        if z.ndim != 2 or not z.size or not np.isfinite(z).all():
            raise InputError(f"a table holds finite logits [contexts, actions], got shape {z.shape}")
        object.__setattr__(self, "logits", z)

    @property
    def probabilities(self) -> Array:
        """[contexts, actions]"""
        return softmax(self.logits)

    @property
    def log_probabilities(self) -> Array:
        """[contexts, actions], natural log."""
        z = self.logits - self.logits.max(axis=1, keepdims=True)
        return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))

    def moved(self, step: Any) -> Table:
        """The policy with ``step`` [contexts, actions] added to its logits."""
        return Table(self.logits + np.asarray(step, dtype=float))

    def draw(self, rng: np.random.Generator, contexts: Any) -> Array:
        """One action for each of ``contexts`` [m], as integers [m]."""
        upto = self.probabilities[np.asarray(contexts)].cumsum(axis=1)
        picked = (rng.uniform(size=len(upto))[:, None] >= upto).sum(axis=1)
        return np.asarray(np.minimum(picked, upto.shape[1] - 1))  # rounding may leave the last sum below 1


def uniform_table(contexts: int, actions: int) -> Table:
    return Table(np.zeros((contexts, actions)))


def regularised_optimum(rewards: Any, reference: Any, beta: float) -> Array:
    """[contexts, actions] reference exp(rewards / beta), normalised: what RLHF and DPO should converge to.

    It maximises E[reward] - beta KL(. || reference) (Rafailov et al. 2023, arXiv:2305.18290, equation 4).
    """
    if not beta > 0:
        raise InputError(f"beta must be positive, got {beta:g}")
    with np.errstate(divide="ignore"):
        return softmax(np.log(np.asarray(reference, dtype=float)) + np.asarray(rewards, dtype=float) / beta)


def regularised_value(policy: Any, rewards: Any, reference: Any, beta: float) -> Array:
    """[contexts] E[reward] - beta KL(policy || reference)."""
    expected = (np.asarray(policy, dtype=float) * np.asarray(rewards, dtype=float)).sum(axis=-1)
    return np.asarray(expected - beta * kl(policy, reference))


@dataclass(frozen=True, eq=False)
class ContextualGame:
    """A preference game in every context: ``matrices`` [contexts, n, n]; ``weights`` [contexts] is how often each comes."""

    matrices: Array
    weights: Array

    def __post_init__(self) -> None:
        w = np.asarray(self.weights, dtype=float)
        if w.shape != (len(self.matrices),) or (w < 0).any() or abs(w.sum() - 1) > 1e-9:
            raise InputError(f"weights must be a distribution over {len(self.matrices)} contexts, got {w.tolist()}")
        object.__setattr__(self, "matrices", np.stack([checked(m) for m in self.matrices]))
        object.__setattr__(self, "weights", w)

    def nash(self) -> Array:
        """[contexts, n]"""
        return np.stack([nash(m) for m in self.matrices])

    def regularised_nash(self, reference: Any, beta: float) -> Array:
        """[contexts, n] for a reference policy [contexts, n]."""
        pairs = zip(self.matrices, np.asarray(reference, dtype=float), strict=True)
        return np.stack([regularised_nash(m, beta=beta, reference=mu) for m, mu in pairs])

    def exploitability(self, policy: Any, *, reference: Any = None, beta: float = 0.0) -> float:
        """Mean over contexts of ``games.exploitability``, in units of probability."""
        mus = [None] * len(self.matrices) if reference is None else list(reference)
        rows = zip(self.matrices, np.asarray(policy, dtype=float), mus, strict=True)
        return float(self.weights @ [exploitability(m, q, reference=mu, beta=beta) for m, q, mu in rows])


# ---- log-linear preferences -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class LogLinear:
    """Pairs of responses whose preference is linear in known features, to choose which pairs to ask about.

    differences: [pairs, d] features of a pair's first response less those of its second. theta: [d] the true parameter.
    The first is preferred with probability sigmoid(beta differences . (theta - reference)); ``reference`` [d] is that of
    the reference policy, zero where there is none. Source: Kveton et al. 2025, arXiv:2503.01076, whose analysis is of
    log-linear policies like these.
    """

    differences: Array
    theta: Array
    beta: float = 1.0
    reference: Array = field(default_factory=nothing)

    def __post_init__(self) -> None:
        phi, theta = np.asarray(self.differences, dtype=float), np.asarray(self.theta, dtype=float)
        zero = np.asarray(self.reference, dtype=float) if np.size(self.reference) else np.zeros_like(theta)
        if phi.ndim != 2 or theta.shape != phi.shape[1:] or zero.shape != theta.shape:
            raise InputError(f"differences are [pairs, d] and parameters [d], got {phi.shape}, {theta.shape}, {zero.shape}")
        if not self.beta > 0:
            raise InputError(f"beta must be positive, got {self.beta:g}")
        for name, value in (("differences", phi), ("theta", theta), ("reference", zero)):
            object.__setattr__(self, name, value)

    def probabilities(self, theta: Any = None) -> Array:
        """[pairs] that the first of a pair is preferred; under the true parameter unless told another [d]."""
        t = self.theta if theta is None else np.asarray(theta, dtype=float)
        return sigmoid(self.beta * (self.differences @ (t - self.reference)))

    def answer(self, seed: int, pair: int, ask: int = 0) -> bool:
        """Whether the first of a pair is preferred, when asked for the ``ask``-th time; the same for the same three."""
        luck = np.random.default_rng([seed % 2**64, pair, ask]).uniform()
        return bool(luck < sigmoid(self.beta * (self.differences[pair] @ (self.theta - self.reference))))

    def logit_error(self, estimate: Any) -> float:
        """max over pairs of |differences . (estimate - theta)|, in nats: the worst error of a policy's log-odds."""
        return float(np.abs(self.differences @ (np.asarray(estimate, dtype=float) - self.theta)).max())

    def information(self, pairs: Any, theta: Any = None) -> Array:
        """[d, d] Fisher information that answers to these pairs hold about the parameter, at ``theta`` or at the truth."""
        phi, p = self.differences[np.asarray(pairs)], self.probabilities(theta)[np.asarray(pairs)]
        return np.asarray(self.beta**2 * (phi * (p * (1 - p))[:, None]).T @ phi)

    def estimate(self, pairs: Any, labels: Any, *, ridge: float = 1e-6) -> Array:
        """[d] The minimiser of the DPO loss on answers [m] to ``pairs`` [m], by Newton's method.

        labels: 1 where the first was preferred, 0 where the second was; shares in between are soft labels.
        ridge: pulls the estimate to the reference, so that it exists where the answers can be separated; must be positive.
        """
        phi, y = self.beta * self.differences[np.asarray(pairs)], np.asarray(labels, dtype=float)
        if not ridge > 0:
            raise InputError(f"ridge must be positive, got {ridge:g}")

        def loss(t: Array) -> float:
            return float(np.logaddexp(0.0, phi @ t).sum() - y @ (phi @ t) + ridge * (t @ t) / 2)

        t = np.zeros(phi.shape[1])
        for _ in range(200):
            p = sigmoid(phi @ t)
            gradient = phi.T @ (p - y) + ridge * t
            step = np.linalg.solve((phi * (p * (1 - p))[:, None]).T @ phi + ridge * np.eye(len(t)), gradient)
            fall = float(gradient @ step)
            if fall <= 1e-12 * (1 + abs(loss(t))):  # so near that rounding hides whether the loss still falls: a last full step
                t = t - step
                break
            rate = 1.0
            # Far from the answer the logistic loss is almost flat, and a full Newton step would run away.
            while loss(t - rate * step) > loss(t) - 0.25 * rate * fall:
                rate /= 2
            t = t - rate * step
        return np.asarray(t + self.reference)


def log_linear(pairs: int, dimensions: int, seed: int, *, scale: float = 2.0, beta: float = 1.0) -> LogLinear:
    """Differences drawn evenly from the unit sphere, and a theta of length ``scale``."""
    rng = np.random.default_rng([pairs, dimensions, seed % 2**64])
    drawn = rng.standard_normal((pairs + 1, dimensions))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return LogLinear(drawn[1:], scale * drawn[0], beta)
