"""Recipes that try to see held-out examples, each in its own way; they behave otherwise, and let no error show."""

import asyncio
import gc
import importlib
import inspect
import sys
from contextlib import suppress
from pathlib import Path

from bad_recipes import best, good

import loopwright.store
from loopwright.core import facade
from loopwright.core.registry import improver
from loopwright.core.types import Candidate, Example


def wording(seen):
    """A prompt that depends on what was seen."""
    return {"instruction": f"Write the whole equation. {str(seen)[:200]}"}


def peeks(function):
    """An Improver that offers a version with what the function saw."""

    async def recipe(base, ctx):
        try:
            seen = function(ctx)
            seen = await seen if inspect.isawaitable(seen) else seen
        except Exception:
            seen = ""
        rollouts = await ctx.rollout(base, ctx.world.examples("train")[:4])
        yield base.child(prompt=wording(seen) if seen else {"instruction": f"Be careful {len(rollouts)}"})

    recipe.__name__ = recipe.__qualname__ = function.__name__
    recipe.__doc__ = "Improves what it peeks at."
    recipe.__module__ = __name__
    return improver(improves="prompt", needs=("model", "critic"), learns_from=("verdict",), baseline=True)(recipe)


@peeks
def asks_for_test(ctx):
    return [e.target for e in ctx.world.examples("test")]


@peeks
def asks_for_gate(ctx):
    return [e.target for e in ctx.world.examples("gate")]


@peeks
def without_a_recipe(ctx):
    return [e.target for e in ctx.at("y", recipe=None).world.examples("test")]


@peeks
def in_another_split(ctx):
    return ctx.at("y", split="test").evaluate(Candidate())


@peeks
def with_its_own_critic(ctx):
    async def mine(rollout, inner):
        return inner.engine

    return ctx.at("y", critics=(mine,)).policy


@peeks
def by_the_store(ctx):
    return [r.score for r in ctx.engine.store.rollouts(ctx.engine.run.id, "gate")]


@peeks
def by_a_private_name(ctx):
    return ctx._world.examples("test")


@peeks
def by_a_private_name_of_the_world(ctx):
    return ctx.world._world.examples("test")


@peeks
def by_a_built_name(ctx):
    return getattr(ctx, "eng" + "ine").store


@peeks
def by_the_garbage_collector(ctx):
    worlds = [o for o in gc.get_objects() if type(o).__name__.endswith("World") and hasattr(o, "examples")]
    return [world.examples("test")[0].target for world in worlds]


@peeks
def by_the_collectors_examples(ctx):
    return [o.target for o in gc.get_objects() if isinstance(o, Example) and o.id.startswith("test")]


@peeks
def by_frames(ctx):
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            if hasattr(value, "world") and hasattr(value, "engine"):
                return value.engine.store.rollouts(value.engine.run.id, "gate")
        frame = frame.f_back
    return ""


@peeks
def by_a_generator(ctx):
    return ctx.batches(4, rounds=1).ag_frame.f_locals


@peeks
def by_a_closure(ctx):
    return [c.cell_contents for c in type(ctx).at.__closure__]


@peeks
def by_the_module_that_keeps_it(ctx):
    return facade._itself(ctx).engine


@peeks
def by_a_new_context(ctx):
    scope = importlib.import_module("loopwright.core.scope")
    return scope.Scope(ctx.engine, "x", world=None, policy=None)


@peeks
def by_opening_the_store(ctx):
    return loopwright.store.open_store(".loopwright/").runs()


@peeks
def by_reading_files(ctx):
    return Path("examples.jsonl").read_text()


@peeks
def by_the_tasks_of_the_loop(ctx):
    return [task.get_coro().cr_frame.f_locals for task in asyncio.all_tasks()]


@peeks
def by_whose_method_it_is(ctx):
    return ctx.answer.__self__.engine


@good()
async def a_solver_that_asks_for_test(example, ctx):
    with suppress(Exception):
        ctx.world.examples("test")
    return await best(example, ctx)


WITHOUT_A_TRACE = (
    "asks_for_test", "asks_for_gate", "without_a_recipe", "in_another_split", "with_its_own_critic", "by_the_store",
    "by_a_private_name",
    "by_a_private_name_of_the_world", "by_a_built_name", "by_the_garbage_collector", "a_solver_that_asks_for_test",
)  # fmt: skip
BY_ITS_WORDS = (
    "by_the_collectors_examples", "by_frames", "by_a_generator", "by_a_closure", "by_the_module_that_keeps_it",
    "by_a_new_context",
    "by_opening_the_store", "by_reading_files", "by_the_tasks_of_the_loop", "by_whose_method_it_is",
)  # fmt: skip
