"""Budgets of tokens and money against what calls take: the most that a call can take is several times as much."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopwright.core.errors import InputError
from loopwright.core.types import Budget
from loopwright.improve.job import resume_improve, run_improve

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.billing_server import PRICE, Billing, billing

N = 80


@pytest.fixture
def task(tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "examples.jsonl").write_text(
        "".join(f'{{"input": "question number {i}", "target": "fine"}}\n' for i in range(N))
    )
    (folder / "task.toml").write_text(
        'name = "fine"\n[examples]\nfile = "examples.jsonl"\n[answer]\nmax_tokens = 400\n[checker]\nkind = "exact"\n'
        "[methods.few-shot]\nexamples = 4\nsizes = [0, 2]\n"
    )
    return folder


def answer(body: dict[str, Any]) -> str:
    return "fine" if len(body["messages"][-1]["content"]) % 2 or len(body["messages"]) > 2 else "not so"


def improve(task: Path, server: Billing, budget: Budget, name: str = "run") -> dict[str, Any]:
    model = {"backend": "openai", "model": "toy", "base_url": server.url, "api_key_env": "", "price": list(PRICE)}
    place = {"out": task.parent / f"out-{name}", "store_path": task.parent / f"{name}.db"}
    return asyncio.run(run_improve(task, model=model, budget=budget, only=["few-shot"], **place))


@pytest.mark.fault(33)
@pytest.mark.parametrize("resource", ["tokens", "money"])
def test_a_budget_is_refused_by_what_calls_take_and_not_by_the_most(
    task: Path, resource: str, seen: Callable[[str], None]
) -> None:
    with billing(lambda i, body: "ok") as server:
        server.answer = answer
        free = improve(task, server, Budget())
        used, calls = {"tokens": server.tokens, "money": server.money}[resource], server.calls
        most = calls * {"tokens": 400, "money": 400 * PRICE[1] / 1e6}[resource]
        assert most > 5 * used, "the most must be far above, or nothing is tried"
    with billing(lambda i, body: "ok") as server:
        server.answer = answer
        result = improve(task, server, Budget(**{resource: 3 * used}), "capped")
        spent = {"tokens": server.tokens, "money": server.money}[resource]
        assert result["tried"] == ["few-shot"] and result["final"] == free["final"] and result["final"]["missing"] == 0
        assert spent <= 3 * used
    cap = f"{3 * used:g} {resource}"
    seen(f"a cap of {cap}, where the most of all calls is {most:g}: not refused, {spent:g} spent, result as without")


@pytest.mark.fault(33)
def test_a_budget_too_small_is_refused_once_that_can_be_told_and_gone_on_with(
    task: Path, seen: Callable[[str], None]
) -> None:
    with billing(lambda i, body: "ok") as server:
        server.answer = answer
        with pytest.raises(InputError, match="a single call may take up to"):
            improve(task, server, Budget(tokens=300))
        assert server.received == 0
        with pytest.raises(
            InputError, match=r"the budget of 1200 tokens is too small: the baseline took \d+ tokens"
        ) as caught:
            improve(task, server, Budget(tokens=1200), "small")
        assert server.tokens <= 1200
        first = server.calls
        result = asyncio.run(resume_improve("last", store_path=task.parent / "small.db", budget=Budget(tokens=10_000)))
        assert result["status"] == "done" and result["tokens"] == server.tokens <= 10_000
    seen(f'tokens=1200: after {first} calls "{str(caught.value)[:120]}"; resumed with more it ends well')
