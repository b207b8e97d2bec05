"""Monitors in the report, and the rules of a job."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from run_rows import write_run

from loopwright.core.errors import UnknownName
from loopwright.core.store import EventRow, Row
from loopwright.improve.html import render_html
from loopwright.improve.job import run_improve
from loopwright.improve.report import build_report
from loopwright.improve.session import driving, quiet
from loopwright.models.scripted import ScriptedModel
from loopwright.store import MemoryStore

EXAMPLES = Path(__file__).parents[2] / "examples"


def rows(monitors: list[dict[str, float]]) -> list[Row]:
    scores = {"score": 0.5, "low": 0.2, "high": 0.8, "n": 8, "by": "rest-em"}
    found: list[Row] = [
        EventRow(run="", type="round", key=f"round/{i}", payload={**scores, "round": i, "monitors": figures})
        for i, figures in enumerate(monitors, 1)
    ]
    stop = {"by": "<rest-em>", "round": len(monitors), "reason": "entropy 0.05 < 0.1"}
    return [*found, EventRow(run="", type="stop", key="stop/x", payload=stop)]


def test_the_report_shows_them_and_what_a_rule_ended() -> None:
    store = MemoryStore()
    run = write_run(store, rows([{"entropy": 1.0, "cut": 0.0}, {"entropy": 0.05}]))
    report = build_report(store, run.id)
    assert [r.monitors for r in report.rounds] == [{"entropy": 1.0, "cut": 0.0}, {"entropy": 0.05}]
    page = render_html(report)
    assert 'aria-label="monitors of every round"' in page and "of the sampler, nats a token" in page
    assert "different pairs of words" not in page  # nobody saw that one
    assert "ended <b>&lt;rest-em&gt;</b> after round 2: entropy 0.05 &lt; 0.1" in page


def test_runs_of_before_have_none() -> None:
    store = MemoryStore()
    run = write_run(store, rows([{}, {}])[:2])
    page = render_html(build_report(store, run.id))
    assert "monitors of every round" not in page and "stop rule" not in page


def test_a_rule_that_is_none_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="entropy"):
        asyncio.run(run_improve(EXAMPLES / "sums", stop=("entropi<1",), store_path=tmp_path / "s"))
    assert not list(tmp_path.iterdir())


def test_the_rules_of_a_run_reach_its_engine_whoever_drives_it() -> None:
    store = MemoryStore()
    run = store.create_run({"stop": ["entropy<0.1"]}, seed=0, budget={}, code_version="1")

    async def halted() -> list[str]:
        async with driving(store, run, ScriptedModel("a"), cache=False, progress=quiet) as engine:
            assert engine.watch([]) == {}
            return [engine.halt({"entropy": 0.2}), engine.halt({"entropy": 0.05})]

    assert asyncio.run(halted()) == ["", "entropy 0.05 < 0.1"]


@pytest.mark.parametrize("as_told", [{"score": None, "low": None, "high": None}, {"score": 0.0, "low": 0.0, "high": 1.0}])
def test_rounds_that_nobody_scored_are_gaps_in_runs_of_this_version_and_of_older_ones(as_told: dict[str, float | None]) -> None:
    def told(scores: list[float | None]) -> list[Row]:
        payloads = [
            {**(as_told if s is None else {"score": s, "low": s, "high": s}), "n": 0 if s is None else 8, "by": "online-dpo"}
            for s in scores
        ]
        return [
            EventRow(run="", type="round", key=f"round/{i}", payload={**p, "round": i, "monitors": {"entropy": 1.0 / i}})
            for i, p in enumerate(payloads, 1)
        ]

    def shown(scores: list[float | None]) -> tuple[list[float | None], str]:
        store = MemoryStore()
        report = build_report(store, write_run(store, told(scores)).id)
        return [r.score for r in report.rounds], render_html(report)

    scores, page = shown([None, None, None])
    assert scores == [None] * 3
    assert 'aria-label="score of the attempts of every round"' not in page, "there is nothing to draw"
    assert 'aria-label="monitors of every round"' in page
    scores, page = shown([0.25, None, 0.5, 0.75])
    assert scores == [0.25, None, 0.5, 0.75]
    assert 'aria-label="score of the attempts of every round"' in page
