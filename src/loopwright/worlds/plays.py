"""Environments that are played step by step, as streams: what is shown depends on what was done, and can be gone back
to.

An environment has ``reset(seed) -> observation`` and ``step(action) -> Moved``. A play keeps what was done on a seed;
asked for an earlier step, it goes back there, begins that step's episode anew and does the same again. So the same
world serves several learners one after the other, and a run that was stopped is brought to its step by showing it what
was done.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

from loopwright.core.errors import InputError
from loopwright.core.types import Trial

End = Literal["", "ended", "truncated", "cut"]
_KEPT = 4  # seeds whose play is kept


class Moved(NamedTuple):
    observation: list[float]
    reward: float
    # Of the episode: by itself ("ended", Gymnasium's terminated), by the environment's own limit ("truncated"), or by ours
    # ("cut"); "" where it goes on. Only after the first of these is nothing more to be had.
    end: End


class Environment(Protocol):
    def reset(self, seed: int) -> list[float]: ...

    def step(self, action: int) -> Moved: ...


class Step(NamedTuple):
    """One step that was taken. ``number`` counts within the episode, from 0."""

    episode: int
    number: int
    observation: list[float]
    action: int
    moved: Moved


class Episode(NamedTuple):
    """``end`` is "cut" for an episode that the limit of steps ended, "" for the one that goes on."""

    steps: int
    reward: float
    end: End


class Play:
    """What was done on one seed."""

    def __init__(self, make: Callable[[], Environment], seed: int, limit: int) -> None:
        self.environment = make()
        self.seed = seed
        self.limit = limit
        self.steps: list[Step] = []
        self._begin(0)

    def _begin(self, episode: int) -> None:
        self.episode, self.number = episode, 0
        # Python's own hash of a tuple of numbers would do, but its form is nobody's promise.
        self.observation = self.environment.reset((self.seed * 1_000_003 + episode) % 2**31)

    def go(self, t: int) -> None:
        """Be where step t is about to be taken. Raises InputError for a step whose forerunners were not taken."""
        if t > len(self.steps):
            raise InputError(f"step {t} follows on {t - len(self.steps)} that were not taken here; show the stream those first")
        if t == len(self.steps):
            return
        again = self.steps[t - self.steps[t].number : t]
        del self.steps[t - len(again) :]
        self._begin(again[0].episode if again else self.steps[-1].episode + 1 if self.steps else 0)
        for step in again:
            self.take(step.action)

    def take(self, action: int) -> Step:
        moved = self.environment.step(action)
        if not moved.end and self.number + 1 >= self.limit:
            moved = moved._replace(end="cut")
        step = Step(self.episode, self.number, self.observation, action, moved)
        self.steps.append(step)
        if moved.end:
            self._begin(self.episode + 1)
        else:
            self.number, self.observation = self.number + 1, moved.observation
        return step


class Plays:
    """The plays of the latest seeds.

    limit: steps after which an episode that does not end is cut, and the next begun.
    """

    def __init__(self, make: Callable[[], Environment], limit: int) -> None:
        if limit < 1:
            raise InputError(f"limit is after how many steps an episode is cut, at least 1; got {limit}")
        self.make, self.limit = make, limit
        self._plays: OrderedDict[int, Play] = OrderedDict()

    def of(self, seed: int) -> Play:
        play = self._plays.pop(seed, None) or Play(self.make, seed, self.limit)
        self._plays[seed] = play
        while len(self._plays) > _KEPT:
            self._plays.popitem(last=False)
        return play

    def context(self, seed: int, t: int) -> dict[str, Any]:
        """What a learner sees of step t: the observation, and where it is in which episode.

        At the first step of an episode also how the one before ended, and where: see ``blocks.acting``.
        """
        play = self.of(seed)
        play.go(t)
        seen: dict[str, Any] = {"observation": list(play.observation), "episode": play.episode, "step": play.number}
        if t and play.number == 0:
            moved = play.steps[t - 1].moved
            seen["last"] = {"end": "terminated" if moved.end == "ended" else "truncated", "observation": list(moved.observation)}
        return seen

    def taken(self, seed: int, t: int, trial: Trial, actions: int) -> Step:
        """Step t, taken now unless it has been with the same action. Raises InputError for what is no action."""
        action = trial.proposal
        if isinstance(action, bool) or not isinstance(action, int) or not 0 <= action < actions:
            raise InputError(f"an action here is a whole number from 0 to {actions - 1}, got {action!r}")
        play = self.of(seed)
        if t < len(play.steps) and play.steps[t].action == action:
            return play.steps[t]
        play.go(t)
        return play.take(action)

    def episodes(self, seed: int) -> list[Episode]:
        """The episodes of a seed so far, with how each ended."""
        found: list[Episode] = []
        for step in self.of(seed).steps:
            if step.number == 0:
                found.append(Episode(0, 0.0, ""))
            last = found[-1]
            found[-1] = Episode(last.steps + 1, last.reward + step.moved.reward, step.moved.end)
        return found
