"""Coding tasks: they differ, are judged right, and the agent that comes with them solves some and edits itself."""

from __future__ import annotations

import ast
import asyncio
import random
from typing import Any

import pytest

from loopwright.blocks.convert import convert
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import InputError
from loopwright.core.types import Budget, Candidate, Example, Rollout, Turn
from loopwright.sandbox import Sandbox
from loopwright.store import MemoryStore
from loopwright.worlds.coding import tasks
from loopwright.worlds.coding.tasks import KINDS, done, problems, told
from loopwright.worlds.coding.world import SEED, coding, nobody
from loopwright.worlds.registry import known_world


def pairs(example: Example) -> list[Any]:
    asked: Any = example.input
    return [*asked["examples"]]


def test_a_chain_does_what_it_says() -> None:
    chain = [("above", 3), ("square", 0), ("running", 0), ("last", 2)]
    assert done(chain, [5, 1, 4, 9]) == [41, 122]
    assert told(chain).startswith("Of the whole numbers in the list xs: keep those above 3, then square each, then form")
    assert {name: done([(name, kind.numbers[0])], []) for name, kind in KINDS.items() if kind.ends} == dict.fromkeys(
        ("sum", "count", "largest", "smallest", "spread"), 0
    )


def test_tasks_differ_and_so_do_the_splits() -> None:
    world = coding(count=60, seed=3)
    assert [e.id for e in world.items] == [e.id for e in problems(60, 3)] != [e.id for e in problems(60, 4)]
    assert len({e.question for e in world.items}) == len({e.id for e in world.items}) == 60
    assert [len(world.examples(split)) for split in ("train", "gate", "test")] == [30, 15, 15]  # type: ignore[arg-type]
    for example in world.items:
        shown = {repr(xs) for xs, _ in pairs(example)}
        asserts = ast.parse(str(example.target)).body
        assert len(asserts) == 8 and "([]) ==" in str(example.target)
        assert sum(any(xs in ast.unparse(a) for xs in shown) for a in asserts) <= 1  # what is shown is not what judges


def test_bad_counts_are_refused() -> None:
    for count in (4, 5000):
        with pytest.raises(InputError, match="from 8 to 2000"):
            coding(count=count)


def test_a_world_that_runs_out_of_tasks_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "KINDS", {name: tasks.KINDS[name] for name in ("sort", "reverse", "square")})
    with pytest.raises(InputError, match="ask for fewer"):
        problems(500, 0)


def test_right_wrong_and_missing_programs_are_told_apart(sandbox: Sandbox) -> None:
    world = coding(count=8)
    chain = [("sort", 0)]
    example = tasks.example(chain, random.Random(0))
    store = MemoryStore()
    run = store.create_run({}, seed=0, budget={}, code_version="test")
    engine = Engine(
        store=store, run=run, ledger=Ledger(Budget()), models={"policy": nobody()}, convert=convert, sandbox=sandbox, cache=False
    )
    ctx = Context(engine, "test", world=world, policy=Candidate())

    async def judged(text: str) -> float | None:
        made = Rollout(id=text, example=example, turns=(Turn(role="assistant", text=text),))
        said: Any = await world.checker(made, ctx)
        return made.told(said).score

    start = f"def {example.id}(xs):\n    return "
    assert [asyncio.run(judged(a)) for a in (f"{start}sorted(xs)", f"{start}xs", "")] == [1.0, 0.0, 0.0]


def agent() -> dict[str, Any]:
    """The seed agent, which is ours, in this process."""
    space: dict[str, Any] = {"__name__": "agent"}
    exec(compile(SEED, "seed.py", "exec"), space)
    return space


def test_the_seed_solves_what_its_blocks_can_do() -> None:
    solve = agent()["solve"]
    examples = [[[3, 1, 2], 6], [[5, 5], 14], [[], 0]]
    text = solve({"name": "f", "description": "Total them.", "examples": [[xs, sum(n + 1 for n in xs)] for xs, _ in examples]})
    space: dict[str, Any] = {}
    exec(text, space)
    assert space["f"]([10, 20]) == 32
    assert solve({"name": "f", "description": "", "examples": [[[1], "no list"], [[2], "nor this"]]}) == ""


def test_every_edit_of_the_seed_gives_another_program_that_still_has_both_functions() -> None:
    space = agent()
    asked: list[Any] = [e.input for e in coding(count=40).items[:8]]
    log = []
    for task in asked:
        answer = space["solve"](task)
        log.append({"task": task, "answer": answer, "passed": bool(answer), "said": ""})
    kinds = space["TASTE"]
    changed = 0
    for kind in kinds:
        for seed in range(2):
            one = space["assigned"](space["assigned"](SEED, "TASTE", {kind: 1}), "TRIES", 2)
            made = space["improve"](one, log, seed)
            changed += made != one
            if kind != "code":  # which is meant to be dangerous
                names = {n.name for n in ast.parse(made).body if isinstance(n, ast.FunctionDef)}
                assert {"solve", "improve"} <= names
                compile(made, "agent.py", "exec")
    assert changed > len(kinds)


def test_the_world_has_a_name() -> None:
    known = known_world("coding")
    assert known.make(count=16).solver["options"]["source"] == SEED  # type: ignore[union-attr]
