"""Runs by hand: a recipe beside the plain answer of a model that no claim can bring, such as an instruction model of the user's.

One seed and a few items, so nothing is claimed of them; they show what a method makes of a real small model, good or bad.
``scripts/by_hand.py`` has the rows and writes the results, the catalogue's pages show them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue

from loopwright import __version__
from loopwright.claims.judged import drawn
from loopwright.claims.runners import PerSequence, PerSequenceTrainable
from loopwright.core import loop
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.errors import BudgetExhausted, InputError
from loopwright.core.feedback import Cost, Frozen
from loopwright.core.gate import Side, counted, summarise
from loopwright.core.model import Model, Sampling, Trainable
from loopwright.core.policy import Prompt
from loopwright.core.registry import get_recipe
from loopwright.core.statistics import mean_interval
from loopwright.core.types import Budget, Candidate, Rollout
from loopwright.core.world import start
from loopwright.improve.session import driving, quiet
from loopwright.models import load as load_model
from loopwright.store.memory import MemoryStore
from loopwright.worlds.registry import known_world

FOLDER = "by-hand"  # below the folder of results


class Row(Frozen):
    """What to run. world and setting: by name, and its options. items: test questions, drawn by the seed.

    sampling, prompt, text_tokens: what is other than the world's own, for worlds that were made with another model in mind.
    compare: another recipe beside the plain answer. tokens: a cap on all arms together.
    """

    recipe: str
    world: str
    setting: dict[str, JsonValue] = Field(default_factory=dict)
    options: dict[str, JsonValue] = Field(default_factory=dict)
    sampling: dict[str, JsonValue] = Field(default_factory=dict)
    text_tokens: int = 0
    prompt: dict[str, JsonValue] = Field(default_factory=dict)
    compare: dict[str, JsonValue] = Field(default_factory=dict)
    items: int = Field(default=20, ge=1)
    tokens: int | None = Field(default=None, gt=0)
    note: str = ""


class Tried(Frozen):
    """One arm: mean score on the items with its 95% interval, and what it took. A missing score counts as 0, of the plain answer
    as 1.

    calls: sampled sequences. tokens: read and written. seconds: on whatever machine, beside whatever else ran there.
    learning: what an Improver took before the items were asked, in the same units; offered: its candidates.
    """

    score: float
    low: float
    high: float
    missing: int = 0
    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    learning: dict[str, float] = Field(default_factory=dict)
    offered: int | None = None


class ByHand(Frozen):
    """What came of a row. difference: by which the method is above the plain answer, item by item, with its interval.

    arms: "method", "plain", and the recipe to compare with by its name; empty where it could not be run, as ``note`` says.
    """

    slug: str
    model: str
    row: Row
    items: int = 0  # that were asked, where the world has fewer than the row wants
    seed: int = 0
    arms: dict[str, Tried] = Field(default_factory=dict)
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""
    version: str = __version__


def run_by_hand(row: Row, model: Model | str, *, name: str = "", seed: int = 0) -> ByHand:
    """Run a row with a model (or what ``models.load`` takes); name: what the model is called in the result.

    Raises InputError for a world that is a stream, UnknownName for what does not exist.
    """
    store = MemoryStore()
    made = load_model(model, blobs=store.blobs) if isinstance(model, str) else model
    return asyncio.run(_run(row, made, store, name or Path(made.name).name, seed))


async def _run(row: Row, model: Model, store: MemoryStore, name: str, seed: int) -> ByHand:
    world = _world(row)
    counted = (PerSequenceTrainable if isinstance(model, Trainable) else PerSequence)(model)
    run = store.create_run({"by hand": row.recipe}, seed=seed, budget={}, code_version=__version__)
    result = ByHand(slug=get_recipe(row.recipe).slug, model=name, row=row, seed=seed, note=row.note)
    mine: dict[str, JsonValue] = {"recipe": row.recipe, "options": row.options}
    asked = {"plain": {}, **({str(row.compare["recipe"]): row.compare} if row.compare else {}), "method": mine}
    arms: dict[str, Tried] = {}
    scores: dict[str, list[float]] = {}
    try:
        async with driving(store, run, counted, cache=False, progress=quiet, budget=Budget(tokens=row.tokens)) as engine:
            ctx = Context(engine, "by-hand", world=world, policy=start(world))
            for arm, what in asked.items():
                arms[arm], scores[arm] = await _arm(ctx, row, what, arm)
    except BudgetExhausted as error:
        return result.model_copy(update={"note": f"{row.note} Not finished: {error}".strip(), "arms": arms})
    finally:
        await counted.close()
    gain = [b - a for a, b in zip(scores["plain"], scores["method"], strict=True)]
    low, high = mean_interval(gain, low=-1.0, high=1.0)
    effect = sum(gain) / len(gain)
    return result.model_copy(update={
        "arms": arms, "items": len(gain), "difference": round(effect, 4), "low": round(low, 4), "high": round(high, 4),
    })  # fmt: skip


async def _arm(ctx: Context, row: Row, what: dict[str, JsonValue], name: str) -> tuple[Tried, list[float]]:
    """The plain policy where ``what`` is empty, else it with this recipe: a Solver, or what an Improver offers last."""
    ledger: Ledger = ctx.engine.ledger
    candidate, learning, offered = ctx.policy, {}, None
    if what:
        recipe = get_recipe(str(what["recipe"]))
        options = what.get("options") or {}
        if not isinstance(options, dict):
            raise InputError(f"{recipe.slug}: options must be a table, got {options!r}")
        if recipe.card.shape == "solver":
            candidate = candidate.child(solver={"recipe": recipe.address, "options": options})
        elif recipe.card.shape == "improver":
            made: list[Candidate] = []

            async def offer(version: Candidate) -> bool:
                made.append(version)
                return True

            begun, before = time.monotonic(), ledger.spent
            branch = ctx.at(f"improve.{name}", recipe=recipe)
            await loop.improve(recipe, candidate, branch, offer, options)
            candidate, offered = (made[-1] if made else candidate), len(made)
            learning = _spent(ledger.spent, before, begun)
        else:
            raise InputError(f"{recipe.slug} is a {recipe.card.shape}; solvers and improvers can be run by hand")
    begun, before = time.monotonic(), ledger.spent
    examples = drawn(ctx, {"examples": row.items})
    rollouts: Sequence[Rollout] = await ctx.at(f"test.{name}", split="test").evaluate(candidate, examples)
    side: Side = "candidate" if what else "incumbent"
    values = counted([r.score for r in rollouts], side)
    shown = summarise(values)
    took = _spent(ledger.spent, before, begun)
    tried = Tried(
        score=round(shown.score, 4), low=round(shown.low, 4), high=round(shown.high, 4),
        missing=sum(r.score is None for r in rollouts), calls=int(took["calls"]), tokens=int(took["tokens"]),
        seconds=took["seconds"], learning=learning, offered=offered,
    )  # fmt: skip
    return tried, values


def _spent(now: Cost, before: Cost, begun: float) -> dict[str, float]:
    return {
        "calls": now.calls - before.calls, "tokens": now.tokens - before.tokens,
        "seconds": round(time.monotonic() - begun, 1),
    }  # fmt: skip


def _world(row: Row) -> Any:
    world: Any = known_world(row.world).make(**row.setting)
    if not hasattr(world, "examples"):
        raise InputError(f"{row.world} is a stream for learners, without examples; see: loopwright reproduce")
    changes: dict[str, Any] = {}
    if row.sampling:
        changes["sampling"] = Sampling.model_validate({**world.sampling.model_dump(by_alias=True), **row.sampling})
    if row.text_tokens:
        changes["text_tokens"] = row.text_tokens
    if row.prompt:
        changes["prompt"] = Prompt.model_validate({**world.prompt.model_dump(), **row.prompt})
    return dataclasses.replace(world, **changes) if changes else world


def write_by_hand(result: ByHand, results: Path | str) -> Path:
    path = Path(results) / FOLDER / f"{result.slug}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result.model_dump(mode="json", exclude_none=True), indent=2, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def read_by_hand(results: Path | str, slug: str) -> ByHand | None:
    """What an earlier run wrote, or None."""
    path = Path(results) / FOLDER / f"{slug}.json"
    return ByHand.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None
