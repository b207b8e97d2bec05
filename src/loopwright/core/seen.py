"""What a recipe is shown: the judgement of an attempt, and the world without what it must not see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopwright.core.errors import LoopwrightError
from loopwright.core.feedback import CODE, Cost, Feedback, Frozen, Missing, Score, Verdict
from loopwright.core.registry import Recipe
from loopwright.core.types import Example, Rollout
from loopwright.core.world import Split, World


class Judgement(Frozen):
    """Everything the critics said of one rollout."""

    feedback: tuple[Feedback, ...]

    @property
    def satisfied(self) -> bool:
        """Every critic is satisfied. A missing judgement satisfies nobody."""
        return bool(self.feedback) and all(f.satisfied for f in self.feedback)

    @property
    def missing(self) -> bool:
        """Some critic had nothing to say, for want of a model or a usable reply."""
        return any(isinstance(f, Missing) for f in self.feedback)

    @property
    def text(self) -> str:
        return "\n".join(f.text for f in self.feedback if f.text)

    @property
    def score(self) -> float | None:
        """Mean of the scores and verdicts in [0, 1]; None if one is missing or there are none."""
        if self.missing:
            return None
        values = [f.unit if isinstance(f, Score) else float(f.passed) for f in self.feedback if isinstance(f, Score | Verdict)]
        return sum(values) / len(values) if values else None


def worst(rollout: Rollout) -> Verdict:
    """What an answer that was not given is worth where no code can say: the lowest score, with the reason."""
    why = rollout.error or ("its thinking was never ended" if rollout.output.strip() else "it is empty")
    return Verdict(passed=False, message=f"no answer was given: {why}", by=CODE, about=rollout.id)


class Visible:
    """A world as a recipe may see it: train examples alone, without targets for a Solver, and never the checker."""

    _OPEN = ("name", "fingerprint", "prompt", "sampling", "critics", "tools")

    def __init__(self, world: World, recipe: Recipe) -> None:
        self._world = world
        self._recipe = recipe

    def __getattr__(self, name: str) -> Any:
        if name in self._OPEN:
            return getattr(self._world, name)
        raise LoopwrightError(f"{self._recipe.slug} used ctx.world.{name}, which no recipe may; use ctx.rollout or ctx.judge")

    def examples(self, split: Split) -> Sequence[Example]:
        if split != "train":
            raise LoopwrightError(f"{self._recipe.slug} asked for the {split} examples, which no recipe is shown")
        shown = self._world.examples(split)
        return [e.hidden() for e in shown] if self._recipe.card.shape == "solver" else shown


def short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:77] + "..."


def share_of(cost: Cost, n: int) -> Cost:
    """One sample's part of a call's cost; whole tokens, so n parts may differ from the call by rounding."""
    if n == 1:
        return cost
    return Cost(
        calls=0 if n > 1 else cost.calls, prompt_tokens=cost.prompt_tokens // n,
        completion_tokens=cost.completion_tokens // n, seconds=cost.seconds / n, money=cost.money / n,
    )  # fmt: skip
