"""A simulated person who watches somebody act, praises what is better than what they have seen, and blames what is worse."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import JsonValue

from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Rater, Score
from loopwright.core.types import Trial
from loopwright.worlds.bandit import stream
from loopwright.worlds.gym import Player
from loopwright.worlds.plays import Environment, Episode, Plays
from loopwright.worlds.tables import Table, Walk, best_values, grid, policy_values, table, visits

TRAINER = Rater(kind="human", name="simulated")


class _Watched:
    """How somebody has acted, as remembered: of each state, the latest actions count most."""

    def __init__(self, states: int, actions: int, memory: float) -> None:
        self.counts = np.full((states, actions), 1.0 / actions)  # before the first action, anything may be expected
        self.memory = memory
        self.steps = 0

    def note(self, state: int, action: int) -> None:
        self.counts[state] *= self.memory
        self.counts[state, action] += 1.0
        self.steps += 1

    def policy(self) -> np.ndarray:
        return np.asarray(self.counts / self.counts.sum(axis=1, keepdims=True))


class Trainer:
    """Feedback on every step: how much better the action is than what the person has seen done in that state, divided by
    ``scale`` and cut at -1 and 1. So praise dies away as an action becomes a habit, and begins anew if the habit is lost.

    How good an action is, the person knows exactly: with ``ahead`` "best", of the best play from there on; with "actor", of what
    the actor has been seen to do, which makes it the advantage of that policy, but then one who has never reached the goal is
    not praised for a step towards it.

    With probability ``noise`` a word is turned round; with ``silence`` nothing is said (0). A word comes ``delay``
    steps after what it is about. ``memory``: by how much each earlier action in a state counts less than the one after
    it. An episode is cut after ``limit`` steps. regret: what the action is worth less than the best in that state, of
    the best play from there on.
    """

    remembers = True

    def __init__(
        self,
        name: str,
        of: Table,
        make: Any,
        *,
        limit: int,
        noise: float,
        silence: float,
        delay: int,
        scale: float,
        memory: float,
        discount: float,
        ahead: Literal["best", "actor"],
    ) -> None:
        if not (0.0 <= noise <= 1.0 and 0.0 <= silence <= 1.0 and delay >= 0 and scale > 0 and 0.0 <= memory < 1.0):
            raise InputError(
                "noise, silence and memory are shares, delay is 0 or more steps, scale is above 0; got "
                f"noise={noise:g} silence={silence:g} memory={memory:g} delay={delay} scale={scale:g}"
            )
        self.name = name
        self.of, self.noise, self.silence, self.delay = of, noise, silence, delay
        self.scale, self.memory, self.discount = scale, memory, discount
        states, self.actions = of.rewards.shape
        self.spec: Mapping[str, JsonValue] = {"arms": self.actions, "dimensions": states}
        self.plays = Plays(make, limit)
        self._words: dict[int, list[float]] = {}
        self._watched: dict[int, _Watched] = {}
        self.ahead = ahead
        self.best = best_values(of, discount)  # [states, actions]
        self.short = self.best.max(axis=1, keepdims=True) - self.best

    def context(self, seed: int, t: int) -> dict[str, Any]:
        return self.plays.context(seed, t)

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        self.plays.taken(seed, t, trial, self.actions)
        words = self._heard(seed, t)
        rng = stream(seed, 0, t)
        luck, turned = rng.random(2)
        word = words[t - self.delay] if t >= self.delay else 0.0
        said = 0.0 if luck < self.silence else -word if turned < self.noise else word
        return Score(value=float(said), low=-1.0, high=1.0, by=TRAINER)

    def _heard(self, seed: int, t: int) -> list[float]:
        """What there is to say of every step up to t, each by what had been seen before it."""
        steps = self.plays.of(seed).steps
        words, watched = self._words.get(seed, []), self._watched.get(seed)
        if watched is None or watched.steps > t:
            watched, words = _Watched(len(self.of.rewards), self.actions, self.memory), words[:t]
            for step in steps[:t]:
                watched.note(int(np.argmax(step.observation)), step.action)
        while watched.steps <= t:
            step = steps[watched.steps]
            state = int(np.argmax(step.observation))
            if len(words) <= watched.steps:
                policy = watched.policy()
                values = (self.best if self.ahead == "best" else policy_values(self.of, policy, self.discount))[state]
                words.append(float(np.clip((values[step.action] - policy[state] @ values) / self.scale, -1.0, 1.0)))
            watched.note(state, step.action)
        self._words[seed], self._watched[seed] = words, watched
        return words

    def regret(self, seed: int, t: int, trial: Trial) -> float:
        steps = self.plays.of(seed).steps
        seen = steps[t].observation if t < len(steps) else self.plays.context(seed, t)["observation"]
        return float(self.short[int(np.argmax(seen)), int(trial.proposal)])  # type: ignore[arg-type]

    @cached_property
    def _blind(self) -> float:
        policy = np.full(self.of.rewards.shape, 1.0 / self.actions)
        return float(visits(self.of, policy) @ (policy * self.short).sum(axis=1))

    def blind(self, seed: int, t: int) -> float:
        """Of acting at random, in the long run."""
        return self._blind

    def episodes(self, seed: int) -> list[Episode]:
        return self.plays.episodes(seed)


def trained_grid(
    width: int = 8,
    height: int = 5,
    limit: int = 100,
    noise: float = 0.0,
    silence: float = 0.0,
    delay: int = 0,
    scale: float = 0.1,
    memory: float = 0.9,
    discount: float = 0.99,
    ahead: Literal["best", "actor"] = "best",
) -> Trainer:
    """A walk past a row of bad cells (``tables.grid``), watched by a trainer."""
    of = grid(width, height)
    return Trainer(
        "trained-grid", of, lambda: Walk(of), limit=limit, noise=noise, silence=silence, delay=delay, scale=scale,
        memory=memory, discount=discount, ahead=ahead,
    )  # fmt: skip


def trained_gym(
    env: str = "FrozenLake-v1",
    limit: int = 100,
    noise: float = 0.0,
    silence: float = 0.0,
    delay: int = 0,
    scale: float = 0.1,
    memory: float = 0.9,
    discount: float = 0.99,
    ahead: Literal["best", "actor"] = "best",
    options: Mapping[str, Any] | None = None,
) -> Trainer:
    """A Gymnasium environment that tells its chances (FrozenLake, CliffWalking, Taxi), watched by a trainer."""
    first = Player(env, options or {})
    outcomes: Any = getattr(first.environment.unwrapped, "P", None)
    start = getattr(first.environment.unwrapped, "initial_state_distrib", None)
    if not isinstance(outcomes, Mapping) or start is None or first.size != len(outcomes):
        raise InputError(
            f"{env} does not tell its chances, so nobody can say how good an action is; the world gym has its rewards"
        )

    def make() -> Environment:
        return Player(env, options or {})

    return Trainer(
        "trained-gym", table(outcomes, np.asarray(start)), make, limit=limit, noise=noise, silence=silence, delay=delay,
        scale=scale, memory=memory, discount=discount, ahead=ahead,
    )  # fmt: skip
