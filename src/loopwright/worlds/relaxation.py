"""A sequence of linear systems, each solved by successive over-relaxation (SOR) with the relaxation parameter a learner chose.

Khodak et al., "Learning to relax", arXiv:2310.02246, section 5: the five-point Laplacian of a square grid plus c times the
identity, where c changes from system to system and decides which parameter is the best.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from pydantic import JsonValue

from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Score
from loopwright.core.types import Trial
from loopwright.worlds.bandit import stream

LOWEST, SPREAD = -0.15, 0.6  # c is LOWEST + SPREAD * Beta(a, b)
TOLERANCE = 1e-8  # of the residual, as a share of the first


class Relaxation:
    """``arms`` parameters, evenly from 1 (Gauss-Seidel) to ``highest``; systems of ``side`` x ``side`` unknowns.

    offsets: a and b of the Beta distribution of c; 0.5 and 1.5 make c vary much, 2 and 6 little. The context is c, from -1 to
    1 over its range. The score is minus the iterations, at least minus ``cap``; a run that the cap stopped is censored.
    regret: iterations beyond those with Young's parameter for this very system, which may take a few more than the best.
    """

    name = "relaxation"

    def __init__(
        self,
        arms: int = 20,
        highest: float = 1.95,
        side: int = 10,
        cap: int = 10_000,
        offsets: tuple[float, float] = (0.5, 1.5),
    ) -> None:
        if not 1.0 < highest < 2.0:
            raise InputError(f"highest: expected a number above 1 and below 2, where SOR converges, got {highest:g}")
        self.grid = np.linspace(1.0, highest, arms)
        self.cap = cap
        self.offsets = offsets
        self.spec: Mapping[str, JsonValue] = {"arms": arms, "dimensions": 1}
        line = 2 * np.eye(side) - np.eye(side, k=1) - np.eye(side, k=-1)
        self._laplacian = np.kron(line, np.eye(side)) + np.kron(np.eye(side), line)
        self._largest = 4 * math.cos(math.pi / (side + 1))  # eigenvalue of what lies beside the diagonal
        self._system = lru_cache(maxsize=64)(self._draw)

    def _draw(self, seed: int, t: int) -> tuple[float, np.ndarray]:
        rng = stream(seed, 0, t)
        c = LOWEST + SPREAD * float(rng.beta(*self.offsets))
        while True:  # a normal vector no longer than the root of its dimensions
            b = rng.standard_normal(len(self._laplacian))
            if b @ b <= len(b):
                return c, b

    def context(self, seed: int, t: int) -> np.ndarray:
        c, _ = self._system(seed, t)
        return np.array([2 * (c - LOWEST) / SPREAD - 1])

    def iterations(self, seed: int, t: int, omega: float) -> int:
        """Until the residual has fallen to TOLERANCE, from zero; the cap where it has not.

        A step x += M^-1 r, with M the diagonal over omega and what is below it, takes the residual r to (I - A M^-1) r.
        """
        c, residual = self._system(seed, t)
        a = self._laplacian + c * np.eye(len(residual))
        m = np.tril(a, -1) + np.diag(np.diag(a)) / omega
        change = np.eye(len(a)) - np.linalg.solve(m.T, a.T).T
        goal = TOLERANCE * float(np.linalg.norm(residual))
        for count in range(1, self.cap + 1):
            residual = change @ residual
            if math.sqrt(residual @ residual) < goal:
                return count
        return self.cap

    def best(self, seed: int, t: int) -> float:
        """Young's parameter, asymptotically the best for this system."""
        c, _ = self._system(seed, t)
        return 2 / (1 + math.sqrt(1 - (self._largest / (4 + c)) ** 2))

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        took = self.iterations(seed, t, float(self.grid[int(trial.proposal)]))  # type: ignore[arg-type]
        status = "censored" if took == self.cap else "ok"
        return Score(value=-took, low=-self.cap, high=-1, status=status)  # type: ignore[arg-type]

    def regret(self, seed: int, t: int, trial: Trial) -> float:
        chosen = float(self.grid[int(trial.proposal)])  # type: ignore[arg-type]
        return float(self.iterations(seed, t, chosen) - self.iterations(seed, t, self.best(seed, t)))

    def blind(self, seed: int, t: int) -> float:
        """Mean regret of all parameters."""
        mean = sum(self.iterations(seed, t, float(omega)) for omega in self.grid) / len(self.grid)
        return mean - self.iterations(seed, t, self.best(seed, t))
