"""One run of a critic or a measure for a claim."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from loopwright.blocks.trust import auc
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.feedback import Score
from loopwright.core.measure import Record, Table
from loopwright.core.registry import get_recipe
from loopwright.core.seen import Judgement
from loopwright.core.types import Budget, Candidate, Example, Rollout
from loopwright.critics import build_critic

UNHEARD = 0.5  # what a judgement that did not come is worth: a coin


def drawn(ctx: Context, setting: Mapping[str, Any], *, apart: bool = False) -> list[Example]:
    """The test examples of this seed, the same for both arms.

    apart: seeds in a row share none, as far as there are enough: for values that are no mean over examples, whose interval cannot
    allow for examples in common.
    """
    examples = list(ctx.world.examples("test"))
    size = setting.get("examples")
    if not isinstance(size, int) or size >= len(examples):
        return examples
    if not apart:
        return random.Random(ctx.engine.seed).sample(examples, size)
    random.Random("apart").shuffle(examples)
    begin = ctx.engine.seed % (len(examples) // size) * size
    return examples[begin : begin + size]


async def critic_value(ctx: Context, slug: str, options: Mapping[str, Any], setting: Mapping[str, Any], caps: Budget) -> float:
    """How often a critic puts a right answer above a wrong one, over all pairs of answers to the test examples (AUC).

    ``answers`` of the setting are sampled for each, before the budget begins; the checker says which are right.
    """
    count = setting.get("answers", 2)
    examples = drawn(ctx, setting, apart=True)
    made = await ctx.at("answers", split="test").rollout(ctx.policy, examples, n=int(count), temperature=1.0)
    known = [r for r in made if r.score is not None]
    ledger: Ledger = ctx.engine.ledger
    spent = ledger.spent
    ledger.budget = Budget(
        calls=caps.calls + spent.calls if caps.calls else None, tokens=caps.tokens + spent.tokens if caps.tokens else None
    )
    critic = build_critic(slug, options, Path(), role="critic")
    branch = ctx.at("judged", split="test", critics=(critic,), recipe=None)

    async def judge(rollout: Rollout, ctx: Context) -> float:
        return worth(ctx, await ctx.judge(rollout))

    values = await branch.map(judge, known)
    right = [v for v, r in zip(values, known, strict=True) if (r.score or 0.0) >= 1.0]
    wrong = [v for v, r in zip(values, known, strict=True) if (r.score or 0.0) < 1.0]
    return auc(right, wrong)


def worth(ctx: Context, judgement: Judgement) -> float:
    """A judgement as a number in [0, 1]."""
    if judgement.missing or not judgement.feedback:
        return UNHEARD
    said = ctx.engine.convert(judgement.feedback[0], ("score",))
    return said.unit if isinstance(said, Score) else UNHEARD


async def measure_value(
    ctx: Context, slug: str, options: Mapping[str, Any], setting: Mapping[str, Any], run: str, metric: str
) -> float:
    """A figure of the test answers of the Solver that the setting names under ``run``, beside the plain model's answers."""
    solver = setting.get(run)
    if not isinstance(solver, Mapping):
        raise InputError(f'the setting of a measure\'s claim names {run} = {{"recipe": ..., "options": ...}}, got {solver!r}')
    answering: JsonValue = {"recipe": get_recipe(str(solver["recipe"])).address, "options": dict(solver.get("options") or {})}
    examples = drawn(ctx, setting, apart=True)
    candidate = ctx.policy.child(solver=answering)
    branch = ctx.at("measured", split="test")
    made = [*await branch.evaluate(ctx.policy, examples), *await branch.evaluate(candidate, examples)]
    table: Table = get_recipe(slug)([Record(rollout=r, split="test", round=0, replicate=0) for r in made], **options)
    return figure(table, candidate, metric)


def figure(table: Table, candidate: Candidate, metric: str) -> float:
    """The last cell of the column in the rows of a candidate. Raises InputError where it is empty."""
    if metric not in table.columns:
        raise InputError(f"the table has no column {metric!r}; it has {', '.join(table.columns)}")
    own = [row for row in table.rows if candidate.hash[:8] in row]
    cells = [row[table.columns.index(metric)] for row in own]
    value = cells[-1] if cells else None
    if not isinstance(value, int | float):
        raise InputError(f"{metric} is empty: nothing in this run tells it")
    return float(value)
