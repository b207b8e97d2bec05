"""HiGHS: optima, what has none, and what stands in its way."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from loopwright.core.errors import InputError
from loopwright.critics.milp import same, solved, solved_apart

pytest.importorskip("highspy", reason="pip install 'loopwright[milp]'")


def test_optima_with_and_without_whole_numbers() -> None:
    text = "max 5 x + 4 y + 1\nst\n 6 x + 4 y <= 24\n x + 2 y <= 6\n"
    plain, whole = solved(text), solved(text + "int\n x y\n")
    assert plain.objective == pytest.approx(22) and plain.values == pytest.approx({"x": 3, "y": 1.5})
    assert whole.objective == pytest.approx(21) and "optimum 21 at x = 4" in whole.text
    assert solved("min x\nst\n x >= -3\nbounds\n x free").objective == pytest.approx(-3)


def test_what_has_no_optimum_says_why() -> None:
    assert solved("max x\nst\n x >= 1").status == "unbounded"
    assert solved("max x\nst\n x <= 1\n x >= 2").status == "infeasible"
    assert solved("max x\nbounds\n 3 <= x <= 2").status == "infeasible"
    unread = solved("max x ^ 2")
    assert unread.status == "unread" and "could not be read: line 1" in unread.text
    assert same(100.005, 100) and not same(100.2, 100) and not same(None, 1)


def test_it_does_not_run_beside_or_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ortools", ModuleType("ortools"))
    with pytest.raises(InputError, match="OR-Tools"):
        solved("max x\nst\n x <= 77")


def test_what_a_model_wrote_is_solved_in_another_process() -> None:
    text = "max 5 x + 4 y + 1\nst\n 6 x + 4 y <= 24\n x + 2 y <= 6\n"
    for program in (text, text + "int\n x y\n", "max x\nst\n x >= 1", "max x ^ 2", ""):
        assert asyncio.run(solved_apart(program)) == solved(program)


@pytest.mark.fault(73)
def test_a_program_that_is_never_solved_leaves_the_loop_free(seen: Callable[[str], None]) -> None:
    # Market split: equations over 0 and 1 that a branch and bound must nearly enumerate.
    rng = random.Random(0)
    rows = [[rng.randrange(100) for _ in range(60)] for _ in range(7)]
    lines = [f"min {' + '.join(f's{i} + t{i}' for i in range(7))}", "st"]
    for i, row in enumerate(rows):
        lines.append(f"{' + '.join(f'{n} x{j}' for j, n in enumerate(row))} + s{i} - t{i} = {sum(row) // 2}")
    lines += ["binary", " ".join(f"x{j}" for j in range(60))]

    async def main() -> tuple[str, int]:
        solving = asyncio.create_task(solved_apart("\n".join(lines), seconds=1.0))
        for ticks in itertools.count():
            if solving.done():
                return solving.result().status, ticks
            await asyncio.sleep(0.01)
        raise AssertionError

    status, ticks = asyncio.run(main())
    assert status == "limit" and ticks > 10
    seen(f"an integer program without end, seconds=1: {status}, while the loop turned {ticks} times")
