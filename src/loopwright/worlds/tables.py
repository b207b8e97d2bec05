"""Environments whose every chance is known: their exact values, and the walk through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from loopwright.core.errors import InputError
from loopwright.worlds.plays import Moved

Outcome = tuple[float, int, float, bool]  # probability, state, reward, whether the episode ends: Gymnasium's own form


class Table(NamedTuple):
    """``onward`` [states, actions, states]: chance of going on in a state; what is missing to 1 ends the episode."""

    onward: np.ndarray
    rewards: np.ndarray  # [states, actions] expected
    start: np.ndarray  # [states] probability of beginning there
    outcomes: Mapping[int, Mapping[int, Sequence[Outcome]]]


def table(outcomes: Mapping[int, Mapping[int, Sequence[Outcome]]], start: np.ndarray) -> Table:
    """From the outcomes of every action in every state, as the ``P`` of Gymnasium's toy texts."""
    states, actions = len(outcomes), len(outcomes[0])
    onward, rewards = np.zeros((states, actions, states)), np.zeros((states, actions))
    for s, of_state in outcomes.items():
        for a, found in of_state.items():
            if abs(sum(p for p, *_ in found) - 1.0) > 1e-9:
                raise InputError(f"the outcomes of action {a} in state {s} have probabilities that do not sum to 1")
            for probability, after, reward, ends in found:
                rewards[s, a] += probability * reward
                if not ends:
                    onward[s, a, after] += probability
    return Table(onward, rewards, np.asarray(start, dtype=float), outcomes)


def policy_values(of: Table, policy: np.ndarray, discount: float) -> np.ndarray:
    """[states, actions] Q of a policy [states, actions], exactly."""
    onward = np.einsum("sa,sat->st", policy, of.onward)
    values = np.linalg.solve(np.eye(len(onward)) - discount * onward, (policy * of.rewards).sum(axis=1))
    return np.asarray(of.rewards + discount * of.onward @ values)


def best_values(of: Table, discount: float) -> np.ndarray:
    """[states, actions] Q of the best policy, by policy iteration."""
    policy = np.full(of.rewards.shape, 1.0 / of.rewards.shape[1])
    while True:
        values = policy_values(of, policy, discount)
        # Ties are broken towards the first, and rounding must not look like an improvement for ever.
        greedy = np.eye(of.rewards.shape[1])[np.argmax(values > values.max(axis=1, keepdims=True) - 1e-9, axis=1)]
        if (greedy == policy).all():
            return values
        policy = greedy


def visits(of: Table, policy: np.ndarray) -> np.ndarray:
    """[states] how often a policy is where, in the long run, episodes beginning anew when they end."""
    onward = np.einsum("sa,sat->st", policy, of.onward)
    again = onward + np.outer(1.0 - onward.sum(axis=1), of.start)
    share = np.array(of.start)
    for _ in range(10_000):
        after = 0.5 * share + 0.5 * share @ again  # lazy: the same share, and no cycle keeps it from settling
        if np.abs(after - share).max() < 1e-12:
            break
        share = after
    return np.asarray(share / share.sum())


class Walk:
    """The table as an environment to be played; a state is seen as one 1 among zeros."""

    def __init__(self, of: Table) -> None:
        self.of = of
        self.state = 0
        self._rng = np.random.default_rng(0)

    def reset(self, seed: int) -> list[float]:
        self._rng = np.random.default_rng(seed)
        self.state = int(self._rng.choice(len(self.of.start), p=self.of.start))
        return self._seen()

    def step(self, action: int) -> Moved:
        found = self.of.outcomes[self.state][action]
        _, self.state, reward, ends = found[int(self._rng.choice(len(found), p=[p for p, *_ in found]))]
        return Moved(self._seen(), reward, "ended" if ends else "")

    def _seen(self) -> list[float]:
        return [float(s == self.state) for s in range(len(self.of.start))]


MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # up, right, down, left


def grid(width: int = 8, height: int = 5) -> Table:
    """From the top left corner to the top right one, which is worth 5 and ends the episode; entering a cell between
    costs 1.

    So the way leads one row down and past them. A move against the wall stays.
    """
    if width < 3 or height < 2:
        raise InputError(f"a grid has 3 columns and 2 rows at least, got {width} and {height}")
    outcomes: dict[int, dict[int, list[Outcome]]] = {}
    for s in range(width * height):
        row, column = divmod(s, width)
        outcomes[s] = {}
        for a, (right, down) in enumerate(MOVES):
            x, y = min(max(column + right, 0), width - 1), min(max(row + down, 0), height - 1)
            goal, bad = (x, y) == (width - 1, 0), y == 0 and 0 < x < width - 1 and (x, y) != (column, row)
            outcomes[s][a] = [(1.0, y * width + x, 5.0 if goal else -1.0 if bad else 0.0, goal)]
    return table(outcomes, np.eye(width * height)[0])
