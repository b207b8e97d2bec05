"""What a run keeps of its budget for the gate and the final test, and which budgets are too small for it.

Before a call is made, the most that it can take is reserved, for as long as it is under way: that bounds what is spent. What
a run will need is another question. By that most, which is several times what calls take, most budgets would be refused, or
kept back from the methods. So it is forecast by what the calls of the baseline took.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from loopwright.core.errors import InputError
from loopwright.core.feedback import FREE, Cost
from loopwright.core.model import Model, Request
from loopwright.core.policy import prompt_of
from loopwright.core.types import Budget, Candidate
from loopwright.core.world import Split, World

MEASURED: tuple[Split, ...] = ("test", "gate", "screen")
DEARER = 3  # times as many tokens, and as much money, may a candidate take as the baseline: shown examples make prompts long
_RESOURCES = ("calls", "tokens", "money")


class KeptBack:
    """The needs of one run.

    Args:
        task: the examples, while those of the test can be read.
        model: that answers.
        base: what the run begins with.
        budget: its caps.

    took: what the answers to ``asked`` examples took, with their judgements.
    """

    def __init__(self, task: World, model: Model, base: Candidate, budget: Budget) -> None:
        self.sizes = {split: len(task.examples(split)) for split in MEASURED}
        self._budget = budget
        self._largest = FREE
        self.took, self.asked = FREE, 1
        prompt = prompt_of(base)
        for split in MEASURED:
            self._largest = _most(
                (model.estimate(Request(turns=prompt.render(e), sampling=task.sampling)) for e in task.examples(split)),
                self._largest,
            )  # fmt: skip

    def refuse_hopeless(self) -> None:
        """Before anything was asked. Raises InputError for a budget that cannot measure the baseline and prove the result."""
        sizes = self.sizes
        calls = sizes["gate"] + sizes["screen"] + 2 * sizes["test"]
        if self._budget.calls is not None and self._budget.calls < calls:
            raise InputError(
                f"the budget of {self._budget.calls:g} calls is too small: measuring the baseline and proving the result takes "
                f"{calls:g} calls or more ({sizes['screen']} screen, {sizes['gate']} gate and twice {sizes['test']} test "
                "examples). Raise it, or use fewer examples"
            )
        for resource in ("tokens", "money"):
            cap, one = getattr(self._budget, resource), getattr(self._largest, resource)
            if cap is not None and cap < one:
                raise InputError(
                    f"the budget of {cap:g} {resource} is too small: a single call may take up to {one:g} {resource}. Raise it, "
                    "or let answers be shorter ([answer] max_tokens)"
                )

    def refuse_small(self) -> None:
        """After the baseline was measured. Raises InputError for a budget that what is left of cannot prove the result."""
        begun = self._forecast(self.sizes["gate"] + self.sizes["screen"])
        need = self._forecast(2 * self.sizes["test"]) + self._room
        for resource in _RESOURCES:
            cap, spent, more = (getattr(amount, resource) for amount in (self._budget, begun, need))
            if cap is not None and cap < spent + more:
                raise InputError(
                    f"the budget of {cap:g} {resource} is too small: the baseline took {spent:g} {resource}, and by that proving "
                    f"the result takes {more:g} more (twice {self.sizes['test']} test examples). Nothing of the record is lost: "
                    f"go on with  loopwright resume RUN --budget {resource}=MORE"
                )

    def test(self) -> Cost:
        """What the final test may take: the baseline, the winner, and room for the most that its last call can take."""
        n = self.sizes["test"]
        return self._forecast(n) + self._forecast(n, dearer=DEARER) + self._room

    def candidate(self, split: Split) -> Cost:
        """What measuring one candidate on a split may take."""
        return self._forecast(self.sizes[split], dearer=DEARER)

    @property
    def _room(self) -> Cost:
        """The last call needs room for the most that it can take, whatever it takes."""
        return self._largest.model_copy(update={"calls": 0})

    def _forecast(self, examples: int, *, dearer: int = 1) -> Cost:
        cost = self.took.times(Fraction(examples, self.asked))
        return cost.model_copy(
            update={
                "prompt_tokens": cost.prompt_tokens * dearer, "completion_tokens": cost.completion_tokens * dearer,
                "money": cost.money * dearer, "seconds": 0.0,
            }  # fmt: skip
        )


def _most(costs: Iterable[Cost], begin: Cost) -> Cost:
    """The largest of each resource."""
    for cost in costs:
        begin = Cost(
            calls=max(begin.calls, cost.calls), prompt_tokens=max(begin.prompt_tokens, cost.prompt_tokens),
            completion_tokens=max(begin.completion_tokens, cost.completion_tokens), money=max(begin.money, cost.money),
        )  # fmt: skip
    return begin
