"""Worked examples for a prompt."""

from __future__ import annotations

from collections.abc import Sequence

from loopwright.core.policy import Shot
from loopwright.core.types import Example, Rollout


def from_targets(examples: Sequence[Example]) -> list[Shot]:
    """Examples whose target is a text, shown with it."""
    return [Shot(input=e.question, output=e.target, example=e.id) for e in examples if isinstance(e.target, str)]


def from_rollouts(rollouts: Sequence[Rollout]) -> list[Shot]:
    """Answers that the checker accepted in full."""
    return [Shot(input=r.example.question, output=r.output, example=r.example.id) for r in rollouts if r.score == 1.0]
