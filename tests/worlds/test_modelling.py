"""Problems of optimisation: true models have optima, and what modellers get wrong moves them."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
from typing import Any

import pytest

from loopwright.blocks.linear_program import read_program
from loopwright.core.errors import InputError, UnknownName
from loopwright.core.types import Example, Rollout, Turn
from loopwright.critics.milp import same, solved
from loopwright.worlds.modelling import KINDS, modelling

pytest.importorskip("highspy", reason="pip install 'loopwright[milp]'")
CTX: Any = None


def judged(example: Example, output: str, critic: Any = None) -> Any:
    rollout = Rollout(id="r", example=example, turns=(Turn(role="assistant", text=output),))
    return asyncio.run((critic or modelling(count=1).checker)(rollout, CTX))


def test_the_true_models_have_optima_and_are_right() -> None:
    world = modelling(count=60)
    for example in world.items:
        assert judged(example, f"Here it is:\n```\n{example.target}\n```").passed
    parts = [{e.id for e in world.examples(s)} for s in ("train", "gate", "test")]
    assert all(parts) and sum(map(len, parts)) == len(set().union(*parts)) == 60


def test_a_knapsack_optimum_is_what_trying_all_subsets_gives() -> None:
    for seed in range(5):
        _, text = KINDS["knapsack"](random.Random(seed))
        program = read_program(text)
        weights, _, room = program.rows[0]
        names = program.names
        best = max(
            sum(program.objective[n] for n in some)
            for k in range(len(names) + 1)
            for some in itertools.combinations(names, k)
            if sum(weights[n] for n in some) <= room
        )
        assert same(solved(text).objective, best)


SLIPS = {
    "knapsack": lambda t: t.replace("binary", "integer"),
    "production": lambda t: re.sub(r"<= (\d+)", lambda m: f"<= {int(m[1]) // 60}", t),
    "assignment": lambda t: t.replace("= 1\n", "<= 1\n").replace("<<=", "<="),
    "transport": lambda t: t.replace(">=", "<="),
    "diet": lambda t: "\n".join(line for line in t.splitlines() if "<= 0" not in line),
    "depots": lambda t: t[: t.index("binary")] + "end",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_modellers_get_wrong_moves_the_optimum(kind: str) -> None:
    drawn = [KINDS[kind](random.Random(seed))[1] for seed in range(20)]
    moved = [not same(solved(SLIPS[kind](text)).objective, solved(text).objective or 0.0) for text in drawn]
    assert sum(moved) >= 12


def test_feedback_tells_what_failed_and_the_critic_knows_no_answer() -> None:
    world = modelling(kinds="knapsack", count=8)
    example = world.items[0]
    unread, wrong = judged(example, "max x^2"), judged(example, str(example.target).replace("maximize", "minimize"))
    assert "could not be read: line 1" in unread.message and "optimum" not in unread.message
    assert "optimum 0 at zero" in wrong.message and f"right optimum is {solved(str(example.target)).objective:g}" in wrong.message
    said = judged(example, str(example.target).replace("maximize", "minimize"), world.critics[0])
    assert said.passed and not said.message
    assert "optimum" in asyncio.run(world.tools["highs"](str(example.target), CTX))


def test_bad_options_are_refused() -> None:
    with pytest.raises(UnknownName, match="knapsack"):
        modelling(kinds="knapsak")
    with pytest.raises(InputError, match="count"):
        modelling(count=0)
