"""Recipes that try to see held-out examples are named by the check made for it, whatever else they pass."""

from __future__ import annotations

import ast
import gc
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import peeking_recipes
import pytest

from loopwright.checks import check_recipe, hidden
from loopwright.checks.bench import Bench
from loopwright.checks.toy import ToyWorld
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget, Candidate
from loopwright.store import MemoryStore

NAME = "held-out-stays-hidden"
ALL = (*peeking_recipes.WITHOUT_A_TRACE, *peeking_recipes.BY_ITS_WORDS)


def told(name: str, monkeypatch: pytest.MonkeyPatch, *, only: str) -> str:
    """What the check says of one of them, by what it does alone or by what its own lines say alone; "" where it passed."""
    recipe = getattr(peeking_recipes, name)
    gc.collect()  # worlds of other tests that are nobody's any more
    if only == "does":
        monkeypatch.setattr(hidden, "_said", lambda recipe: [])
    else:
        lines = inspect.getsource(closure_of(recipe) or recipe.function)
        tree = ast.parse(textwrap.dedent(lines))
        monkeypatch.setattr(hidden.ast, "parse", lambda text, **how: tree)
    (result,) = check_recipe(recipe, [NAME])
    return "" if result.passed else result.message


def closure_of(recipe: Any) -> Any:
    return next((c.cell_contents for c in recipe.function.__closure__ or ()), None)


@pytest.mark.fault(56)
def test_every_attempt_is_found_out(seen: Callable[[str], None]) -> None:
    passed = [name for name in ALL if check_recipe(getattr(peeking_recipes, name), [NAME])[0].passed]
    assert passed == [] and len(ALL) >= 20
    seen(f"{len(ALL)} recipes that look for held-out examples: {len(ALL)} named by {NAME}")


@pytest.mark.parametrize("name", peeking_recipes.WITHOUT_A_TRACE)
def test_an_attempt_is_seen_in_what_a_recipe_does_though_it_hides_the_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    message = told(name, monkeypatch, only="does")
    assert "no recipe is shown" in message, message


@pytest.mark.parametrize("name", peeking_recipes.BY_ITS_WORDS)
def test_a_way_around_is_seen_in_what_a_recipe_says(name: str) -> None:
    (result,) = check_recipe(getattr(peeking_recipes, name), [NAME])
    assert not result.passed and result.message.startswith("line "), result.message
    recipe = getattr(peeking_recipes, name)
    lines, first = inspect.getsourcelines(closure_of(recipe))
    imports = {1: "gc", 2: "importlib"}
    said = [f"line {line}: {what}" for line, what in hidden._said(recipe)]
    own = [s for s in said if first <= int(s.split()[1].rstrip(":")) < first + len(lines)]
    assert own or any(f"imports {module}" in s for s in said for module in (*imports.values(), "pathlib", "loopwright")), said


def test_the_frames_and_the_collector_are_seen_in_what_is_done_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "what the store holds (rollouts)" in told("by_frames", monkeypatch, only="does")
    assert "the test examples" in told("by_the_garbage_collector", monkeypatch, only="does")


def test_of_examples_that_are_held_out_the_process_of_the_check_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden, "_said", lambda recipe: [])
    seen: list[Any] = []
    gc.collect()
    monkeypatch.setattr(peeking_recipes, "wording", lambda found: seen.append(found) or {"instruction": "x"})
    check_recipe(peeking_recipes.by_the_collectors_examples, [NAME])
    assert seen == [], "the collector knows of no test example while a recipe runs"


def test_the_walk_finds_what_a_context_leads_to_where_nothing_stands_before_it() -> None:
    store = MemoryStore()
    engine = Engine(store=store, run=store.create_run({}, seed=0, budget={}, code_version=""), ledger=Ledger(Budget()), models={})
    recipe = get_recipe("best-of-n")
    ctx = Context(engine, "x", world=ToyWorld(), policy=Candidate(), recipe=recipe)
    ways = {type(found).__name__: place for place, found in hidden.walk(ctx, "ctx")}
    assert ways["Engine"] == "ctx.engine" and ways["MemoryStore"] == "ctx.engine.store"
    open_world = Context(engine, "x", world=ToyWorld(), policy=Candidate())
    held = [place for place, found in hidden.walk(open_world, "ctx") if getattr(found, "id", "").startswith("test-")]
    assert held[0].startswith("ctx.world.examples('test')[")
    ways = {type(found).__name__: place for place, found in hidden.walk(ctx.for_recipe(recipe), "ctx")}
    assert not {"Engine", "MemoryStore", "ToyWorld", "Context", "ToyModel"} & set(ways)
    shown = [place for place, _ in hidden.walk(ctx.for_recipe(get_recipe("gepa")), "ctx")]
    assert any(place.startswith("ctx.world.examples('train')") for place in shown)


def test_a_world_whose_critic_is_its_own_method_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    from loopwright.core import facade

    assert hidden._reached(get_recipe("best-of-n"), []) > 30
    open_ = property(lambda self: (ToyWorld().checker,))
    monkeypatch.setattr(facade.Visible, "critics", open_)
    with pytest.raises(hidden.Failed, match=r"ctx\.world\.critics\[0\]\.__self__ is the ToyWorld"):
        hidden._reached(get_recipe("best-of-n"), [])


def test_what_the_bench_reads_itself_is_not_held_against_a_recipe() -> None:
    for slug in ("best-of-n", "gepa", "tick"):
        (result,) = check_recipe(slug, [NAME])
        assert result.passed, result.message
        assert Bench(get_recipe(slug), seed=2).run().result is not None
