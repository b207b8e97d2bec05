"""Choosing among things: pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from loopwright.core.types import Rollout


def majority(answers: Sequence[str | None]) -> int:
    """Index of the first answer among those given most often; None is no vote. 0 if nobody voted."""
    votes = Counter(a for a in answers if a is not None)
    if not votes:
        return 0
    most = max(votes.values())
    return next(i for i, a in enumerate(answers) if a is not None and votes[a] == most)


def top_per_example(rollouts: Sequence[Rollout], keep: int) -> list[Rollout]:
    """At most ``keep`` different outputs for each example, best score first, then in order of arrival."""
    groups: dict[str, list[Rollout]] = defaultdict(list)
    for rollout in sorted(rollouts, key=lambda r: -(r.score if r.score is not None else -1.0)):
        group = groups[rollout.example.id]
        if len(group) < keep and all(rollout.output != other.output for other in group):
            group.append(rollout)
    return [r for group in groups.values() for r in group]
