"""What a recipe is given in place of the context: its methods, and no attribute that leads behind them."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from core_kit import BASE, ToyWorld
from test_context import context

from loopwright.core import facade
from loopwright.core.context import Context
from loopwright.core.errors import HiddenFromRecipes, InputError, LoopwrightError
from loopwright.core.registry import get_recipe, improver
from loopwright.core.types import Example


@improver(improves="prompt", needs=("model", "critic", "tools"), learns_from=("score",), baseline=True)
async def probing(base, ctx, *, do: str = "nothing"):
    """Does one thing with its context, and yields what came of it as a note."""
    ATTEMPTS[do](ctx)
    yield base


ATTEMPTS: dict[str, Any] = {
    "engine": lambda ctx: ctx.engine,
    "private world": lambda ctx: ctx._world,
    "private of the view": lambda ctx: ctx.world._world,
    "world without a recipe": lambda ctx: ctx.at("y", recipe=None).world.examples("test"),
    "another split": lambda ctx: ctx.at("y", split="gate"),
    "another world": lambda ctx: ctx.at("y", world=None),
    "critics of its own": lambda ctx: ctx.at("y", critics=()),
    "test examples": lambda ctx: ctx.world.examples("test"),
    "gate examples": lambda ctx: ctx.world.examples("gate"),
    "the checker": lambda ctx: ctx.world.checker,
    "the class's context": lambda ctx: ctx.answer.__self__.engine,
    "dictionary": lambda ctx: vars(ctx)["engine"],
    "making it another's": lambda ctx: setattr(ctx, "recipe", None),
    "for another recipe": lambda ctx: ctx.for_recipe(None),
    "a critic's own world": lambda ctx: ctx.world.critics[0].__self__.examples("test"),
    "a tool's own world": lambda ctx: ctx.world.tools["look"].__self__.examples("test"),
}


class WithMethods(ToyWorld):
    """A world whose critic and tool are its own methods, as many a world has them."""

    def __init__(self) -> None:
        super().__init__()
        self.critics, self.tools = (self.says,), {"look": self.look}

    async def says(self, rollout: Any, ctx: Any) -> Any:
        return await self.checker(rollout, ctx)

    async def look(self, text: str, ctx: Context) -> str:
        return f"{text} seen by {type(ctx).__name__}"


async def first(made: Any) -> Any:
    return await anext(made)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_no_attribute_leads_behind_the_context(name: str) -> None:
    ctx = context(world=WithMethods(), recipe=probing)
    with pytest.raises((LoopwrightError, AttributeError, TypeError)):
        asyncio.run(first(probing(BASE, ctx, do=name)))


def test_what_is_refused_is_named_with_what_there_is() -> None:
    given: Any = context(recipe=probing).for_recipe(probing)
    assert not hasattr(given, "engine") and not hasattr(given.world, "checker")
    with pytest.raises(HiddenFromRecipes, match=r"probing used ctx\.engine, .*rollout"):
        _ = given.engine
    assert sorted(n for n in dir(given) if not n.startswith("_")) == facade._OFFERED


def test_it_offers_every_public_method_that_recipes_use() -> None:
    kept = {"at", "map", "batches", "overlapping", "world"}
    inner = {"engine", "for_recipe", "tell_raised", "tell_unusual", "compare", "tried"}
    public = {n for n in dir(Context) if not n.startswith("_") and n != "rng"} - inner
    assert public <= {*facade.READ, *facade.CALL, *facade.AWAIT, *kept}, public
    for name in facade.AWAIT:
        assert inspect.iscoroutinefunction(getattr(Context, name)), name


def test_a_critic_or_tool_that_a_recipe_calls_itself_gets_the_context_itself() -> None:
    given: Any = context(world=WithMethods(), recipe=probing).for_recipe(probing)
    assert asyncio.run(given.world.tools["look"]("it", given)) == "it seen by Context"
    example = Example(id="a", input="q", target="qq")

    async def judged() -> Any:
        rollout = (await given.rollout(BASE, [example], judge=False))[0]
        return await given.world.critics[0](rollout, given)

    assert asyncio.run(judged()).kind == "score"


def test_branches_and_batches_are_facades_too_and_end_as_those_of_the_context() -> None:
    given: Any = context(recipe=probing).for_recipe(probing)

    async def walk() -> list[Any]:
        seen = [given.at("below"), *(await given.map(kept, [1, 2]))]
        before = given.scope
        rounds = given.batches(2, rounds=2)
        async for batch in rounds:
            assert len(batch) == 2 and given.scope == f"{before}/round1" and given.round == 1
            break
        await rounds.aclose()
        assert given.scope == before
        return seen

    async def kept(item: int, ctx: Any) -> Any:
        return ctx

    for one in asyncio.run(walk()):
        assert type(one) is type(given) and not hasattr(one, "engine")


def test_our_own_recipes_are_given_it() -> None:
    seen: list[Any] = []

    @improver(improves="prompt", needs=("model",), learns_from=("score",), baseline=True)
    async def keeps(base, ctx):
        """Keeps what it is given."""
        seen.append(ctx)
        yield base

    asyncio.run(first(keeps(BASE, context(recipe=keeps))))
    assert type(seen[0]) is facade.RecipeContext and get_recipe("best-of-n").card.shape == "solver"


@pytest.mark.fault(56)
@pytest.mark.parametrize("type", ["final", "baseline", "look", "method", "warning", "end", ""])
def test_a_recipe_cannot_tell_the_report_what_only_the_run_may(type: str) -> None:
    async def tells() -> None:
        await context(recipe=probing).note(type, "test", score=1.0)

    with pytest.raises(InputError, match="the run's own to tell"):
        asyncio.run(tells())
