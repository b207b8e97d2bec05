"""HiGHS: optima, what has none, and what stands in its way."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from loopwright.core.errors import InputError
from loopwright.critics.milp import same, solved

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
