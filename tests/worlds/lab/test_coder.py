"""The role of a coder and its world: what is told, what the executor says, and the committed adapter, which is played."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from loopwright.blocks.programs import asserts_in
from loopwright.sandbox import Sandbox
from loopwright.worlds.lab.dialogues import part_of
from loopwright.worlds.lab.roles import coder
from loopwright.worlds.lab.roles.coder import Coder, failures, steps_told, worked
from loopwright.worlds.lab.roles.role import lesson, marks
from loopwright.worlds.number_programs import HIDDEN, KINDS, Step, asserts, draw, number_programs, program

STEPS = (Step("add", 3), Step("halve even"), Step("from", 50))


def test_a_question_is_read_as_it_was_told():
    assert steps_told("f(n): 3 more; if even, half of it; what is left to 50.") == STEPS
    rng = random.Random(0)
    told = [draw(rng, 3) for _ in range(300)]
    assert all(steps_told(question) == steps for question, steps in told)
    assert {s.kind for _, steps in told for s in steps} == set(KINDS)


def test_programs_do_what_their_steps_do():
    assert program(STEPS) == "def f(n):\n n=n+3\n if n%2==0:n=n//2\n n=50-n\n return n"
    assert asserts(STEPS, [1, 4]) == ["assert f(1) == 48", "assert f(4) == 43"]
    assert worked(STEPS, 1) == "# 1+3=4 4/2=2 50-2=48\nassert f(1) == 48"
    rng = random.Random(1)
    for _ in range(200):
        _, steps = draw(rng, 4)
        assert failures(program(steps), asserts(steps, HIDDEN)) == []


def test_solutions_are_right_and_slips_are_found():
    role, rng = Coder(), random.Random(3)
    for i in range(60):
        task = role.draw(rng, taught=i % 2 == 0, done=i / 60)
        assert role.right(task, role.solution(task)) and role.again(task, role.solution(task)) is None
        slip = role.spoil(task, rng)
        told = role.again(task, slip)
        assert told is not None and not role.right(task, slip)
        assert [s.text for s in told[:2]] == [task.question, slip] and "assert f(" in told[2].text


def test_no_lesson_is_on_what_is_asked_later():
    role, rng = Coder(), random.Random(4)

    def part(text: str) -> str:
        return part_of(text.removeprefix(f"{coder.DESIGN}\n"))

    for _ in range(60):
        dialogue = lesson(role, rng, {})
        assert part(dialogue[0].text) == "teach"
        assert [said.learn for said in dialogue] == [0.0] * (len(dialogue) - 1) + [1.0]
        assert part_of(role.draw(rng, taught=False).question) != "teach"
        assert part(role.other(rng, taught=False)[1][0].text) != "teach"
    parts = [{part_of(e.question) == "teach" for e in number_programs(count=60, unseen=u).items} for u in (False, True)]
    assert parts == [{True, False}, {False}]


def test_designed_tests_are_marked_one_by_one():
    role = Coder()
    _, asked, designed = role.other(random.Random(5))
    assert marks(role, asked, designed, designed) == [True] * coder.TESTS
    first, *others = asserts_in(designed)
    assert marks(role, asked, designed, "\n".join([f"{first}0", *others])) == [False, True, True]
    assert marks(role, asked, designed, "no tests") == [False]


@pytest.mark.parametrize(
    "written",
    [
        program(STEPS),
        "def f(n):\n n=n+3\n return n",
        "def f(n):\n n=n+3\n if n%2==0:n=n//2\n n=50-n",
        "def f(n):\n n=m+3\n return n",
        "def f(n:\n n=n+3\n return n",
        "def f(n):\n n=n+3\n if n%2==0n=n//2\n return n",
        "deff(n):\n return n",
        "def f(n):\n n=max(n,3\n return n",
    ],
)
def test_failures_are_told_as_the_executor_tells_them(written: str, sandbox: Sandbox) -> None:
    """As ``agent-coder`` does; of an error of syntax, the place is not compared."""
    for test in asserts(STEPS, [1, 4]):
        outcome = asyncio.run(sandbox.run(f"{written}\n\n{test}\n"))
        lines = outcome.stderr.strip().splitlines()
        assert failures(written, [test]) == ([] if outcome.ok else [f"{test}: {lines[-1]}"])


@pytest.mark.parametrize("written", ["import os", "def f(n):\n while n:n=n-1\n return n", "def f(n):\n return n//0", "f=abs"])
def test_what_only_the_sandbox_may_run_is_left_alone(written):
    assert failures(written, asserts(STEPS, [1])) is None


def test_the_world_refuses_what_it_cannot_draw():
    from loopwright.core.errors import InputError

    with pytest.raises(InputError, match="steps from 1 to 6, got 7"):
        number_programs(steps=7)


def test_the_committed_designer_is_played():
    """Far below the rate that was measured, so that no other rounding of another machine can fail it."""
    pytest.importorskip("transformers")
    from loopwright.core.model import Request, Sampling
    from loopwright.core.types import Turn
    from loopwright.models import load
    from loopwright.models.loading import ROLES_FOLDER

    rates = json.loads((ROLES_FOLDER / "coder" / "rates.json").read_text())["rates"]
    role, rng = Coder(), random.Random(6)
    asked = [role.other(rng, taught=False)[1] for _ in range(30)]
    sampling = Sampling(max_tokens=160, temperature=0.0)
    model = load("embedded:lab+coder")
    requests = [Request(turns=tuple(Turn(role=s.role, text=s.text) for s in a), sampling=sampling) for a in asked]  # type: ignore[arg-type]
    replies = asyncio.run(model.generate(requests))
    asyncio.run(model.close())
    found = [right for a, r in zip(asked, replies, strict=True) for right in role.marks(a, r.choices[0].text)]
    assert sum(found) >= len(found) * rates["asserts of its tests"]["rate"] * 0.5
