"""What methods make of a diffusion model, round by round: its reward, and what it gives up for it.

Runs each method on ``drawn-digits`` or ``drawn-points`` and looks at the model of every round with the same prompts and noise.
Writes two figures and prints a table in Markdown:

    python scripts/drawing_rounds.py --reward ink --methods ddpo rwr --out out/drawings [--json out.json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from loopwright.blocks.convert import convert
from loopwright.core import loop
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget, Candidate
from loopwright.core.world import start
from loopwright.improve.plots.files import save
from loopwright.improve.plots.images import curves, picture_sheet
from loopwright.store.memory import MemoryStore
from loopwright.worlds.generators.arrays import diversity
from loopwright.worlds.generators.drawing import Drawing, worth
from loopwright.worlds.registry import known_world

LOOKED = 200  # samples of every round's model
NAMES = ("reward", "KL from the start (nats)", "diversity")


async def rounds(
    world: Drawing, make: Any, slug: str, options: dict[str, Any], seed: int
) -> tuple[list[Candidate], Any]:
    """The models that a method offers, the start first, and the model that holds them."""
    store = MemoryStore()
    model = make(store.blobs)
    row = store.create_run({"rounds": slug}, seed=seed, budget={}, code_version="")
    engine = Engine(store=store, run=row, ledger=Ledger(Budget()), models={"policy": model}, convert=convert, cache=False)
    recipe, base = get_recipe(slug), start(world)
    ctx = Context(engine, "improve", world=world, policy=base, recipe=recipe)
    found = [base]

    async def offer(candidate: Candidate) -> bool:
        found.append(candidate)
        return True

    await loop.improve(recipe, base, ctx, offer, {**options, "every": True})
    return found, model


def look(world: Drawing, model: Any, candidate: Candidate) -> tuple[dict[str, float], np.ndarray]:
    """Figures of one model, and what it drew [LOOKED, D]."""
    import torch

    network = model.network
    asked = [world.questions[i % len(world.questions)] for i in range(LOOKED)]
    conditions = np.stack([network.condition(question) for question in asked])
    weights = model.weights(candidate.parts.get("adapter"))
    states = network.draw(weights, conditions, [np.random.default_rng([1, i]) for i in range(LOOKED)]).states
    drawn = np.clip(states[:, -1], *world.bounds)
    one = [drawn[i] for i in range(LOOKED) if asked[i] == asked[0]]
    kl = network.divergence(weights, network.start(), torch.from_numpy(states), torch.from_numpy(conditions[:, 0]).long())
    reward = float(np.mean([worth(world.reward, x, question) for x, question in zip(drawn, asked, strict=True)]))
    return dict(zip(NAMES, (reward, kl, diversity(np.stack(one))), strict=True)), drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", default="drawn-digits")
    parser.add_argument("--reward", default="ink")
    parser.add_argument("--methods", nargs="+", default=["ddpo", "rwr"])
    parser.add_argument("--options", type=json.loads, default={}, help='by method, such as {"ddpo": {"rounds": 10}}')
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder for the two figures, each as PNG and SVG")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    known = known_world(given.world)
    world: Any = known.make(reward=given.reward)
    table: dict[str, list[dict[str, float]]] = {}
    places: dict[str, list[float]] = {}
    sheet: dict[str, np.ndarray] = {}
    for slug in given.methods:
        options = given.options.get(slug, {})
        settings = get_recipe(slug).settings(options)
        found, model = asyncio.run(rounds(world, known.model, slug, options, given.seed))
        looks = [look(world, model, candidate) for candidate in found]
        table[slug] = [figures for figures, _ in looks]
        each = min(settings["prompts"], len(world.examples("train"))) * settings["samples"]
        places[slug] = [float(each * i) for i in range(len(looks))]
        shown = sorted({round(i) for i in np.linspace(0, len(looks) - 1, 5)})
        sheet |= {f"{slug}\n{places[slug][i]:.0f} samples": looks[i][1][: len(world.questions) * 2] for i in shown}
    series = {name: {slug: [row[name] for row in rows] for slug, rows in table.items()} for name in NAMES}
    drawn: dict[str, Callable[..., bytes]] = {"curves": partial(curves, series, across="samples", x=places)}
    if world.picture is not None:
        drawn["samples"] = partial(picture_sheet, sheet)
    save(drawn, given.out, f"{given.world}-{given.reward}-")
    print(f"| method | samples | {' | '.join(NAMES)} |\n|---|---|{'---|' * len(NAMES)}")
    for slug, rows in table.items():
        for place, row in zip(places[slug], rows, strict=True):
            print(f"| {slug} | {place:.0f} | {' | '.join(f'{row[name]:.3f}' for name in NAMES)} |")
    if given.json:
        given.json.write_text(json.dumps({"samples": places, "figures": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
