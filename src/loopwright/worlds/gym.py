"""Any Gymnasium environment with discrete actions, as a stream for learners: ``pip install 'loopwright[gym]'``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import JsonValue

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.feedback import Feedback, Score
from loopwright.core.lazy import lazy
from loopwright.core.types import Trial
from loopwright.worlds.plays import Episode, Moved, Plays

if TYPE_CHECKING:
    import gymnasium


def made(env: str, **options: Any) -> gymnasium.Env[Any, Any]:
    """The environment by its id. Raises UnknownName with the near ones, InputError for what cannot be a learner's world."""
    gym: Any = lazy("gymnasium")
    known = list(gym.registry)
    name = env.rpartition("/")[2] if env not in known else env
    if name not in known and ":" not in env:
        raise UnknownName("environment of Gymnasium", env, known)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is a newer version is for those who chose this one to know
            found: gymnasium.Env[Any, Any] = gym.make(env, **options)
    except Exception as error:  # making one runs somebody's code, which may fail in any way
        raise InputError(f"{env} could not be made: {error!r}") from error
    if not isinstance(found.action_space, gym.spaces.Discrete):
        kind = type(found.action_space).__name__
        raise InputError(f"{env} has actions of the kind {kind}; learners here choose one of several (Discrete)")
    _size(env, found.observation_space)
    return found


def _size(env: str, space: Any) -> int:
    """How many numbers an observation is."""
    gym: Any = lazy("gymnasium")
    try:
        size: int | None = gym.spaces.flatdim(space)
    except (NotImplementedError, ValueError) as error:
        raise InputError(f"{env} has observations without a fixed size: {error}") from error
    if not size:
        raise InputError(f"{env} has observations without numbers: {space}")
    return size


class Player:
    """One environment as ``worlds.plays`` plays it: what it says is checked, as it may be anybody's code."""

    def __init__(self, env: str, options: Mapping[str, Any]) -> None:
        self.name = env
        self.environment = made(env, **options)
        self.actions = int(self.environment.action_space.n)  # type: ignore[attr-defined]
        self.first = int(self.environment.action_space.start)  # type: ignore[attr-defined]
        self.size = _size(env, self.environment.observation_space)

    def reset(self, seed: int) -> list[float]:
        return self._flat(self._asked("reset", lambda: self.environment.reset(seed=seed)[0]))

    def step(self, action: int) -> Moved:
        said = self._asked("step", lambda: self.environment.step(self.first + action))
        if not isinstance(said, tuple) or len(said) != 5:
            raise InputError(f"{self.name}: a step returns (observation, reward, terminated, truncated, info), got {said!r}")
        observation, reward, terminated, truncated, _ = said
        number = isinstance(reward, int | float | np.number) and not isinstance(reward, bool)
        if not number or not math.isfinite(float(reward)):
            raise InputError(f"{self.name}: a reward is a finite number, got {reward!r}, a {type(reward).__name__}")
        return Moved(self._flat(observation), float(reward), "ended" if terminated else "truncated" if truncated else "")

    def _asked(self, what: str, call: Any) -> Any:
        try:
            return call()
        except Exception as error:  # the environment is somebody's code
            raise InputError(f"{self.name} failed in {what}: {error!r}") from error

    def _flat(self, observation: Any) -> list[float]:
        gym: Any = lazy("gymnasium")
        space = self.environment.observation_space
        try:
            flat = np.asarray(gym.spaces.flatten(space, observation), dtype=float).ravel()
        except Exception as error:  # what does not belong to the space fails in as many ways as there are spaces
            raise InputError(f"{self.name}: {observation!r} is no observation of {space}") from error
        if flat.shape != (self.size,) or not np.isfinite(flat).all():
            raise InputError(f"{self.name}: an observation is {self.size} finite numbers, got {observation!r}")
        return [float(x) for x in flat]


class Gym:
    """The environment's own reward is the feedback, a Score from ``low`` to ``high``; observations are flattened to
    numbers, those of a discrete space to one 1 among zeros. An episode that has not ended after ``limit`` steps is cut
    and the next begun; ``episodes`` tells how each ended. ``options`` are the environment's own.
    """

    name = "gym"
    remembers = True

    def __init__(
        self,
        env: str = "FrozenLake-v1",
        limit: int = 500,
        low: float = -1.0,
        high: float = 1.0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.env, self.low, self.high = env, low, high
        first = Player(env, options or {})
        self.actions = first.actions
        self.spec: Mapping[str, JsonValue] = {"arms": first.actions, "dimensions": first.size}
        self.plays = Plays(lambda: Player(env, options or {}), limit)

    def context(self, seed: int, t: int) -> dict[str, Any]:
        return self.plays.context(seed, t)

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        moved = self.plays.taken(seed, t, trial, self.actions).moved
        if not self.low <= moved.reward <= self.high:
            raise InputError(
                f"{self.env} gave a reward of {moved.reward:g}, outside {self.low:g} to {self.high:g}: give the world "
                "the low and high of its rewards"
            )
        said = {"": "", "cut": f"episode cut after {self.plays.limit} steps"}.get(moved.end, f"episode {moved.end}")
        return Score(value=moved.reward, low=self.low, high=self.high, message=said)

    def score(self, seed: int, t: int, trial: Trial) -> float:
        """The step's reward."""
        return self.plays.taken(seed, t, trial, self.actions).moved.reward

    def episodes(self, seed: int) -> list[Episode]:
        return self.plays.episodes(seed)
