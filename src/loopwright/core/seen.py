"""What a recipe is shown of an attempt: its judgement."""

from __future__ import annotations

from loopwright.core.feedback import CODE, Cost, Feedback, Frozen, Missing, Score, Verdict
from loopwright.core.types import Rollout


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
