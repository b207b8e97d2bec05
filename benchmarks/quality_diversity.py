"""Evaluations per second and QD score of MAP-Elites and CMA-ME beside pyribs': python benchmarks/quality_diversity.py [--json]

The sphere in 20 dimensions on 100 x 100 cells, as in pyribs' own example: MAP-Elites makes 540 children at a time, CMA-ME has
15 emitters of 36, the deviation is 0.5; both sides begin alike, drawn evenly (CMA-ME: at 0). All make equally many evaluations,
and the sphere itself is timed along with all of them.
"batch" is a Session whose trials propose 540 solutions; "turns" (CMA-ME) asks one emitter at a time for 36; "single" is one
solution a trial, as where every evaluation is a simulation of its own, beside "pyribs single". "engine" is "batch" through the
engine with a SQLite store on: every solution, its answer and the archive are made durable every 100 trials, which pyribs does
not do. QD score is the objectives' mean over all cells. Without pyribs (pip install ribs) it is left out and named.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from _telling import tell
from loopwright.blocks import archive as archives
from loopwright.blocks.convert import convert
from loopwright.blocks.space import box, uniform
from loopwright.core import loop
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.learner import Session, drive
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget, Candidate
from loopwright.store import SqliteStore
from loopwright.worlds.landscapes import sphere
from loopwright.worlds.registry import known_world

DIMENSIONS, CELLS, DEVIATION = 20, 100, 0.5
EMITTERS, POPULATION = 15, 36
WHOLE = EMITTERS * POPULATION
WORLD = sphere(DIMENSIONS, cells=CELLS)
SHARE = DEVIATION / 20.48  # of the box's range
OPTIONS: dict[str, dict[str, Any]] = {
    "map-elites": {"cells": CELLS, "deviation": SHARE, "batch": WHOLE, "initial": 1},
    "cma-me": {
        "cells": CELLS, "deviation": SHARE, "batch": POPULATION, "population": POPULATION, "emitters": EMITTERS,
        "at_once": EMITTERS,
    },
}  # fmt: skip


def score(state: Any) -> float:
    return archives.figures(state.archive)["qd_score"]


def batch(slug: str, evaluations: int, seed: int, **changes: Any) -> tuple[float, int]:
    """The QD score, and how many evaluations were made."""
    options = {**OPTIONS[slug], **changes}
    session = Session(get_recipe(slug)(**options), WORLD.spec, seed=seed)
    steps = evaluations // per_trial(options)
    drive(session, WORLD, steps)
    return score(session.state), steps * per_trial(options)


def per_trial(options: dict[str, Any]) -> int:
    return int(options["batch"] * options.get("at_once", 1))


def turns(slug: str, evaluations: int, seed: int) -> tuple[float, int]:
    return batch(slug, evaluations, seed, at_once=1)


def single(slug: str, evaluations: int, seed: int) -> tuple[float, int]:
    changes = {name: 1 for name in ("batch", "at_once") if name in OPTIONS[slug]}
    return batch(slug, min(evaluations, 4 * WHOLE), seed, **changes)


def engine(slug: str, evaluations: int, seed: int) -> tuple[float, int]:
    options = OPTIONS[slug]
    steps = evaluations // per_trial(options)
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "loopwright.db")
        run = store.create_run({}, seed=seed, budget={}, code_version="")
        made = Engine(store=store, run=run, ledger=Ledger(Budget()), models={}, convert=convert)
        ctx = Context(made, "quality-diversity", world=known_world("sums").make(), policy=Candidate())
        learnt = loop.learn(get_recipe(slug), WORLD, ctx, steps=steps, options=options, block=100)
        session, _ = asyncio.run(learnt)
        store.close()
    return score(session.state), steps * per_trial(options)


def ribs(slug: str, evaluations: int, seed: int, each: int = WHOLE) -> tuple[float, int]:
    from ribs.archives import GridArchive
    from ribs.emitters import EvolutionStrategyEmitter, GaussianEmitter
    from ribs.schedulers import Scheduler

    ranges = list(WORLD.measures.values())
    archive = GridArchive(solution_dim=DIMENSIONS, dims=(CELLS, CELLS), ranges=ranges)
    start = np.zeros(DIMENSIONS)
    if slug == "map-elites":
        first = uniform(box(WORLD.spec), np.random.default_rng(seed), each)
        emitters = [GaussianEmitter(archive, sigma=DEVIATION, initial_solutions=first, batch_size=each, seed=seed)]
    else:
        emitters = [
            EvolutionStrategyEmitter(archive, x0=start, sigma0=DEVIATION, batch_size=POPULATION, seed=[seed, i])
            for i in range(EMITTERS)
        ]
    scheduler = Scheduler(archive, emitters)
    steps = evaluations // each
    for _ in range(steps):
        seen = WORLD.evaluate(seed, scheduler.ask())
        scheduler.tell(seen.objective, seen.measures)
    return float(archive.stats.qd_score / CELLS**2), steps * each


def ribs_single(slug: str, evaluations: int, seed: int) -> tuple[float, int]:
    return ribs(slug, min(evaluations, 4 * WHOLE), seed, each=1)


CONTESTANTS: dict[str, Callable[[str, int, int], tuple[float, int]]] = {
    "batch": batch, "turns": turns, "engine": engine, "single": single, "pyribs": ribs, "pyribs single": ribs_single,
}  # fmt: skip
ONLY = {"turns": "cma-me", "pyribs single": "map-elites"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--evaluations", type=int, default=100 * WHOLE, help=f"of each run, whole multiples of {WHOLE}")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    result: dict[str, Any] = {
        "benchmark": "quality-diversity", "cpus": os.cpu_count(), "evaluations": given.evaluations, "seeds": given.seeds,
    }  # fmt: skip
    contestants = dict(CONTESTANTS)
    if importlib.util.find_spec("ribs") is None:
        result["not installed"] = "ribs"
        del contestants["pyribs"], contestants["pyribs single"]
    for slug in OPTIONS:
        playing = {name: play for name, play in contestants.items() if ONLY.get(name, slug) == slug}
        speeds: dict[str, list[float]] = {name: [] for name in playing}
        scores: dict[str, list[float]] = {name: [] for name in playing}
        for play in playing.values():  # what is compiled or loaded on first use is not timed
            play(slug, 2 * WHOLE, 0)
        for seed in range(given.seeds):  # side by side, so that a busy machine is busy for all
            for name, play in playing.items():
                began = time.perf_counter()
                found, made = play(slug, given.evaluations, seed)
                speeds[name].append(made / (time.perf_counter() - began))
                scores[name].append(found)
        rows = {
            name: {"per_second": round(statistics.median(speeds[name])), "qd_score": round(statistics.fmean(scores[name]), 2)}
            for name in playing
        }
        for name, row in rows.items():
            peer = "pyribs single" if name == "single" else "pyribs"
            if not name.startswith("pyribs") and peer in rows:
                row["times_pyribs"] = round(statistics.median(speeds[name]) / statistics.median(speeds[peer]), 2)
                row["qd_score_of_pyribs"] = round(statistics.fmean(scores[name]) / statistics.fmean(scores[peer]), 3)
        result[slug] = rows
    tell(result, given.json)


if __name__ == "__main__":
    main()
