"""How a simulated person makes up their mind: noise, biases, attention and lapses around a hidden taste."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from loopwright.blocks.convert import text_id
from loopwright.core.errors import InputError
from loopwright.core.feedback import (
    FREE,
    Cost,
    Critique,
    Edit,
    Feedback,
    Missing,
    Preference,
    Ranking,
    Rater,
    Score,
    Verdict,
)
from loopwright.core.types import Rollout, digest
from loopwright.worlds.lab.games import Array, sigmoid
from loopwright.worlds.lab.tastes import Item, Taste

Shown = Rollout | Item


@dataclass(frozen=True, slots=True)
class Look:
    """Something that is shown: what of it can matter for the answer, and its id, which cannot."""

    id: str
    item: Item
    example: str = ""
    question: str = ""

    @staticmethod
    def at(shown: Shown) -> Look:
        if isinstance(shown, Rollout):
            return Look(shown.id, shown.output, shown.example.id, shown.example.question)
        if isinstance(shown, str):
            return Look(text_id(shown), shown)
        numbers = [float(v) for v in shown]
        if not all(map(math.isfinite, numbers)):
            raise InputError(f"a vector holds finite numbers, got {numbers}")
        return Look(digest(["vector", numbers])[:16], numbers)


@dataclass(frozen=True, eq=False)
class Mind:
    """The traits of one person.

    temperature: of Bradley and Terry's noise; log-odds are divided by it. 0 is no noise, where biases only break ties.
    position_bias: log-odds for what is shown first; of n shown it falls to 0 at the last, evenly.
    length_bias: log-odds for a text e times as long as another, in characters; single texts are held against ``usual``.
    attention: how much of each text is seen, in ``attention_unit``; None is all. Vectors are seen whole.
    lapse: probability of an answer at random. threshold: utility from which thumbs go up; None: the middle of the range.
    scale: first and last step of ratings. cost: of each answer.
    """

    taste: Taste
    seed: int = 0
    name: str = "person"
    temperature: float = 1.0
    position_bias: float = 0.0
    length_bias: float = 0.0
    usual: int = 100
    attention: int | None = None
    attention_unit: Literal["characters", "words"] = "characters"
    lapse: float = 0.0
    threshold: float | None = None
    scale: tuple[int, int] = (1, 5)
    cost: Cost = FREE
    by: Rater = field(init=False)

    def __post_init__(self) -> None:
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise InputError(f"temperature must be at least 0, got {self.temperature:g}")
        if not 0 <= self.lapse <= 1 or self.usual < 1 or not self.scale[0] < self.scale[1]:
            raise InputError(f"lapse must be in [0, 1], usual positive, scale rising: {self.lapse}, {self.usual}, {self.scale}")
        if self.attention is not None and self.attention < 1:
            raise InputError(f"attention must be at least 1, or None for all, got {self.attention}")
        traits = [self.seed, self.temperature, self.position_bias, self.length_bias, self.usual, self.attention,
                  self.attention_unit, self.lapse, self.threshold, list(self.scale), self.taste.fingerprint]  # fmt: skip
        by = Rater(kind="human", name=f"simulated {self.name}", version=digest(traits)[:12])
        object.__setattr__(self, "by", by)

    def answer(self, kind: str, asked: Any, seen: Sequence[Look]) -> Feedback:
        """What this person says when asked for feedback of a kind; ``asked`` decides their luck.

        Raises InputError where a comparison is not of two or more different things.
        """
        rng = np.random.default_rng(int(digest([self.seed, asked])[:32], 16))
        try:
            for look in seen:
                self._features(look)
        except InputError as error:
            return Missing(expected=kind, message=str(error), **self._said(seen))
        if kind in ("preference", "ranking") and len({look.id for look in seen}) != max(len(seen), 2):
            raise InputError(f"a {kind} is between different things, got {[look.id for look in seen]}")
        shown = (tuple(seen),) if kind == "ranking" else seen
        said: Feedback = getattr(self, f"_{kind}")(*shown, rng)
        return said

    def _split(self, text: str) -> tuple[str, str]:
        """What is seen of a text, and the rest."""
        end = len(text) if self.attention is None else self.attention
        if self.attention is not None and self.attention_unit == "words":
            ends = [m.end() for m in itertools.islice(re.finditer(r"\S+", text), self.attention)]
            end = ends[-1] if ends else 0
        return text[:end], text[end:]

    def _features(self, look: Look) -> Array:
        item = look.item
        return self.taste.read(self._split(item)[0] if isinstance(item, str) and self.taste.of_texts else item)

    def _bias(self, look: Look) -> float:
        """For the length; it shows at a glance, so attention does not limit it."""
        long = isinstance(look.item, str) and self.taste.of_texts
        return self.length_bias * math.log((1 + len(look.item)) / (1 + self.usual)) if long else 0.0

    def _odds(self, first: Look, second: Look, bias: float) -> float:
        bias += self._bias(first) - self._bias(second)
        return self._over(self.taste.log_odds(self._features(first), self._features(second)), bias)

    def _over(self, value: float, bias: float) -> float:
        """Log-odds of a difference in utility; without noise only an exact tie leaves anything to the bias."""
        if self.temperature:
            return value / self.temperature + bias
        return math.copysign(math.inf, value) if abs(value) > 1e-12 else bias

    def _utility(self, look: Look) -> float:
        return float(self.taste.worth() @ self._features(look))

    def _range(self) -> tuple[float, float]:
        w, (low, high) = self.taste.worth(), self.taste.bounds
        return float(np.minimum(w * low, w * high).sum()), float(np.maximum(w * low, w * high).sum())

    def share_of_range(self, utility: float) -> float:
        """A utility as a share of the way from the worst item that can be to the best."""
        low, high = self._range()
        # A taste in perfect circles rates all alike; rounding must not be stretched to a scale.
        return min(max((utility - low) / (high - low), 0.0), 1.0) if high - low > 1e-9 else 0.5

    def chance(self, first: Look, second: Look) -> float:
        """Probability that ``first``, shown first, is said to be better."""
        return self.lapse / 2 + (1 - self.lapse) * float(sigmoid(self._odds(first, second, self.position_bias)))

    def _lapses(self, rng: np.random.Generator) -> bool:
        return bool(rng.uniform() < self.lapse)

    def _said(self, seen: Sequence[Look]) -> dict[str, Any]:
        """Who says it, about what: the one thing that is judged, or the example whose answers are compared."""
        about = {look.id if len(seen) == 1 else look.example for look in seen}
        return {"by": self.by, "cost": self.cost, "about": about.pop() if len(about) == 1 else ""}

    def _verdict(self, look: Look, rng: np.random.Generator) -> Verdict:
        threshold = sum(self._range()) / 2 if self.threshold is None else self.threshold
        odds = 0.0 if self._lapses(rng) else self._over(self._utility(look) - threshold, self._bias(look))
        return Verdict(passed=bool(rng.uniform() < sigmoid(odds)), **self._said((look,)))

    def _score(self, look: Look, rng: np.random.Generator) -> Score:
        first, last = self.scale
        if self._lapses(rng):
            step = int(rng.integers(first, last + 1))
        else:
            noisy = self._utility(look) + self.temperature * (rng.logistic() + self._bias(look))
            step = first + round(self.share_of_range(noisy) * (last - first))
        return Score(value=step, low=first, high=last, **self._said((look,)))

    def _wishes(self, look: Look, rng: np.random.Generator) -> list[int]:
        """Features that could be better, the most lacking first; with noise by a softmax over the gaps."""
        gaps = self.taste.gaps(self._features(look))
        lacking = np.flatnonzero(gaps > 1e-9)
        keen = np.zeros(len(gaps)) if self._lapses(rng) else gaps
        noise = rng.gumbel(size=len(gaps)) * (self.temperature or float(not keen.any()))
        return sorted(map(int, lacking), key=lambda i: -(keen[i] + noise[i]))

    def _critique(self, look: Look, rng: np.random.Generator) -> Critique:
        wishes = self._wishes(look, rng)
        if not wishes:
            return Critique(comment="", **self._said((look,)))
        name = self.taste.features[wishes[0]].name
        more = self.taste.pull(self._features(look))[wishes[0]] > 0
        comment = f"It lacks {name}." if more else f"It has too much {name}."
        return Critique(comment=comment, direction=f"{'more' if more else 'less'} {name}", **self._said((look,)))

    def _edit(self, look: Look, rng: np.random.Generator) -> Edit | Missing:
        if not isinstance(look.item, str) or not any(f.more or f.less for f in self.taste.features):
            message = "no edit is defined for these features"
            return Missing(expected="edit", message=message, status="refused", **self._said((look,)))
        before, rest = self._split(look.item)
        x = self.taste.read(before)
        for i in self._wishes(look, rng):
            feature = self.taste.features[i]
            change = feature.more if self.taste.pull(x)[i] > 0 else feature.less
            after = change(before) if change is not None else before
            if self.taste.log_odds(self.taste.read(after), x) > 0:
                return Edit(before=look.item, after=after + rest, **self._said((look,)))
        return Edit(before=look.item, after=look.item, **self._said((look,)))

    def _preference(self, first: Look, second: Look, rng: np.random.Generator) -> Preference:
        odds = 0.0 if self._lapses(rng) else self._odds(first, second, self.position_bias)
        better, worse = (first, second) if rng.uniform() < sigmoid(odds) else (second, first)
        said = self._said((first, second))
        return Preference(chosen=better.id, rejected=worse.id, shown=(first.id, second.id), **said)

    def _ranking(self, seen: tuple[Look, ...], rng: np.random.Generator) -> Ranking:
        n = len(seen)
        if self._lapses(rng):
            groups: Any = [[i] for i in rng.permutation(n)]
        else:
            places = self.position_bias * np.linspace(1.0, 0.0, n)
            groups = self._in_one_look(seen, places, rng) if self.taste.transitive else self._by_duels(seen, places, rng)
        return Ranking(groups=tuple(tuple(seen[i].id for i in g) for g in groups), **self._said(seen))

    def _in_one_look(self, seen: tuple[Look, ...], places: Array, rng: np.random.Generator) -> list[list[int]]:
        worth, tastes = np.array([self._utility(s) for s in seen]), places + [self._bias(s) for s in seen]
        tastes = tastes + rng.gumbel(size=len(seen))
        if self.temperature:
            return [[int(i)] for i in np.argsort(-(worth / self.temperature + tastes))]
        return [[int(i)] for i in np.lexsort((-tastes, -worth.round(12)))]

    def _by_duels(self, seen: tuple[Look, ...], places: Array, rng: np.random.Generator) -> list[list[int]]:
        won = [0] * len(seen)
        for i, j in itertools.combinations(range(len(seen)), 2):
            odds = self._odds(seen[i], seen[j], float(places[i] - places[j]))
            won[i if rng.uniform() < sigmoid(odds) else j] += 1
        return [[i for i, w in enumerate(won) if w == wins] for wins in sorted(set(won), reverse=True)]
