"""Decisions per second and regret of LinUCB and LinTS beside MABWiser's and River's: python benchmarks/bandits.py [--json]

Ten arms, ten dimensions, contexts and parameters from the unit sphere, noise 0.2. All meet the same contexts, noise and
settings, and answer one decision at a time, as in a service: ask, then tell. "straight" is a Session; "engine" is the same
through the engine with a SQLite store on, a snapshot and the log made durable every 1000 decisions. What is not
installed (pip install mabwiser river) is left out and named.
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
from loopwright.blocks.convert import convert
from loopwright.core import loop
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.feedback import Feedback, Score
from loopwright.core.learner import Session
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget, Candidate, Trial
from loopwright.store import SqliteStore
from loopwright.worlds.bandit import LinearBandit
from loopwright.worlds.registry import known_world

ARMS = DIMENSIONS = 10
ALPHA, DEVIATION = 1.0, 0.25
OPTIONS: dict[str, dict[str, float]] = {"lin-ucb": {"alpha": ALPHA}, "lin-ts": {"deviation": DEVIATION}}


class Drawn:
    """The bandit world with everything drawn beforehand: its own random numbers are not what is timed."""

    name = "drawn"

    def __init__(self, seed: int, steps: int) -> None:
        world = LinearBandit(ARMS, DIMENSIONS)
        self.spec = world.spec
        self.steps = steps
        self.contexts = np.array([world.context(seed, t) for t in range(steps)])
        self.means = self.contexts @ world.theta(seed).T
        self.rewards = self.means + world.noise * np.random.default_rng([seed, 1]).standard_normal(self.means.shape)
        self.chosen = np.zeros(steps, dtype=int)

    def context(self, seed: int, t: int) -> Any:
        return self.contexts[t]

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        self.chosen[t] = trial.proposal
        return Score(value=float(self.rewards[t, self.chosen[t]]), low=-10.0, high=10.0, about=trial.id)

    def regret(self) -> float:
        return float((self.means.max(axis=1) - self.means[np.arange(self.steps), self.chosen]).sum())


def straight(slug: str, world: Drawn, seed: int) -> None:
    session = Session(get_recipe(slug)(**OPTIONS[slug]), world.spec, seed=seed)
    for t in range(world.steps):
        trial = session.ask(world.contexts[t])
        session.tell(world.respond(seed, t, trial))


def through_engine(slug: str, world: Drawn, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "loopwright.db")
        run = store.create_run({}, seed=seed, budget={}, code_version="")
        engine = Engine(store=store, run=run, ledger=Ledger(Budget()), models={}, convert=convert)
        ctx = Context(engine, "bandits", world=known_world("sums").make(), policy=Candidate())
        asyncio.run(loop.learn(get_recipe(slug), world, ctx, steps=world.steps, options=OPTIONS[slug]))
        store.close()


def mabwiser(slug: str, world: Drawn, seed: int) -> None:
    from mabwiser.mab import MAB, LearningPolicy

    policy = LearningPolicy.LinUCB(alpha=ALPHA) if slug == "lin-ucb" else LearningPolicy.LinTS(alpha=DEVIATION)
    model = MAB(list(range(ARMS)), policy, seed=seed)
    for t in range(world.steps):
        context = world.contexts[t : t + 1]
        # It must be fitted before it may be asked.
        arm = model.predict(context) if t else 0
        world.chosen[t] = arm
        learn = model.partial_fit if t else model.fit
        learn([arm], [float(world.rewards[t, arm])], context)


def river(slug: str, world: Drawn, seed: int) -> None:
    from river.bandit import LinUCBDisjoint

    model = LinUCBDisjoint(alpha=ALPHA, seed=seed)
    arms = list(range(ARMS))
    names = [str(i) for i in range(DIMENSIONS)]
    for t in range(world.steps):
        context = dict(zip(names, world.contexts[t].tolist(), strict=True))
        arm = model.pull(arms, context)
        world.chosen[t] = arm
        model.update(arm, context, float(world.rewards[t, arm]))


CONTESTANTS: dict[str, tuple[Callable[[str, Drawn, int], None], str, tuple[str, ...]]] = {
    "straight": (straight, "", ("lin-ucb", "lin-ts")),
    "engine": (through_engine, "", ("lin-ucb", "lin-ts")),
    "mabwiser": (mabwiser, "mabwiser", ("lin-ucb", "lin-ts")),
    "river": (river, "river", ("lin-ucb",)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    result: dict[str, Any] = {"benchmark": "bandits", "cpus": os.cpu_count(), "steps": given.steps, "seeds": given.seeds}
    for slug in OPTIONS:
        speeds: dict[str, list[float]] = {}
        regrets: dict[str, list[float]] = {}
        for seed in range(given.seeds):  # side by side, so that a busy machine is busy for all
            world = Drawn(seed, given.steps)
            for name, (play, needs, slugs) in CONTESTANTS.items():
                if slug not in slugs:
                    continue
                if needs and importlib.util.find_spec(needs) is None:
                    result.setdefault("not installed", []).append(needs)
                    continue
                began = time.perf_counter()
                play(slug, world, seed)
                speeds.setdefault(name, []).append(given.steps / (time.perf_counter() - began))
                regrets.setdefault(name, []).append(world.regret())
        rows = {
            name: {"per_second": round(statistics.median(speeds[name])), "regret": round(statistics.fmean(regrets[name]), 1)}
            for name in speeds
        }
        for name, row in rows.items():
            if name != "mabwiser" and "mabwiser" in rows:
                row["times_mabwiser"] = round(statistics.median(speeds[name]) / statistics.median(speeds["mabwiser"]), 1)
                row["regret_of_mabwiser"] = round(statistics.fmean(regrets[name]) / statistics.fmean(regrets["mabwiser"]), 3)
        result[slug] = rows
    tell(result, given.json)


if __name__ == "__main__":
    main()
