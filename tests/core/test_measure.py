"""Measures and critics that are recipes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import BadOutput, InputError, UnknownName
from loopwright.core.feedback import Feedback, Missing, Score, Verdict
from loopwright.core.measure import Record, measure
from loopwright.core.model import Request, Sampling
from loopwright.core.registry import get_recipe
from loopwright.core.store import RolloutRow
from loopwright.core.types import Budget, Candidate, Example, Rollout, Turn
from loopwright.critics import build_critic
from loopwright.models.scripted import ScriptedModel
from loopwright.store import MemoryStore
from loopwright.worlds.single import Single


def attempt(example: str, passed: bool | None, replicate: int = 0) -> Rollout:
    return Rollout(
        id=f"{example}-{replicate}",
        example=Example(id=example, input=example),
        turns=(Turn(role="user", text="?"), Turn(role="assistant", text="!")),
        candidate="c",
        feedback=() if passed is None else (Verdict(passed=passed),),
    )


def stored(*rollouts: Rollout) -> tuple[MemoryStore, str]:
    store = MemoryStore()
    run = store.create_run({}, seed=0, budget={}, code_version="")
    rows = [
        RolloutRow(run.id, r.id, r.candidate, r.example.id, "train", 1, i, r.score, r.model_dump_json().encode())
        for i, r in enumerate(rollouts)
    ]
    asyncio.run(store.write(rows))
    return store, run.id


def test_pass_at_k_is_the_share_of_draws_with_a_pass() -> None:
    # Of four attempts two pass: 1 - C(2,1)/C(4,1) = 1/2 at k = 1, and 1 - C(2,2)/C(4,2) = 5/6 at k = 2.
    store, run = stored(*(attempt("a", passed, i) for i, passed in enumerate([True, False, True, False])))
    table = measure(get_recipe("pass-at-k"), store, run, {"k": (1, 2, 8)})
    shown = [(row[table.columns.index("k")], row[table.columns.index("pass@k")]) for row in table.rows]
    assert shown == [(1, 0.5), (2, pytest.approx(5 / 6))]  # eight cannot be drawn from four


def test_attempts_without_a_score_are_not_failures() -> None:
    store, run = stored(attempt("a", True, 0), attempt("a", None, 1))
    (row,) = measure(get_recipe("pass-at-k"), store, run, {"k": (1,)}).rows
    assert row[4] == 1.0


def test_what_is_no_measure_and_what_has_nothing_to_measure_are_refused() -> None:
    store, run = stored(attempt("a", True))
    with pytest.raises(InputError, match="best-of-n is a solver"):
        measure(get_recipe("best-of-n"), store, run, {})
    empty = store.create_run({}, seed=0, budget={}, code_version="")
    with pytest.raises(InputError, match="no judged attempts"):
        measure(get_recipe("pass-at-k"), store, empty.id, {})
    assert Record(rollout=attempt("a", True), split="train", round=1, replicate=0).rollout.score == 1.0


def asked(replies: list[str]) -> Feedback:
    """What p-true says when the model replies so."""
    store = MemoryStore()
    run = store.create_run({}, seed=0, budget={}, code_version="")
    model = ScriptedModel(lambda request, index: replies[index])
    engine = Engine(store=store, run=run, ledger=Ledger(Budget()), models={"policy": model})
    ctx = Context(engine, "test", world=Single(name="w", sampling=Sampling(max_tokens=8)), policy=Candidate())
    built = build_critic("p-true", {"samples": len(replies)}, Path("."), role="critic")
    said = asyncio.run(built(attempt("a", None), ctx))
    assert not isinstance(said, tuple)
    return said


def test_a_critic_recipe_is_a_kind_of_critic() -> None:
    said = asked(["Yes.", "no", "yes, it is", "hmm"])
    assert isinstance(said, Score) and said.value == pytest.approx(2 / 3) and said.confidence == 0.75
    assert isinstance(asked(["hm", "well"]), Missing)


def test_a_critic_whose_model_gives_nothing_usable_leaves_a_missing_judgement() -> None:
    def refuses(request: Request, index: int) -> str:
        raise BadOutput("model refused", kind="refused")

    store = MemoryStore()
    run = store.create_run({}, seed=0, budget={}, code_version="")
    engine = Engine(store=store, run=run, ledger=Ledger(Budget()), models={"policy": ScriptedModel(refuses)})
    built = build_critic("p-true", {}, Path("."), role="critic")
    world = Single(name="w", sampling=Sampling(max_tokens=8))
    ctx = Context(engine, "test", world=world, policy=Candidate(), critics=(built,))
    (said,) = asyncio.run(ctx.judge(attempt("a", None))).feedback
    assert isinstance(said, Missing) and said.status == "refused" and said.about == "a-0"


def test_an_unknown_kind_suggests_built_in_and_recipe_critics() -> None:
    with pytest.raises(UnknownName, match="Did you mean p-true"):
        build_critic("p-tru", {}, Path("."))
    with pytest.raises(UnknownName, match=r"unknown option of p-true 'sample'\. Did you mean samples"):
        build_critic("p-true", {"sample": 3}, Path("."))
