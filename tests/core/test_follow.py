"""Attempts that go on from earlier ones, and training on the last of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from core_kit import BASE, Counting, context

from loopwright.core import fitting
from loopwright.core.errors import InputError
from loopwright.core.types import Example, Rollout, Turn


def run(job: Any) -> Any:
    return asyncio.run(asyncio.wait_for(job, 20))


def test_follow_goes_on_from_each_rollout_with_its_own_message() -> None:
    model = Counting(say=lambda request, i: f"{request.turns[-1].text}!{i}")
    ctx = context(model=model)
    examples = ctx.world.examples("train")[:2]

    async def job() -> tuple[list[Rollout], list[Rollout]]:
        first = await ctx.rollout(BASE, examples)
        return first, await ctx.follow(BASE, first, ["once more", "train 1train 1"], n=2)

    first, then = run(job())
    assert [r.example for r in then] == [examples[0], examples[0], examples[1], examples[1]]
    assert then[2].turns[:2] == first[1].turns and then[2].turns[2].text == "train 1train 1"
    assert [r.output for r in then] == ["once more!0", "once more!1", "train 1train 1!0", "train 1train 1!1"]
    assert all(r.score == 0.0 for r in then)  # judged by the objective, on what was said last
    assert len({r.id for r in [*first, *then]}) == 6
    with pytest.raises(InputError, match="one message a rollout"):
        run(ctx.follow(BASE, first, ["alone"]))


def test_the_last_turn_alone() -> None:
    turns = [
        Turn(role="user", text="q"), Turn(role="assistant", text="a", prompt_ids=(1,), token_ids=(2, 3)),
        Turn(role="user", text="no"), Turn(role="assistant", text="b", prompt_ids=(1, 2, 3, 4), token_ids=(5, 6, 7)),
    ]  # fmt: skip
    rollout = Rollout(id="r", example=Example(id="e", input="q"), turns=tuple(turns))
    assert [s.token_ids for s in fitting.sequences([rollout])] == [(2, 3), (5, 6, 7)]
    (sample,) = fitting.sequences([rollout], values={"advantage": [[0.1, 0.2, 0.3]]}, last=True)
    assert sample.prompt_ids == (1, 2, 3, 4) and sample.values["advantage"] == (0.1, 0.2, 0.3)
    (sample,) = fitting.sequences([rollout], prompts={"r": (9,)}, last=True)
    assert sample.prompt_ids == (9,) and sample.token_ids == (5, 6, 7)
    with pytest.raises(InputError, match="wrote 3 tokens"):
        fitting.sequences([rollout], values={"advantage": [[0.1] * 5]}, last=True)
