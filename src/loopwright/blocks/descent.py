"""Versions that descend from one another: who is a parent next, and what a line of descent is worth.

Versions stand in order of arrival and each knows its parent's place; nothing is ever dropped. All functions are pure: the
figures of a line are summed anew at every call and no list is shared between members.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from loopwright.core.errors import InputError

Rule = Literal["score-children", "score", "uniform", "best", "latest"]


@dataclass(frozen=True, slots=True)
class Member:
    """A version's place among the others. parent: its index, None of the first. wins: the sum of scores, of ``tried`` tasks."""

    parent: int | None = None
    wins: float = 0.0
    tried: int = 0

    @property
    def score(self) -> float:
        """The mean over what was tried, 0 before anything was."""
        return self.wins / self.tried if self.tried else 0.0


def children(members: Sequence[Member]) -> list[int]:
    """How many of the members each is the parent of. Raises InputError for a parent that does not come before."""
    counts = [0] * len(members)
    for i, member in enumerate(members):
        if member.parent is not None:
            if not 0 <= member.parent < i:
                raise InputError(f"descent: member {i} has the parent {member.parent}, which does not come before it")
            counts[member.parent] += 1
    return counts


def chances(
    members: Sequence[Member], rule: Rule = "score-children", *, steepness: float = 10.0, middle: float = 0.5
) -> list[float]:
    """With which probability each is the next parent.

    score-children: as sigmoid(steepness (score - middle)) / (1 + children), Zhang et al., arXiv:2505.22954; score: without
    the children. best: the highest score, the oldest of equals; latest: the last. Raises InputError where there are none.
    """
    if not members:
        raise InputError("descent: there is no member to choose; begin with one")
    if rule in ("best", "latest"):
        chosen = len(members) - 1 if rule == "latest" else max(range(len(members)), key=lambda i: (members[i].score, -i))
        return [float(i == chosen) for i in range(len(members))]
    weights = [1.0] * len(members)
    if rule != "uniform":
        weights = [1 / (1 + math.exp(-steepness * (m.score - middle))) for m in members]
    if rule == "score-children":
        weights = [w / (1 + n) for w, n in zip(weights, children(members), strict=True)]
    total = math.fsum(weights)
    return [w / total for w in weights]


def drawn(
    members: Sequence[Member], k: int, rng: random.Random, rule: Rule = "score-children", *, steepness: float = 10.0,
    middle: float = 0.5,
) -> list[int]:  # fmt: skip
    """k parents, by index; the same one may come again."""
    return rng.choices(range(len(members)), chances(members, rule, steepness=steepness, middle=middle), k=k)


def clades(members: Sequence[Member]) -> list[Member]:
    """For each the wins and trials of itself and of all that descends from it."""
    wins, tried = [m.wins for m in members], [m.tried for m in members]
    children(members)  # which says so where a parent does not come first
    for i in range(len(members) - 1, 0, -1):
        parent = members[i].parent
        if parent is not None:
            wins[parent] += wins[i]
            tried[parent] += tried[i]
    return [Member(m.parent, w, n) for m, w, n in zip(members, wins, tried, strict=True)]


def thompson(members: Sequence[Member], rng: random.Random) -> int:
    """The one with the largest draw from Beta(1 + wins, 1 + losses)."""
    draws = [rng.betavariate(1 + m.wins, 1 + max(m.tried - m.wins, 0.0)) for m in members]
    return max(range(len(draws)), key=lambda i: (draws[i], -i))
