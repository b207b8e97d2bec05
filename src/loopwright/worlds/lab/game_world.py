"""Preference games as a world: a policy answers with an arm, and of two answers it is said which is preferred.

Nothing here is right or wrong and no score agrees with the preferences, which go in circles. What a candidate is worth is
how much it could be exploited, which is known exactly: see ``GameWorld.figure``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from loopwright.core.context import Context
from loopwright.core.errors import InputError, UnknownName
from loopwright.core.feedback import CODE, Feedback, Missing, Preference, Score
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Candidate, Example, Rollout, digest
from loopwright.core.world import Critic, Split, Tool
from loopwright.worlds.lab.games import Array, Game, bradley_terry, duality_gap, hidden_cycle, random_game
from loopwright.worlds.lab.player import ARMS, CONTEXTS, NAMES, question, token_of

GAMES: Mapping[str, Callable[[int, int], Game]] = {
    "hidden-cycle": hidden_cycle,
    "random": random_game,
    "transitive": lambda n, seed: bradley_terry(np.random.default_rng([n, seed]).standard_normal(n)),
}


@dataclass(frozen=True)
class GameWorld:
    """A World of several games, one a context; the same ones in every split, as there is nothing to learn by heart.

    games: by context; all have as many arms as the player. plays: how often a context is among the train examples.
    say: "draw" prefers at random as the game says, "majority" the one that is preferred more often.
    beta: the figure is of the game regularised by beta KL to the start; 0: of the game itself.
    """

    games: Sequence[Game]
    plays: int = 64
    say: Literal["draw", "majority"] = "draw"
    beta: float = 0.0
    name: str = "lab-game"
    prompt: Prompt = Prompt()
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=1)
    critics: Sequence[Critic] = ()
    tools: Mapping[str, Tool] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return digest([self.name, self.say, self.beta, self.plays, [m.tolist() for m in self.matrices]])

    @cached_property
    def matrices(self) -> list[Array]:
        """[contexts] of [n + 1, n + 1]: the last arm is to say something else, over which every arm is preferred."""
        found = []
        for game in self.games:
            whole = np.full((game.arms + 1, game.arms + 1), 0.5)
            whole[:-1, :-1] = game.matrix if self.say == "draw" else 0.5 + 0.5 * np.sign(game.matrix - 0.5)
            whole[:-1, -1], whole[-1, :-1] = 1.0, 0.0
            found.append(whole)
        return found

    def examples(self, split: Split) -> Sequence[Example]:
        times = self.plays if split == "train" else 1
        return [
            Example(id=f"{split}-{context}-{i}", input=question(context), meta={"context": context})
            for i in range(times)
            for context in range(len(self.games))
        ]

    def arm(self, rollout: Rollout) -> int:
        """What was played; the number of arms where it was none of them."""
        said, arms = rollout.output.strip(), self.games[0].arms
        return NAMES.index(said) if len(said) == 1 and said in NAMES[:arms] else arms

    def _matrix(self, rollout: Rollout) -> Array:
        asked = rollout.example.question
        contexts = {question(c): c for c in range(len(self.games))}
        if asked not in contexts:
            raise UnknownName(f"context of {self.name}", asked, contexts)
        return self.matrices[contexts[asked]]

    async def checker(self, rollout: Rollout, ctx: Context) -> Feedback:
        """How often the arm is preferred over one drawn evenly: the best score there is, and its best arm is not Nash's."""
        return Score(value=float(self._matrix(rollout)[self.arm(rollout), :-1].mean()), by=CODE)

    async def compare(self, first: Rollout, second: Rollout, ctx: Context) -> Preference | Missing:
        """Who is preferred; the same arm twice is a tie."""
        one, two = self.arm(first), self.arm(second)
        ahead = ctx.rng.random() < self._matrix(first)[one, two]
        chosen, rejected = (first, second) if ahead else (second, first)
        return Preference(
            chosen=chosen.id, rejected=rejected.id, tie=one == two, shown=(first.id, second.id), by=CODE
        )

    async def policy(self, candidate: Candidate, ctx: Context) -> Array:
        """[contexts, n + 1] The exact probability of every arm, and of anything else, for the tiny player."""
        arms = self.games[0].arms
        asked = await ctx.rollout(candidate, self.examples("test"), judge=False, temperature=1.0, max_tokens=1)
        played = [_said(rollout, token_of(arm)) for rollout in asked for arm in range(arms)]
        read = await ctx.forward(candidate, played, "logprobs")
        p = np.exp(np.array([tokens[0] for tokens in read], dtype=float).reshape(len(asked), arms))
        whole = np.hstack([p, np.maximum(1 - p.sum(axis=1, keepdims=True), 0.0)])
        return np.asarray(whole / whole.sum(axis=1, keepdims=True))

    async def figure(self, candidate: Candidate, ctx: Context) -> float:
        """The duality gap of the candidate against itself, mean over contexts: 0 for Nash alone, at most 1."""
        policy = await self.policy(candidate, ctx)
        start = await self.policy(Candidate(parts={"prompt": self.prompt.model_dump(mode="json")}), ctx)
        how = [{"reference": mu, "beta": self.beta} if self.beta else {} for mu in start]
        rows = zip(self.matrices, policy, how, strict=True)
        return float(np.mean([duality_gap(m, q, q, **options) for m, q, options in rows]))


def _said(rollout: Rollout, token: int) -> Rollout:
    *before, turn = rollout.turns
    return rollout.model_copy(update={"turns": (*before, turn.model_copy(update={"token_ids": (token,), "logprobs": ()}))})


def lab_game(
    game: str = "hidden-cycle",
    *,
    contexts: int = 4,
    plays: int = 64,
    say: Literal["draw", "majority"] = "draw",
    beta: float = 0.0,
    seed: int = 0,
) -> GameWorld:
    """Games of eight arms drawn from a seed: a three-cycle hidden among worse arms, random preferences, or transitive ones.

    See ``GameWorld`` for the rest. Raises UnknownName for another game, InputError for more contexts than the player knows.
    """
    if game not in GAMES:
        raise UnknownName("game", game, GAMES)
    if not 1 <= contexts <= CONTEXTS or say not in ("draw", "majority"):
        raise InputError(f"expected 1 to {CONTEXTS} contexts and say draw or majority, got {contexts} and {say!r}")
    return GameWorld([GAMES[game](ARMS, seed * CONTEXTS + c) for c in range(contexts)], plays, say, beta)
