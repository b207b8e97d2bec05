"""What a judge said in a run is counted and priced, and a doubt about it is told once, while the run goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from loopwright.blocks.convert import convert
from loopwright.blocks.trust import doubts
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.types import Budget, Candidate, Example
from loopwright.critics import exact, judge, pairwise
from loopwright.improve.html import render_html
from loopwright.improve.report import build_report
from loopwright.models.scripted import ScriptedModel
from loopwright.store import MemoryStore
from loopwright.worlds.small import Small

EXAMPLES = [Example(id=f"e{i}", input=f"question {i}", target="7") for i in range(30)]


def run(reply: str, work: Any, **world: Any) -> tuple[Any, list[dict[str, Any]], MemoryStore, str]:
    store, told = MemoryStore(), []
    row = store.create_run({"test": "doubts"}, seed=0, budget={}, code_version="test")
    engine = Engine(
        store=store, run=row, ledger=Ledger(Budget()), models={"policy": ScriptedModel([reply])}, convert=convert, cache=False,
        doubts=doubts, notify=lambda type, payload: told.append(payload) if type == "doubt" else None,
    )  # fmt: skip
    ctx = Context(engine, "test", world=Small("toy", EXAMPLES, exact(), **world), policy=Candidate())
    return asyncio.run(work(ctx)), told, store, row.id


async def judged(ctx: Context) -> Any:
    return [await ctx.judge(await ctx.answer(e)) for e in EXAMPLES]


@pytest.mark.fault(37)
def test_a_judge_that_praises_everything_is_told_of_once() -> None:
    said, told, store, id = run("Score: 10", judged, critics=(judge("Is it good?"),))
    assert [t["doubt"] for t in told] == ["praises"] and told[0]["asked"] < 30
    assert said[0].feedback[0].cost.calls == 1 and said[0].feedback[0].cost.tokens > 0
    report = build_report(store, id)
    assert [d.doubt for d in report.doubts] == ["praises"] and "Doubtful judge" in render_html(report)


def test_a_judge_that_cannot_be_read_and_one_that_is_sound() -> None:
    assert [t["doubt"] for t in run("I like it", judged, critics=(judge("r"),))[1]] == ["unreadable"]
    assert run("Score: 6", judged, critics=(judge("r"),))[1] == []


@pytest.mark.fault(37)
def test_a_judge_that_changes_its_mind_with_the_order() -> None:
    async def compared(ctx: Context) -> Any:
        return [await ctx.compare(await ctx.answer(e), await ctx.answer(e, "again")) for e in EXAMPLES]

    said, told, *_ = run("Better: A", compared, compare=pairwise("r"))
    assert all(p.tie and p.contradicts and p.cost.calls == 2 for p in said)
    assert [t["doubt"] for t in told] == ["contradicts"]
