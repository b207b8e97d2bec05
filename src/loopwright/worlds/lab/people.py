"""Simulated people with known hidden preferences, who answer as people do: with noise, biases and lapses.

What a person answers depends on their seed and on what they were asked, that is the kind of question, the task's
question and the texts in the order shown, and on nothing else: not on how often or in which order they were asked, and not
on the ids of rollouts. One who is asked the same twice says the same; for another opinion ask another person.

For use in a world: ``critic`` and ``comparator`` give functions through which nobody can look into the person.
What is hidden (``reward``, ``probability``, ``unit``, ``gold``) is for evaluation, so that over-optimisation of a proxy can
be shown.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from loopwright.core.errors import InputError
from loopwright.core.feedback import Critique, Edit, Feedback, Missing, Preference, Ranking, Rater, Score, Verdict
from loopwright.core.types import Rollout, digest
from loopwright.core.world import Comparator, Critic
from loopwright.worlds.lab.games import Array
from loopwright.worlds.lab.minds import Look, Mind, Shown
from loopwright.worlds.lab.tastes import Item, probability

if TYPE_CHECKING:
    from loopwright.core.context import Context

Kind = Literal["verdict", "score", "critique", "edit"]


class People(ABC):
    """Those who can be asked about rollouts, texts or vectors.

    What failed, cannot be read, or they have no way to give is Missing. A text by itself goes by ``blocks.convert.text_id``.
    """

    @abstractmethod
    def who(self, asked: Any) -> Person:
        """Who answers this question."""

    @abstractmethod
    def reward(self, item: Item) -> float:
        """Hidden: mean reward of an item over the people. Raises InputError where preferences go in circles."""

    @abstractmethod
    def probability(self, first: Item, second: Item) -> float:
        """Hidden: the share of answers that prefer ``first``, with each person's temperature but without their biases."""

    @abstractmethod
    def unit(self, item: Item) -> float:
        """Hidden: the mean of what the item is worth to each, 0 for the worst possible and 1 for the best."""

    # ---- what can be asked ----------------------------------------------------------------------------------------

    def verdict(self, shown: Shown) -> Verdict | Missing:
        """Thumb up or down: up with log-odds (utility - threshold) / temperature."""
        return cast(Verdict | Missing, self._say("verdict", shown))

    def score(self, shown: Shown) -> Score | Missing:
        """A rating in whole steps of the person's scale; the noise is in the utility, so it can lift by more than a step."""
        return cast(Score | Missing, self._say("score", shown))

    def critique(self, shown: Shown) -> Critique | Missing:
        """Names the feature that is most lacking; no objection where nothing is."""
        return cast(Critique | Missing, self._say("critique", shown))

    def edit(self, shown: Shown) -> Edit | Missing:
        """The text with the most lacking feature that the person knows how to change put right, where they prefer that."""
        return cast(Edit | Missing, self._say("edit", shown))

    def preference(self, first: Shown, second: Shown) -> Preference | Missing:
        """Which of two is better; ``first`` is shown first. Raises InputError where both have one id."""
        return cast(Preference | Missing, self._say("preference", first, second))

    def ranking(self, shown: Sequence[Shown]) -> Ranking | Missing:
        """From best to worst, in one look (Plackett and Luce); by the number of duels won where preferences go in circles.

        Raises InputError for fewer than two, or where two have one id.
        """
        return cast(Ranking | Missing, self._say("ranking", *shown))

    def _say(self, kind: str, *shown: Shown) -> Feedback:
        seen = [Look.at(s) for s in shown]
        asked = [kind, [look.question for look in seen], [look.item for look in seen]]
        person = self.who(asked)
        for s in shown:
            if isinstance(s, Rollout) and (s.status != "ok" or s.unanswered):
                about = s.id if len(shown) == 1 else ""
                return Missing(expected=kind, message=s.error or "the answer failed", by=person.by, about=about)
        return person.answer(kind, asked, seen)

    # ---- for a world ----------------------------------------------------------------------------------------------

    def critic(self, *kinds: Kind) -> Critic:
        """A world's critic that gives feedback of these kinds, a score where none is named."""
        ways = tuple(getattr(self, kind) for kind in kinds or ("score",))

        async def ask(rollout: Rollout, ctx: Context) -> Feedback | tuple[Feedback, ...]:
            said = tuple(way(rollout) for way in ways)
            return said if len(said) > 1 else said[0]

        return ask

    def comparator(self) -> Comparator:
        """What a world has as ``compare``."""

        async def ask(first: Rollout, second: Rollout, ctx: Context) -> Preference | Missing:
            return self.preference(first, second)

        return ask

    def gold(self) -> Critic:
        """Hidden: a checker that scores by ``unit``, without noise or bias."""

        async def judge(rollout: Rollout, ctx: Context) -> Feedback:
            by = Rater(kind="code", name="gold")
            try:
                return Score(value=self.unit(rollout.output), by=by, about=rollout.id)
            except InputError as error:
                return Missing(expected="score", message=str(error), by=by, about=rollout.id)

        return judge


class Person(Mind, People):
    """One person; the arguments are the traits that ``Mind`` tells of."""

    def who(self, asked: Any) -> Person:
        return self

    def reward(self, item: Item) -> float:
        if not self.taste.transitive:
            raise InputError("preferences that go in circles have no reward; use probability, or unit for a rating")
        return float(self.taste.weights @ self.taste.read(item))

    def probability(self, first: Item, second: Item) -> float:
        return probability(self.taste, first, second, self.temperature)

    def unit(self, item: Item) -> float:
        return self.share_of_range(float(self.taste.worth() @ self.taste.read(item)))

    def answers(self, first: Item, second: Item) -> float:
        """Hidden: probability that this person, shown ``first`` first, says it is better; biases and lapses included."""
        return self.chance(Look.at(first), Look.at(second))


@dataclass(frozen=True, eq=False)
class Population(People):
    """People who disagree: a person for each group, with the groups' ``shares`` [g]; evenly where none are given.

    Who answers a question is drawn from the shares by the seed and the question.
    """

    groups: tuple[Person, ...]
    shares: tuple[float, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        g = len(self.groups)
        shares = self.shares or (1 / g,) * g if g else ()
        if not g or len(shares) != g or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
            raise InputError(f"a population needs groups and a share of each that sum to 1, got {g} groups and {self.shares}")
        object.__setattr__(self, "groups", tuple(self.groups))
        object.__setattr__(self, "shares", tuple(shares))

    def who(self, asked: Any) -> Person:
        drawn = int(digest(["who", self.seed, asked])[:13], 16) / 16**13
        upto = itertools.accumulate(self.shares)
        return next((p for p, until in zip(self.groups, upto, strict=True) if drawn < until), self.groups[-1])

    def rewards(self, item: Item) -> Array:
        """Hidden: [g] the reward of an item to each group."""
        return np.array([p.reward(item) for p in self.groups])

    def reward(self, item: Item) -> float:
        return float(np.dot(self.shares, self.rewards(item)))

    def probability(self, first: Item, second: Item) -> float:
        return float(np.dot(self.shares, [p.probability(first, second) for p in self.groups]))

    def unit(self, item: Item) -> float:
        return float(np.dot(self.shares, [p.unit(item) for p in self.groups]))
