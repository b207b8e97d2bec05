"""What a recipe is given as ``ctx`` and ``ctx.world``: what a context offers it, and no attribute that leads behind it.

The context itself (with the engine, the store and the whole world) is kept by this module, by the object that stands for it;
it is no attribute of anything that a recipe holds. That keeps a recipe from held-out examples by its public attributes and
their attributes. It is no wall: a recipe is Python in this process, and ``gc``, frames or the files on disk are open to it.
``loopwright check`` looks for those.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from loopwright.core.errors import HiddenFromRecipes

if TYPE_CHECKING:
    from loopwright.core.registry import Recipe
    from loopwright.core.scope import Scope
    from loopwright.core.types import Example
    from loopwright.core.world import Split, World

# What a recipe may read of its context, call at once, and await.
READ = ("policy", "rng", "scope", "asked", "round", "recipe", "split", "sampling", "only_code")
CALL = ("need", "ask_no_more", "demonstration", "demonstrations", "under", "text_ends")
AWAIT = (
    "answer", "samples", "generate", "ask", "follow", "rollout", "evaluate", "worked", "run", "tool", "verify", "search",
    "external", "judge", "compare", "wins", "fit", "forward", "earlier", "more", "note",
    "unused",
)  # fmt: skip
_BRANCH = ("policy", "sampling")  # what ``ctx.at`` may change
# Where refusals are noted as well, so that a recipe that catches them is found out: a list that ``checks`` puts here.
REFUSALS: ContextVar[list[str] | None] = ContextVar("refusals", default=None)


def _refused(message: str) -> HiddenFromRecipes:
    noted = REFUSALS.get()
    if noted is not None:
        noted.append(message)
    return HiddenFromRecipes(message)


class _Behind(NamedTuple):
    """The context that an object stands for, and the recipe that was given it."""

    ctx: Any
    recipe: Recipe


class _Seen(NamedTuple):
    """The world behind what a recipe sees of it."""

    world: World
    recipe: Recipe


def _classes() -> tuple[type[Any], type[Any], Callable[[Any], Any]]:
    """The classes, with what they stand for in variables that nothing else has."""
    behind: WeakKeyDictionary[Any, _Behind] = WeakKeyDictionary()
    seen: WeakKeyDictionary[Any, _Seen] = WeakKeyDictionary()

    def itself(ctx: Any) -> Any:
        found = behind.get(ctx) if isinstance(ctx, RecipeContext) else None
        return ctx if found is None else found.ctx

    def handed(function: Callable[..., Any]) -> Callable[..., Any]:
        """A critic or tool of the world that is called with the context itself, whoever calls it."""

        async def called(about: Any, ctx: Any) -> Any:
            return await function(about, itself(ctx))

        return called

    class Visible:
        """A world as a recipe may see it: train examples alone, without targets for a Solver, and never the checker."""

        __slots__ = ("__weakref__",)
        _OPEN = ("name", "fingerprint", "prompt", "sampling")

        def __init__(self, world: World, recipe: Recipe) -> None:
            seen[self] = _Seen(world, recipe)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            world, recipe = seen[self]
            if name in type(self)._OPEN:
                return getattr(world, name)
            raise _refused(
                f"{recipe.slug} used ctx.world.{name}, which no recipe may; use ctx.rollout or ctx.judge"
            )

        @property
        def critics(self) -> Sequence[Callable[..., Awaitable[Any]]]:
            return tuple(handed(critic) for critic in seen[self].world.critics)

        @property
        def tools(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
            return MappingProxyType({name: handed(tool) for name, tool in seen[self].world.tools.items()})

        def examples(self, split: Split) -> Sequence[Example]:
            world, recipe = seen[self]
            if split != "train":
                raise _refused(f"{recipe.slug} asked for the {split} examples, which no recipe is shown")
            shown = world.examples(split)
            return [e.hidden() for e in shown] if recipe.card.shape == "solver" else shown

    class RecipeContext:
        """What a recipe is given as ``ctx``; see ``core.context.Context``, whose methods these are."""

        __slots__ = ("__weakref__",)

        def __init__(self, ctx: Scope, recipe: Recipe) -> None:
            behind[self] = _Behind(ctx, recipe)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            recipe = behind[self].recipe
            raise _refused(f"{recipe.slug} used ctx.{name}, which is not for recipes; there are {', '.join(_OFFERED)}")

        @property
        def world(self) -> Visible:
            ctx, recipe = behind[self]
            return Visible(ctx._world, ctx.recipe or recipe)

        def at(self, name: str, **changes: Any) -> RecipeContext:
            """The same context in a scope below this one; ``policy`` and ``sampling`` may be others there."""
            ctx, recipe = behind[self]
            for change in changes:
                if change not in _BRANCH:
                    raise _refused(
                        f"{recipe.slug} used ctx.at(..., {change}=...); a recipe may change {' and '.join(_BRANCH)}"
                    )
            return RecipeContext(ctx.at(name, **changes), recipe)

        async def map(self, function: Callable[..., Awaitable[Any]], items: Sequence[Any]) -> list[Any]:
            """``function(item, ctx)`` for all items at once, each in a scope of its own; results in the items' order."""
            ctx, recipe = behind[self]

            def one(item: Any, branch: Any) -> Awaitable[Any]:
                return function(item, RecipeContext(branch, recipe))

            made: list[Any] = await ctx.map(one, items)
            return made

        async def batches(self, size: int, *, rounds: int) -> AsyncIterator[list[Example]]:
            rows = behind[self].ctx.batches(size, rounds=rounds)
            try:
                async for examples in rows:
                    yield examples
            finally:
                await rows.aclose()

        async def overlapping(self, work: Callable[..., Any], size: int, **how: Any) -> AsyncIterator[Any]:
            ctx, recipe = behind[self]
            rows = ctx.overlapping(lambda branch, examples: work(RecipeContext(branch, recipe), examples), size, **how)
            try:
                async for outcome in rows:
                    yield outcome
            finally:
                await rows.aclose()

    def reader(name: str) -> property:
        def write(self: Any, value: Any) -> None:
            setattr(behind[self].ctx, name, value)

        # A method that counts its rounds itself says so; all else stays as it is.
        return property(lambda self: getattr(behind[self].ctx, name), write if name == "round" else None)

    def caller(name: str) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **named: Any) -> Any:
            return getattr(behind[self].ctx, name)(*args, **named)

        call.__name__ = call.__qualname__ = name
        return call

    def waiter(name: str) -> Callable[..., Any]:
        async def wait(self: Any, *args: Any, **named: Any) -> Any:
            return await getattr(behind[self].ctx, name)(*args, **named)

        wait.__name__ = wait.__qualname__ = name
        return wait

    for names, made in ((READ, reader), (CALL, caller), (AWAIT, waiter)):
        for name in names:
            setattr(RecipeContext, name, made(name))
    return RecipeContext, Visible, itself


_OFFERED = sorted((*READ, *CALL, *AWAIT, "world", "at", "map", "batches", "overlapping"))
RecipeContext, Visible, _itself = _classes()


def given(recipe: Recipe, argument: Any) -> Any:
    """What a recipe is called with: of a context what stands for it, of anything else itself."""
    return argument if not hasattr(type(argument), "for_recipe") else argument.for_recipe(recipe)
