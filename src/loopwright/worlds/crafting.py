"""Tasks of crafting, and somebody who learns them: what is trained next is a learner's to say.

After the Crafter tasks of Zhang et al., "OMNI", arXiv:2306.01711: few are worth learning, most are more of the same,
and some cannot be done.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import JsonValue

from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Score
from loopwright.core.types import Trial
from loopwright.worlds.bandit import stream

# What must be there before a thing can be had by its own action. Nothing is used up.
NEEDS: dict[str, tuple[str, ...]] = {
    "wood": (), "table": ("wood",), "wooden pickaxe": ("wood", "table"), "stone": ("wooden pickaxe",),
    "coal": ("wooden pickaxe",), "stone pickaxe": ("table", "stone"), "furnace": ("table", "stone"),
    "iron": ("stone pickaxe",), "iron pickaxe": ("furnace", "iron", "coal"), "diamond": ("iron pickaxe",),
    "iron sword": ("furnace", "iron"), "crown": ("diamond", "iron sword"),
}  # fmt: skip
_TRAINING, _MEASURING = 0, 1


class _Actor:
    """A softmax policy, linear in what is at hand, with a table for each task and one for all."""

    def __init__(self, tasks: int, things: int) -> None:
        self.own = np.zeros((tasks, things + 1, things))
        self.common = np.zeros((things + 1, things))


class _Played(NamedTuple):
    won: np.ndarray  # [episodes]
    seen: np.ndarray  # [steps, episodes, things + 1]
    push: np.ndarray  # [steps, episodes, things] what was done less how likely it was; 0 after the end


class Crafting:
    """``things`` things to have, at first by luck; a task is to have one, ``repeats`` times in all, within ``limit`` actions.

    At each step one task, the proposal, is played ``episodes`` times and learned by policy gradient (REINFORCE, steps of
    ``rate``, of which ``common`` goes to what all tasks share); the Score is the share of successes. There are as many tasks as
    things to have one of; to have two, three and so on of each; and ``impossible`` ones.

    ``spec["boring"]`` is the judge of interestingness, and is scripted, not asked of a model: for the place of each task those
    that bore whoever does it well, which are the other numbers of the same thing. It knows nothing of what is impossible.

    score: every ``every`` steps, the mean chance of success at the tasks of having one, by ``measured`` episodes each. regret: 1
    less the last such score, or before the first what luck has. What is learned depends on all tasks before.
    """

    name = "crafting"
    remembers = True

    def __init__(
        self,
        things: int = 12,
        repeats: int = 8,
        impossible: int = 24,
        limit: int = 20,
        episodes: int = 16,
        rate: float = 0.5,
        common: float = 0.2,
        every: int = 50,
        measured: int = 32,
    ) -> None:
        if not 1 <= things <= len(NEEDS):
            raise InputError(f"things: expected a number from 1 to {len(NEEDS)}, got {things}")
        for name, number, least in (
            ("repeats", repeats, 1), ("impossible", impossible, 0), ("limit", limit, 1), ("episodes", episodes, 1),
            ("every", every, 1), ("measured", measured, 1),
        ):  # fmt: skip
            if number < least:
                raise InputError(f"{name}: expected a whole number of at least {least}, got {number}")
        names = list(NEEDS)[:things]
        self.needs = np.array([[other in NEEDS[name] for other in names] for name in names])
        self.goals = [(thing, n) for n in range(1, repeats + 1) for thing in range(things)] + [(-1, 1)] * impossible
        self.things, self.limit, self.episodes, self.every, self.measured = things, limit, episodes, every, measured
        self.rate, self.common = rate, common
        tasks: list[JsonValue] = [
            f"have {n} {names[thing]}" if thing >= 0 else f"have a dragon's egg, {i}" for i, (thing, n) in enumerate(self.goals)
        ]
        boring: dict[str, JsonValue] = {
            str(i): [j for j, other in enumerate(self.goals) if other[0] == thing and j != i]
            for i, (thing, _) in enumerate(self.goals) if thing >= 0
        }  # fmt: skip
        self.spec: Mapping[str, JsonValue] = {"arms": len(self.goals), "tasks": tasks, "boring": boring}
        self._untaught: dict[int, float] = {}
        self._runs: dict[int, tuple[_Actor, list[int], list[float], dict[int, float]]] = {}

    def context(self, seed: int, t: int) -> None:
        return None

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        task = trial.proposal
        if not isinstance(task, int) or not 0 <= task < len(self.goals):
            raise InputError(f"expected the place of a task, from 0 to {len(self.goals) - 1}, got {task!r}")
        actor, done, won, scores = self._at(seed, t)
        played = self._play(actor, np.full(self.episodes, task), stream(seed, _TRAINING, t))
        won.append(float(played.won.mean()))
        done.append(task)
        step = np.einsum("tei,tea,e->ia", played.seen, played.push, played.won - won[-1]) * self.rate / self.episodes
        actor.own[task] += step
        actor.common += self.common * step
        if len(done) % self.every == 0:
            scores[t] = self._measure(actor, seed, t)
        return Score(value=won[-1])

    def _at(self, seed: int, t: int) -> tuple[_Actor, list[int], list[float], dict[int, float]]:
        """As it stands before step t; where that is in the past, it is learned again up to there."""
        run = self._runs.get(seed)
        if run is None or len(run[1]) != t:
            done = run[1][:t] if run else []
            if len(done) < t:
                raise InputError(f"step {t} was asked for after {len(done)}: what is learned depends on all steps before")
            run = self._runs[seed] = (_Actor(len(self.goals), self.things), [], [], {})
            for earlier, task in enumerate(done):
                self.respond(seed, earlier, Trial(id="", proposal=task))
        return run

    def _play(self, actor: _Actor, tasks: np.ndarray, rng: np.random.Generator) -> _Played:
        goals = np.array(self.goals)[tasks]
        table = actor.own[tasks] + actor.common  # [episodes, things + 1, things]
        had = np.zeros((len(tasks), self.things))
        won = np.zeros(len(tasks), dtype=bool)
        seen, push = [], []
        for _ in range(self.limit):
            x = np.concatenate([had > 0, np.ones((len(tasks), 1))], axis=1)
            logits = np.matmul(x[:, None, :], table)[:, 0]
            chances = np.exp(logits - logits.max(axis=1, keepdims=True))
            chances /= chances.sum(axis=1, keepdims=True)
            did = (chances.cumsum(axis=1) < rng.random((len(tasks), 1))).sum(axis=1).clip(max=self.things - 1)
            one = np.eye(self.things)[did]
            seen.append(x)
            push.append((one - chances) * ~won[:, None])
            able = ~(self.needs[did] & (had == 0)).any(axis=1)
            had += one * able[:, None]
            won |= (goals[:, 0] >= 0) & (had[np.arange(len(tasks)), goals[:, 0]] >= goals[:, 1])
            if won.all():
                break
        return _Played(won.astype(float), np.array(seen), np.array(push))

    def _measure(self, actor: _Actor, seed: int, t: int) -> float:
        tasks = np.repeat(np.arange(self.things), self.measured)
        return float(self._play(actor, tasks, stream(seed, _MEASURING, t)).won.mean())

    def score(self, seed: int, t: int, trial: Trial) -> float | None:
        return self._runs[seed][3].get(t)

    def regret(self, seed: int, t: int, trial: Trial) -> float:
        scores = self._runs[seed][3] if seed in self._runs else {}
        last = max((at for at in scores if at <= t), default=None)
        return self.blind(seed, t) if last is None else 1.0 - scores[last]

    def blind(self, seed: int, t: int) -> float:
        """Of not having learned."""
        if seed not in self._untaught:
            self._untaught[seed] = 1.0 - self._measure(_Actor(len(self.goals), self.things), seed, 0)
        return self._untaught[seed]

    def gain(self, seed: int, trials: Sequence[Trial]) -> float:
        """By how much what was learned is better than what as many tasks drawn at random teach."""
        count = len(self._runs[seed][1])
        mine = self._measure(self._runs[seed][0], seed, count)
        other = copy.copy(self)
        other._runs = {}
        for t, task in enumerate(stream(seed, 2).integers(len(self.goals), size=count)):
            other.respond(seed, t, Trial(id="", proposal=int(task)))
        return mine - other._measure(other._runs[seed][0], seed, count)
