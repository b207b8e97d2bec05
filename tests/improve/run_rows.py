"""A finished run, written by hand: what the tests of the report, the exports and the command line read."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from loopwright.core.feedback import Cost, Missing, Verdict
from loopwright.core.store import CandidateRow, EffectRow, EventRow, RolloutRow, Row, RunRow, Store
from loopwright.core.types import Candidate, Example, Rollout, Turn

NASTY = "<script>alert('boo')</script>"
BASE = Candidate(parts={"prompt": {"instruction": "Answer."}}, by="task")
BETTER = BASE.child(
    by="few-shot", note="two worked examples",
    prompt={"instruction": "Answer.", "shots": [{"input": "1 + 1", "output": "2", "example": "t1"}]},
)  # fmt: skip
WORSE = BETTER.child(by="rest-em", note=NASTY, adapter="ab" * 32)


def look(number: int, candidate: Candidate, incumbent: Candidate, *, accepted: bool, effect: float) -> EventRow:
    payload = {
        "look": number, "candidate": candidate.hash, "incumbent": incumbent.hash, "by": candidate.by, "note": candidate.note,
        "accepted": accepted, "reason": "better" if accepted else "not shown to be better", "effect": effect,
        "low": effect - 0.2, "high": effect + 0.2, "e_value": 50.0, "threshold": 40.0, "n": 10,
        "incumbent_score": 0.4, "candidate_score": 0.4 + effect,
    }  # fmt: skip
    return EventRow(run="", type="look", key=f"look/{number}", payload=payload, time=1.0)


def rollout(
    name: str, candidate: Candidate, example: str, output: str, score: float | None, *, split: str = "train"
) -> RolloutRow:
    said = Missing(expected="score", message="the checker hung") if score is None else Verdict(passed=score == 1.0)
    whole = Rollout(
        id=name, candidate=candidate.hash, feedback=(said,),
        example=Example(id=example, input=f"question {example}", target="right", meta={"level": 2}),
        turns=(Turn(role="user", text=f"question {example}"), Turn(role="assistant", text=output, finish="stop")),
    )  # fmt: skip
    return RolloutRow(
        run="", id=name, candidate=candidate.hash, example=example, split=split, round=0, replicate=0, score=whole.score,
        data=whole.model_dump_json().encode(),
    )  # fmt: skip


def effect(key: str, scope: str, *, status: str = "done", attempt: int = 1) -> EffectRow:
    return EffectRow(
        run="", key=key, scope=scope, kind="generate", content="c", ordinal=0, status=status, summary="asks",  # type: ignore[arg-type]
        cost=Cost(calls=1, prompt_tokens=10, completion_tokens=5, seconds=0.5), attempt=attempt,
    )  # fmt: skip


def learned_rows() -> list[Row]:
    interval = {"low": 0.1, "high": 0.7, "n": 4, "missing": 1}
    start = {
        "task": f"sums {NASTY}", "model": "scripted", "change": ["prompt"], "splits": {"train": 8, "gate": 10, "test": 4},
        "gate": {"alpha": 0.05, "min_effect": 0.01},
    }  # fmt: skip
    rows: list[Row] = [
        EventRow(run="", type="run", key="run", payload=start),
        EventRow(run="", type="baseline", key="b", payload={"score": 0.4, "split": "gate", **interval}),
        EventRow(run="", type="fit", key="f", payload={"loss": 0.5, "first_loss": 2.0, "loss_name": "sft", "round": 1}),
        look(1, BETTER, BASE, accepted=True, effect=0.3),
        look(2, WORSE, BETTER, accepted=False, effect=-0.1),
        EventRow(run="", type="final", key="final", payload={
            "score": 0.75, **interval, "baseline": {"score": 0.25, **interval}, "reason": "every method has run"}),
    ]  # fmt: skip
    rows += [
        CandidateRow(run="", hash=c.hash, data=c.model_dump(mode="json"), by=c.by, round=i)
        for i, c in enumerate((BETTER, WORSE), 1)
    ]
    for i, (before, after) in enumerate([(0.0, 1.0), (0.0, 1.0), (1.0, 1.0), (None, 1.0)]):
        rows.append(rollout(f"a{i}", BASE, f"e{i}", NASTY, before, split="test"))
        rows.append(rollout(f"b{i}", BETTER, f"e{i}", "right", after, split="test"))
    rows += [
        rollout("t0", BASE, "t0", "right", 1.0), rollout("t1", BASE, "t0", "wrong", 0.0),
        rollout("t2", BASE, "t0", "right", 1.0), rollout("t3", BASE, "t1", "lost", None), rollout("t4", BASE, "t2", "wrong", 0.0),
        effect("1", f"improve/gate.{BASE.hash[:16]}/x"), effect("2", "improve/1.few-shot/x"), effect("3", "improve/1.few-shot/y"),
        effect("4", f"improve/gate.{BETTER.hash[:16]}/x", attempt=2), effect("5", "improve/test.abc/x", status="open"),
    ]  # fmt: skip
    return rows


def write_run(store: Store, rows: list[Row], *, reason: str = "every method has run") -> RunRow:
    spec = {"job": "improve", "task": {"name": "sums", "prompt": {"instruction": "Answer."}}, "model": "scripted"}
    run = store.create_run(spec, seed=7, budget={"calls": 100}, code_version="1")
    asyncio.run(store.write([replace(row, run=run.id) for row in rows]))  # type: ignore[arg-type, type-var]
    store.set_run(run.id, status="done", reason=reason, seconds=12.5)
    return store.run(run.id)
