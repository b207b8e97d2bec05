"""Where an effect happens: the names, random numbers and capabilities that all parts of a context share."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Any, Self, TypeVar, cast

from loopwright.core.engine import Engine
from loopwright.core.errors import BudgetExhausted, InputError, LoopwrightError, Paused
from loopwright.core.facade import RecipeContext, Visible
from loopwright.core.feedback import FREE, Cost
from loopwright.core.model import Sampling
from loopwright.core.registry import Recipe
from loopwright.core.seen import Judgement
from loopwright.core.types import Candidate, digest
from loopwright.core.world import Critic, Split, World

# Of many items so many are begun in one turn of the event loop: what the first ask for is under way while the last are begun.
_SLICE = 32

NOTES = ("version", "unused")  # what recipes may tell by a plain name

T = TypeVar("T")
R = TypeVar("R")


class NotAsked(LoopwrightError):
    """A critic wanted to ask a model or a person about an answer that was not given."""


class Meter:
    """What was spent in a scope and below it, as the replies say: a reply from the record costs what it cost then."""

    def __init__(self, above: Meter | None = None) -> None:
        self.spent = FREE
        self._above = above

    def add(self, cost: Cost) -> None:
        self.spent = self.spent + cost
        if self._above is not None:
            self._above.add(cost)


class Scope:
    """State of a context: engine, place, world, policy, recipe. ``core.context.Context`` is what recipes are given.

    only_code: neither a model nor a person may be asked here or below, as the answer that is judged was not given.
    """

    only_code = False

    def __init__(
        self,
        engine: Engine,
        scope: str,
        *,
        world: World,
        policy: Candidate,
        recipe: Recipe | None = None,
        split: Split = "train",
        critics: Sequence[Critic] | None = None,
        sampling: Sampling | None = None,
        scramble: Callable[[str, Judgement], Judgement] | None = None,
        meter: Meter | None = None,
        compared: bool = False,
    ) -> None:
        self.engine = engine
        self.scope = scope
        self._world = world
        self.policy = policy
        self.recipe = recipe
        self.split = split
        self.sampling = sampling or world.sampling
        self.round = 0
        self._critics = world.critics if critics is None else critics
        self._scramble = scramble
        self._meter = meter or Meter()
        self._branches = 0
        # What is said here is measured or compared, as all of the gate's and the final test's is: see core.origins.
        self._is_compared = compared or split != "train"

    @cached_property
    def rng(self) -> random.Random:
        """Random numbers of this scope alone; made when they are first asked for, as most scopes draw none."""
        return random.Random(digest([self.engine.seed, self.scope, "rng"]))

    @property
    def world(self) -> World:
        """The task; to a recipe, only what it may see of it."""
        if self.recipe is None:
            return self._world
        return cast(World, Visible(self._world, self.recipe))

    @property
    def asked(self) -> int:
        """How many effects this scope has asked for so far; with the scope, a name that a resumed run gives again."""
        return self.engine.past.asked(self.scope)

    def for_recipe(self, recipe: Recipe) -> Any:
        """What a recipe is given in place of this: the same methods, and no way to the engine or to held-out examples."""
        return RecipeContext(self, recipe)

    # ---- scopes ---------------------------------------------------------------------------------------------------

    def at(self, name: str, **changes: Any) -> Self:
        """The same context in a scope below this one; concurrent branches each need their own."""
        fields: dict[str, Any] = {
            "world": self._world, "policy": self.policy, "recipe": self.recipe, "split": self.split,
            "critics": self._critics, "sampling": self.sampling, "scramble": self._scramble, "meter": self._meter,
            "compared": self._is_compared,
        }  # fmt: skip
        child = type(self)(self.engine, f"{self.scope}/{name}", **(fields | changes))
        child.round = self.round
        if self.only_code:
            child.only_code = True
        return child

    async def map(self, function: Callable[[T, Self], Awaitable[R]], items: Sequence[T]) -> list[R]:
        """``function(item, ctx)`` for all items at once, each in a scope of its own; results in the items' order.

        If one fails, the others finish what they have begun before its error is raised, so that nothing paid is lost.
        """
        self._branches += 1
        branch = self._branches
        tasks: list[asyncio.Future[R]] = []
        try:
            for i, item in enumerate(items):
                if i and not i % _SLICE:
                    await asyncio.sleep(0)
                tasks.append(asyncio.ensure_future(function(item, self.at(f"{branch}.{i}"))))
            return all_or_raise(await asyncio.gather(*tasks, return_exceptions=True))
        except BaseException:
            for task in tasks:
                task.cancel()
            raise

    def ask_no_more(self) -> None:
        """Raises NotAsked where only code may say what an answer is worth."""
        if self.only_code:
            raise NotAsked("an answer that was not given is not shown to a model or a person")

    def need(self, capability: str) -> None:
        if self.recipe is not None and capability not in self.recipe.card.needs:
            raise LoopwrightError(
                f"{self.recipe.slug} used the capability {capability!r}, which its card does not declare; "
                f"it needs {self.recipe.card.needs}"
            )

    async def note(self, type: str, key: str, **facts: Any) -> None:
        """Tell the report, and whoever watches, of what is no effect: a version that an archive keeps, for one. Plain data.

        What the run itself tells (a look at the gate, the final figures) is not for recipes to tell.

        Args:
            type: "version", or a name of your own with a dot in it, such as "archive.cell".
            key: of this scope; it makes the same thing of what a resumed run tells again.
            facts: plain data.

        Raises:
            InputError: for another type.
        """
        if type not in NOTES and "." not in type:
            raise InputError(
                f"ctx.note takes {' or '.join(NOTES)}, or a name of your own with a dot in it such as my.kind; got {type!r}, "
                "which is the run's own to tell"
            )
        await self.engine.event(type, f"{self.scope}/{key}", by=self._by, round=self.round, **facts)

    async def unused(self, reason: str) -> None:
        """Count a proposal that was paid for and could not be used, such as a rewrite that cannot be read.

        The run tells how many there were and why, above all where it learned nothing.

        Args:
            reason: why, in a few words, the same for all of one kind.
        """
        reason = " ".join(reason.split())[:200]
        self.engine.unused[self.scope, reason] += 1
        await self.note("unused", f"{reason}/{self.engine.unused[self.scope, reason]}", reason=reason)

    @property
    def _solving(self) -> bool:
        return self.recipe is not None and self.recipe.card.shape in ("solver", "critic")

    @property
    def _by(self) -> str:
        return self.recipe.slug if self.recipe is not None else ""

    def _next(self) -> int:
        self._branches += 1
        return self._branches


def all_or_raise(results: Sequence[R | BaseException]) -> list[R]:
    """The results, or the first error; one that only tells that the run is ending comes after the reason why it does."""
    failed = [result for result in results if isinstance(result, BaseException)]
    if failed:
        raise next((e for e in failed if not isinstance(e, Paused | BudgetExhausted)), failed[0])
    return [result for result in results if not isinstance(result, BaseException)]
