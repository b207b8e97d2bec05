"""Worlds of vectors: a planar arm, the sphere of the quality-diversity papers, and functions to optimise, turned by the seed.

A trial proposes a solution [d] or a batch of them; the answer measures its objective (more is better) and, where the world has
them, what kind of solution it is. What all solutions of a run together are worth is told by ``figures``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import JsonValue

from loopwright.blocks import archive as archives
from loopwright.blocks.space import OBJECTIVE, box, proposed, uniform
from loopwright.core.arrays import Numbers
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Measures, Missing, Preference
from loopwright.core.types import Trial
from loopwright.worlds.bandit import stream
from loopwright.worlds.duels import PERSON

_FAILS, _JUDGES, _BLIND, _TURN, _PLACE = 0, 1, 2, 3, 4


class Seen(NamedTuple):
    objective: np.ndarray  # [n]
    measures: np.ndarray  # [n, m]; m may be 0
    features: np.ndarray  # [n, f]; f may be 0


class Landscape:
    """evaluate(seed, solutions [n, d]) gives what is Seen of them.

    dimensions, low, high: the box. best: the highest objective there is. measures: their ranges by name. features: names.
    hidden: the features are told in place of the measures; a person, who goes by the measures, says of a triplet which of two
    solutions is more like the first.
    doubt: a difference of distances (each measure's range being 1) of as much is told wrong in 27 of 100 cases; 0 is no doubt.
    failing: share of evaluations that fail. cells: of each measure, in the grid that ``figures`` goes by.

    regret: what a trial's solutions fall short of the best objective, on average; a question falls short like a blind draw.
    """

    def __init__(
        self,
        name: str,
        evaluate: Callable[[int, np.ndarray], Seen],
        *,
        dimensions: int,
        low: float,
        high: float,
        best: float,
        measures: Mapping[str, tuple[float, float]] | None = None,
        features: Sequence[str] = (),
        hidden: bool = False,
        doubt: float = 0.0,
        failing: float = 0.0,
        cells: int = 50,
    ) -> None:
        self.name = name
        self.evaluate = evaluate
        self.best = best
        self.measures = dict(measures or {})
        self.features = tuple(features)
        self.doubt = doubt
        self.failing = failing
        self.cells = cells
        self.hidden = hidden
        spec: dict[str, JsonValue] = {"dimensions": dimensions, "low": low, "high": high}
        if hidden:
            spec["features"] = list(self.features)
        elif self.measures:
            spec["measures"] = {name: list(span) for name, span in self.measures.items()}
        self.spec: Mapping[str, JsonValue] = spec
        self._box = box(spec)
        self._blind = lru_cache(maxsize=8)(self._draw_blind)

    def context(self, seed: int, t: int) -> None:
        return None

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        if isinstance(trial.proposal, dict):
            return self._judge(seed, t, trial.proposal)
        solutions = proposed(trial, len(self._box.low))
        seen = self.evaluate(seed, solutions)
        table = np.column_stack([seen.objective, seen.features if self.hidden else seen.measures])
        names = (OBJECTIVE, *(self.features if self.hidden else self.measures))
        failed = np.zeros(len(solutions), dtype=bool)
        if self.failing:
            failed = stream(seed, _FAILS, t).random(len(solutions)) < self.failing
        if len(solutions) == 1:
            if failed[0]:
                return Missing(expected="measures", message="the evaluation failed")
            return Measures(values=dict(zip(names, table[0].tolist(), strict=True)))
        table[failed] = np.nan
        return Measures(values={name: Numbers(column) for name, column in zip(names, table.T, strict=True)})

    def _judge(self, seed: int, t: int, question: Mapping[str, Any]) -> Feedback:
        if "triplet" not in question or not self.measures:
            raise InputError(f"{self.name} evaluates vectors and judges a triplet by its measures, got {str(question)[:80]}")
        at = self.evaluate(seed, np.asarray(question["triplet"], dtype=float)).measures
        low, high = np.array(list(self.measures.values())).T
        first, second = np.linalg.norm((at[1:] - at[0]) / (high - low), axis=1)
        chance = float(first > second) if self.doubt == 0 else 1 / (1 + math.exp(min((second - first) / self.doubt, 500.0)))
        alike, other = ("2", "1") if stream(seed, _JUDGES, t).random() < chance else ("1", "2")
        return Preference(chosen=alike, rejected=other, shown=("1", "2"), by=PERSON)

    def regret(self, seed: int, t: int, trial: Trial) -> float:
        if isinstance(trial.proposal, dict):
            return self.blind(seed, t)
        solutions = proposed(trial, len(self._box.low))
        return float(self.best - self.evaluate(seed, solutions).objective.mean())

    def blind(self, seed: int, t: int) -> float:
        """Mean regret of solutions drawn evenly from the box."""
        return self._blind(seed)

    def _draw_blind(self, seed: int) -> float:
        drawn = uniform(self._box, stream(seed, _BLIND), 4000)
        return float(self.best - self.evaluate(seed, drawn).objective.mean())

    def figures(self, seed: int, trials: Sequence[Trial]) -> dict[str, float]:
        """What all solutions proposed are worth: qd_score and coverage of a grid over the true measures, and the best objective
        (``blocks.archive.figures``). Questions count for nothing, nor do they cost."""
        solutions = [proposed(trial, len(self._box.low)) for trial in trials if not isinstance(trial.proposal, dict)]
        if not solutions:
            raise InputError(f"{self.name}: no solution was proposed, so there is nothing to measure")
        seen = self.evaluate(seed, np.concatenate(solutions))
        if not self.measures:
            return {"best": float(seen.objective.max())}
        return archives.figures(self.archive(seen))

    def gain(self, seed: int, trials: Sequence[Trial]) -> float:
        """By how much the solutions of these trials together are worth more than as many drawn evenly from the box: in qd_score,
        or where nothing but the objective is measured, in its mean."""
        chosen = np.concatenate([proposed(t, len(self._box.low)) for t in trials if not isinstance(t.proposal, dict)])
        blind = uniform(self._box, stream(seed, _BLIND), len(chosen))
        mine, theirs = (self.evaluate(seed, solutions) for solutions in (chosen, blind))
        if not self.measures:
            return float(mine.objective.mean() - theirs.objective.mean())
        return archives.figures(self.archive(mine))["qd_score"] - archives.figures(self.archive(theirs))["qd_score"]

    def archive(self, seen: Seen) -> archives.Archive:
        """All that was seen, on a grid over the true measures; it keeps the measures."""
        low, high = zip(*self.measures.values(), strict=True)
        empty = archives.fresh(low, high, [self.cells] * len(low), len(low))
        return archives.add(empty, seen.measures, seen.objective, seen.measures)[0]


def planar_arm(
    joints: int = 10, measure: Literal["hand", "reach"] = "hand", hidden: bool = False, doubt: float = 0.0,
    failing: float = 0.0, cells: int = 50,
) -> Landscape:  # fmt: skip
    """An arm of ``joints`` links of length 1 in a plane, as in Vassiliades and Mouret (arXiv:1804.03906) and the QDHF paper.

    A solution is the angles of the joints, -pi to pi. The objective is 100 (1 - variance of the angles): an even bend is best.
    The features are cosine and sine of the direction of each link. The measures are where the "hand" is, x and y, which is
    linear in the features; or the "reach": how far from the shoulder the hand is, and how far the middle joint, which is not.
    """

    def evaluate(seed: int, angles: np.ndarray) -> Seen:
        turned = np.cumsum(angles, axis=1)
        cosine, sine = np.cos(turned), np.sin(turned)
        objective = 100.0 * (1.0 - angles.var(axis=1))
        half = joints // 2
        if measure == "hand":
            measures = np.column_stack([cosine.sum(axis=1), sine.sum(axis=1)])
        else:
            parts = [(cosine[:, :k].sum(axis=1), sine[:, :k].sum(axis=1)) for k in (joints, half)]
            measures = np.column_stack([np.hypot(x, y) for x, y in parts])
        return Seen(objective, measures, np.column_stack([cosine, sine]))

    if joints < 2:
        raise InputError(f"the arm has at least two joints, got {joints}")
    far = float(joints)
    spans = {"x": (-far, far), "y": (-far, far)}
    if measure == "reach":
        spans = {"hand": (0.0, far), "middle": (0.0, float(joints // 2))}
    features = [f"{what}{i}" for what in ("cos", "sin") for i in range(1, joints + 1)]
    return Landscape(
        "planar-arm", evaluate, dimensions=joints, low=-math.pi, high=math.pi, best=100.0, measures=spans, features=features,
        hidden=hidden, doubt=doubt, failing=failing, cells=cells,
    )  # fmt: skip


def sphere(dimensions: int = 20, failing: float = 0.0, cells: int = 100) -> Landscape:
    """The sphere of Fontaine et al. (arXiv:1912.02400, section 4): its measures are hard to spread, as most solutions lie near 0.

    The objective falls with the square of the distance from 0.4 * 5.12 in every coordinate, from 100 to 0 at -5.12. The
    measures are the sums of the first and of the second half of the coordinates, where one beyond 5.12 counts as 5.12 over it.
    """

    def evaluate(seed: int, points: np.ndarray) -> Seen:
        shift = 0.4 * 5.12
        worst = dimensions * (5.12 + shift) ** 2
        objective = 100.0 * (1.0 - ((points - shift) ** 2).sum(axis=1) / worst)
        beyond = np.abs(points) > 5.12
        counted = np.where(beyond, 5.12 / np.where(beyond, points, 1.0), points)
        halves = np.add.reduceat(counted, [0, dimensions // 2], axis=1)
        return Seen(objective, halves, np.zeros((len(points), 0)))

    if dimensions < 2:
        raise InputError(f"the sphere has at least two dimensions, got {dimensions}")
    halves = (dimensions // 2, dimensions - dimensions // 2)
    spans = {name: (-5.12 * n, 5.12 * n) for name, n in zip(("first", "second"), halves, strict=True)}
    return Landscape(
        "sphere", evaluate, dimensions=dimensions, low=-10.24, high=10.24, best=100.0, measures=spans, failing=failing,
        cells=cells,
    )  # fmt: skip


Function = Literal["sphere", "ellipsoid", "rosenbrock", "rastrigin"]


def rotated(function: Function = "ellipsoid", dimensions: int = 10, failing: float = 0.0) -> Landscape:
    """A function to be optimised in -5 to 5; the seed turns its axes and places its optimum, whose objective is 0.

    sphere: minus the squared distance. ellipsoid: the same with axes from 1 to 1000 times as steep. rosenbrock: a bent valley.
    rastrigin: many optima.
    """
    steep = np.power(1e6, np.arange(dimensions) / max(dimensions - 1, 1))

    @lru_cache(maxsize=8)
    def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
        orthogonal, upper = np.linalg.qr(stream(seed, _TURN).standard_normal((dimensions, dimensions)))
        return orthogonal * np.sign(np.diag(upper)), stream(seed, _PLACE).uniform(-3.0, 3.0, dimensions)

    def evaluate(seed: int, points: np.ndarray) -> Seen:
        turn, optimum = drawn(seed)
        z = (points - optimum) @ turn
        if function == "rosenbrock":
            z = z + 1.0
            cost = (100.0 * (z[:, 1:] - z[:, :-1] ** 2) ** 2 + (1.0 - z[:, :-1]) ** 2).sum(axis=1)
        elif function == "rastrigin":
            cost = (10.0 + z**2 - 10.0 * np.cos(2 * np.pi * z)).sum(axis=1)
        else:
            cost = (z**2 * (steep if function == "ellipsoid" else 1.0)).sum(axis=1)
        return Seen(-cost, np.zeros((len(points), 0)), np.zeros((len(points), 0)))

    if dimensions < 2:
        raise InputError(f"a function here has at least two dimensions, got {dimensions}")
    return Landscape("rotated", evaluate, dimensions=dimensions, low=-5.0, high=5.0, best=0.0, failing=failing)
