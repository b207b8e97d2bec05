"""Runs by hand: both arms on the same questions, what they took, and the pages that show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopwright.checks.toy import ToyModel, ToyWorld
from loopwright.claims.by_hand import Row, read_by_hand, run_by_hand, write_by_hand
from loopwright.claims.catalogue import page
from loopwright.core.errors import InputError
from loopwright.core.registry import get_recipe
from loopwright.store.memory import MemoryStore
from loopwright.worlds import registry
from loopwright.worlds.registry import Known


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.WORLDS, "toy", Known(ToyWorld))


def run(**row: object):
    return run_by_hand(Row.model_validate({"world": "toy", "items": 30, **row}), ToyModel(1, MemoryStore().blobs), name="a toy")


def test_a_solver_stands_beside_the_plain_answer_and_another_recipe() -> None:
    result = run(recipe="best-of-n", options={"n": 8}, compare={"recipe": "self-consistency", "options": {"n": 4}})
    assert list(result.arms) == ["plain", "self-consistency", "method"]
    assert [arm.calls for arm in result.arms.values()] == [30, 120, 240]
    assert result.difference == pytest.approx(result.arms["method"].score - result.arms["plain"].score, abs=1e-3)
    assert result.low < result.difference < result.high and result.low > 0


def test_an_improver_says_what_learning_took() -> None:
    result = run(recipe="bootstrap-few-shot", options={"sizes": [2], "sets": 2, "examples": 4})
    method = result.arms["method"]
    assert method.offered == 1 and method.learning["calls"] > 0 and method.calls == 30


def test_too_small_a_budget_is_said_and_nothing_is_compared() -> None:
    result = run(recipe="best-of-n", options={"n": 8}, tokens=6000)
    assert "method" not in result.arms and result.difference is None and "tokens" in result.note


def test_what_cannot_be_run_by_hand_is_refused() -> None:
    with pytest.raises(InputError, match="stream"):
        run(recipe="best-of-n", world="bandit")
    with pytest.raises(InputError, match="is a learner"):
        run(recipe="lin-ucb")


def test_results_are_read_again_and_shown(tmp_path: Path) -> None:
    result = run(recipe="best-of-n", options={"n": 4})
    write_by_hand(result, tmp_path)
    assert read_by_hand(tmp_path, "best-of-n") == result and read_by_hand(tmp_path, "p-true") is None
    shown = page(get_recipe("best-of-n"), None, result)
    assert "## By hand" in shown and "a toy" in shown and f"{result.arms['plain'].score:.2f}" in shown
