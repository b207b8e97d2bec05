"""What goes wrong in a job and must not end it, and what must end it before anything is spent on methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopwright.core.answers import quoted, reasons
from loopwright.core.context import Context
from loopwright.core.errors import (
    Diverged,
    ModelUnavailable,
    NoReply,
    NothingScored,
    Paused,
    QuotaExhausted,
    StoreError,
    TooManyErrors,
)
from loopwright.core.gate import counted
from loopwright.core.policy import prompt_of
from loopwright.core.raised import FULL
from loopwright.core.types import Candidate, Example, Rollout
from loopwright.core.world import Split

if TYPE_CHECKING:
    from loopwright.core.store import Store

# What no method can be blamed for: whatever comes next would end in the same way.
_OF_THE_RUN = (Paused, StoreError, Diverged, QuotaExhausted, ModelUnavailable, TooManyErrors)
_PROBED = 20  # examples on which the checker is asked what an empty answer is worth


def ends_the_run(error: Exception) -> bool:
    """Whether an error that came up in a method ends the whole run, and not that method alone.

    Args:
        error: anything but BudgetExhausted, which ends the methods and not the run.

    Returns:
        True for what a resumed run may get over (a store, a model or a quota that is gone, an interruption) and for a run that
        diverged from its record.
    """
    if isinstance(error, OSError):
        return error.errno in FULL
    return isinstance(error, _OF_THE_RUN) and not isinstance(error, NoReply)


def attempts(store: Store, run: str, split: Split, candidate: str) -> list[Rollout]:
    """The recorded attempts of a candidate at the examples of a split."""
    return [Rollout.model_validate_json(r.data) for r in store.rollouts(run, split) if r.candidate == candidate]


def refuse_unscored(rollouts: Sequence[Rollout], split: Split) -> None:
    """Stop where nothing of the baseline could be measured: no method could be compared with it.

    Args:
        rollouts: of what the run begins with, at every example of a split.
        split: theirs, for the message.

    Raises:
        NothingScored: no attempt has a score, or none was answered and none is worth anything.
    """
    useless = [r for r in rollouts if r.score is None or (r.status == "failed" and not r.score)]
    if len(useless) < len(rollouts):
        return
    silent = sum(r.status == "failed" for r in rollouts)
    what = "was answered" if silent == len(rollouts) else "could be scored"
    raise NothingScored(
        f"none of the {len(rollouts)} {split} examples {what} with what the run begins with, so nothing can be compared with it. "
        f"The reasons: {quoted(reasons(rollouts))}. No method was tried. Put right what they name and start a new run"
    )


async def silence(ctx: Context, base: Candidate, examples: Sequence[Example], scores: Sequence[float | None]) -> str:
    """Whether an answer that was not given is worth more than what the run begins with: then saying nothing would be learned.

    Args:
        ctx: of the run, in a scope of its own.
        base: what the run begins with.
        examples: that it was measured on; the first twenty are asked about.
        scores: its scores on them.

    Returns:
        A warning; "" where there is nothing to warn of. Models and people are not asked: they give nothing the lowest score.
    """
    checker = ctx.world.checker
    some = list(zip(examples, counted(scores, "incumbent"), strict=True))[:_PROBED]

    async def worth(item: tuple[Example, float], ctx: Context) -> float:
        example, _ = item
        turns = prompt_of(base).render(example)
        nothing = Rollout(id=f"nothing-{example.id}", example=example, turns=turns, status="failed")
        return (await ctx._judged(nothing, (checker,))).score or 0.0

    found = await ctx.map(worth, some)
    if not found:
        return ""
    nothing, begun = math.fsum(found) / len(found), math.fsum(score for _, score in some) / len(some)
    if nothing <= begun:
        return ""
    name = str(getattr(checker, "kind", "") or getattr(checker, "__name__", "checker"))
    return (
        f"SILENCE WOULD WIN: the checker ({name}) gives an empty answer {100 * nothing:.1f}%, more than the {100 * begun:.1f}% "
        f"of what this run begins with ({len(some)} examples). A method may learn to say nothing; let the checker give an empty "
        "answer the lowest score"
    )
