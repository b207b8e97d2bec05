"""A budget of seconds bounds calls that hang, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from loopwright.cli.main import app
from loopwright.core.budget import Ledger
from loopwright.core.errors import BudgetExhausted, OutOfTime
from loopwright.core.identity import describe, revive
from loopwright.core.types import Budget
from loopwright.improve.job import resume_improve, run_improve
from loopwright.store import open_store

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.openai_server import Server, completion, serving

HANGS = 3600.0


@pytest.fixture
def task(tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "e.jsonl").write_text(
        "".join(json.dumps({"input": f"question {i}", "target": f"t{i}"}) + "\n" for i in range(80))
    )
    (folder / "task.toml").write_text(
        'name = "t"\n[examples]\nfile = "e.jsonl"\n[checker]\nkind = "exact"\n[methods.few-shot]\nsizes = [2]\n'
    )
    return folder


def right_for_half(body: dict[str, Any]) -> Any:
    number = body["messages"][-1]["content"].split()[-1]
    return completion(body, [f"t{number}" if number.isdigit() and int(number) % 2 else "no"])


def improve(task: Path, server: Server, **more: Any) -> dict[str, Any]:
    place = {"out": task.parent / "out", "numbered": True, "store_path": task.parent / "store"}
    model = f"openai:m@{server.url}"
    return asyncio.run(run_improve(task, change=["prompt"], only=["few-shot"], model=model, **place, **more))


def test_a_server_that_hangs_from_the_start_ends_the_run_with_its_seconds(task: Path) -> None:
    with serving() as server:
        server.will(HANGS)
        with pytest.raises(OutOfTime, match=r"its 1 seconds are used up: .* a call that had waited .* was given up"):
            improve(task, server, budget=Budget(seconds=1))
        with open_store(f"{task.parent / 'store'}/") as store:  # type: ignore[attr-defined]
            (run,) = store.runs()
            cut = [row for row in store.effects(run.id) if row.error.startswith("OutOfTime")]
        assert cut and all(row.status == "failed" and row.cost.calls == 1 and row.cost.tokens > 0 for row in cut)
        assert {run.status} == {"failed"}


def test_the_terminal_says_how_to_go_on(task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(task.parent)
    with serving() as server:
        server.will(HANGS)
        command = [
            "improve",
            "task",
            "--change",
            "prompt",
            "--model",
            f"openai:m@{server.url}",
            "--budget",
            "seconds=1",
        ]
        ran = CliRunner().invoke(app, command)
    assert isinstance(ran.exception, OutOfTime) and ran.exception.exit_code == 3
    assert "--budget seconds=N, with N larger than 1" in " ".join(ran.output.split())


def test_a_run_that_its_budget_ended_goes_on_with_a_larger_one(task: Path) -> None:
    store_path = task.parent / "store"
    with serving() as server:
        server.will(*[right_for_half] * 5, HANGS)
        with pytest.raises(OutOfTime):
            improve(task, server, budget=Budget(seconds=1))
        with open_store(f"{store_path}/") as store:  # type: ignore[attr-defined]
            (run,) = store.runs()
            given_up = sum(row.cost.calls for row in store.effects(run.id) if row.status == "failed")
        asked = len(server.bodies)
        server.will(right_for_half)
        with pytest.raises(BudgetExhausted):
            asyncio.run(resume_improve(run.id, store_path=store_path))
        assert len(server.bodies) == asked
        result = asyncio.run(resume_improve(run.id, store_path=store_path, budget=Budget(seconds=600)))
        assert result["status"] == "done" and result["final"]["missing"] == 0
        assert given_up > 0 and result["calls"] >= 5 + given_up + (len(server.bodies) - asked)


def test_a_server_that_hangs_later_still_gives_a_result_and_a_resume_the_same(task: Path) -> None:
    with serving() as server:
        server.will(right_for_half)
        whole = improve(task, server)
        calls = len(server.bodies)
    for path in (task.parent / "store").rglob("*"):
        if path.is_file():
            path.unlink()
    with serving() as server:
        server.will(*[right_for_half] * (calls - 3), HANGS)
        result = improve(task, server, budget=Budget(seconds=8))
        assert (result["final"]["missing"], whole["final"]["missing"]) == (3, 0)
        asked = len(server.bodies)
        again = asyncio.run(resume_improve(result["run"], store_path=task.parent / "store"))
        assert len(server.bodies) == asked
        assert again["final"] == result["final"]


def test_calls_that_wait_for_their_turn_are_not_begun_when_the_seconds_are_gone() -> None:
    now = [0.0]
    ledger = Ledger(Budget(seconds=10), clock=lambda: now[0])

    async def begin() -> None:
        async with ledger.in_time():
            now[0] += 11
        async with ledger.in_time():
            raise AssertionError("begun")

    with pytest.raises(BudgetExhausted, match=r"its 10 seconds are used up: 11\.0") as caught:
        asyncio.run(begin())
    assert not isinstance(caught.value, OutOfTime)


def test_a_timeout_of_the_call_itself_stays_what_it_is() -> None:
    async def call(budget: Budget) -> None:
        async with Ledger(budget).in_time():
            raise TimeoutError("of its own")

    for budget in (Budget(), Budget(seconds=60)):
        with pytest.raises(TimeoutError, match="of its own"):
            asyncio.run(call(budget))


def test_what_was_given_up_comes_back_from_the_record() -> None:
    error = OutOfTime(60, 61.25, 3.04)
    back = revive(describe(error))
    assert isinstance(back, OutOfTime) and str(back) == str(error)


def test_a_larger_cap_on_a_run_that_has_ended_is_told_to_open_nothing(
    task: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def tell(kind: str, payload: Any) -> None:
        if kind == "notice":
            said.append(str(payload.get("message", "")))

    with serving() as server:
        server.will(right_for_half)
        first = improve(task, server, budget=Budget(calls=300))
        for caps in (None, Budget(calls=600)):
            again = asyncio.run(
                resume_improve(first["run"], store_path=task.parent / "store", budget=caps, progress=tell)
            )
            assert again["final"] == first["final"]
            told = [line for line in said if "begin a new run: loopwright improve TASK --budget calls=600" in line]
            assert len(told) == (caps is not None)
