"""Worked examples for a prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loopwright.core.context import Context
from loopwright.core.policy import Shot
from loopwright.core.types import Example, Rollout


def shot(example: Example, output: str) -> Shot:
    """An example with an answer."""
    return Shot(input=example.input, output=output, example=example.id)


def from_targets(examples: Sequence[Example], answer: Callable[[Example], str | None] | None = None) -> list[Shot]:
    """Examples whose target is a text, shown with it; with ``answer`` those that it gives an answer to."""
    found = [(e, answer(e) if answer else e.target if isinstance(e.target, str) else None) for e in examples]
    return [shot(e, text) for e, text in found if text is not None]


def from_rollouts(rollouts: Sequence[Rollout]) -> list[Shot]:
    """Answers that the checker accepted in full."""
    return [shot(r.example, r.output) for r in rollouts if r.score == 1.0]


class Targets:
    """Worked examples from targets, to draw from.

    Those drawn are judged by the objective, once each, and one that it does not accept in full is drawn no more: a target may
    be a reference, a pattern or a list of points, and be no right answer itself. After ``patience`` such targets none is left.
    """

    def __init__(self, ctx: Context, examples: Sequence[Example], patience: int = 32) -> None:
        self._ctx = ctx
        self._examples = {e.id: e for e in examples}
        self._shots = from_targets(examples, ctx.demonstration)
        self._right: set[str] = set()
        self._patience = patience

    def __len__(self) -> int:
        return len(self._shots)

    async def draw(self, size: int) -> tuple[Shot, ...]:
        """So many at random; none where there are not so many."""
        while len(self._shots) >= size:
            drawn = self._ctx.rng.sample(self._shots, size)
            new = [self._examples[s.example] for s in drawn if s.example not in self._right]
            wrong = {r.example.id for r in await self._ctx.worked(new) if r.score != 1.0}
            self._right |= {e.id for e in new} - wrong
            if not wrong:
                return tuple(drawn)
            self._patience -= len(wrong)
            self._shots = [s for s in self._shots if s.example not in wrong] if self._patience > 0 else []
        return ()
