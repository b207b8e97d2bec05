"""Arms where every change of arm costs, and where others than the one that is played can be looked at."""

from __future__ import annotations

from typing import Any

from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Measures, Score
from loopwright.core.types import Trial
from loopwright.worlds.arms import Arms
from loopwright.worlds.bandit import stream

_LUCK = 2


class Switching(Arms):
    """Arms of ``arms`` that pay 1 or 0, each by luck of its own; playing another arm than the step before costs ``price``.

    A proposal is the number of an arm, which is answered by a Score, or {"play": arm, "look": [arms]}, which is answered by
    Measures: what each of these arms pays in this step, by its number as text. Looking costs nothing here; whoever looks
    counts. regret holds the price, so it depends on the step before.
    """

    name = "switching"
    remembers = True

    def __init__(self, arms: int = 5, low: float = 0.2, high: float = 0.8, change: int = 0, price: float = 1.0) -> None:
        if not price >= 0.0:
            raise InputError(f"price: expected what a change of arm costs, 0 or more in units of a reward, got {price!r}")
        super().__init__(arms, low, high, change)
        self.price = price
        self.spec = {**self.spec, "looks": True}
        self._played: dict[tuple[int, int], int] = {}

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        play, look = self._asked(trial)
        self._played[seed, t] = play
        paid = (stream(seed, _LUCK, t).random(self.arms) < self.means(seed, t)).astype(float)
        if not look:
            return Score(value=float(paid[play]))
        return Measures(values={str(arm): float(paid[arm]) for arm in sorted({play, *look})})

    def regret(self, seed: int, t: int, trial: Trial) -> float:
        """Expected reward of the best arm less that of the one played, and the price where it was not played the step before."""
        play, _ = self._asked(trial)
        means = self.means(seed, t)
        changed = self._played.get((seed, t - 1), play) != play
        return float(means.max() - means[play]) + self.price * changed

    def blind(self, seed: int, t: int) -> float:
        """Of choosing at random."""
        return super().blind(seed, t) + (self.price * (1 - 1 / self.arms) if t else 0.0)

    def _asked(self, trial: Trial) -> tuple[int, list[int]]:
        asked: Any = trial.proposal
        play: Any = asked.get("play") if isinstance(asked, dict) else asked
        look: Any = asked.get("look", []) if isinstance(asked, dict) else []
        known = range(self.arms)
        if play not in known or not isinstance(look, list) or any(arm not in known for arm in look):
            raise InputError(f'expected an arm from 0 to {self.arms - 1}, or {{"play": arm, "look": [arms]}}, got {asked!r}')
        return int(play), [int(arm) for arm in look]
