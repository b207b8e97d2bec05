"""Recipes are found by name, ours and other people's, and a slip of the pen is answered with the near name."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopwright.checks import form
from loopwright.checks.suite import Failed
from loopwright.core.errors import InputError, UnknownName
from loopwright.core.learner import Learner
from loopwright.core.model import FitOptions
from loopwright.core.registry import Recipe, all_recipes, get_recipe, improver, learner, solver
from loopwright.core.types import Example


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path that looks like an installed package with entry points."""
    info = tmp_path / "other_recipes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-recipes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[loopwright.recipes]\nother = other_recipes_module\n")
    (tmp_path / "other_recipes_module.py").write_text(
        '"""Echo: says the question back."""\n\nfrom loopwright.core.registry import solver\n\n\n'
        '@solver(needs=("model",))\nasync def echo_back(example, ctx, *, times: int = 1):\n    return example\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    all_recipes.cache_clear()
    yield tmp_path
    sys.modules.pop("other_recipes_module", None)
    all_recipes.cache_clear()


def test_an_installed_package_adds_its_recipes(installed: Path) -> None:
    recipe = get_recipe("echo-back")
    assert (recipe.card.summary, recipe.card.shape, recipe.card.needs) == ("Echo: says the question back.", "solver", ("model",))
    assert recipe.settings({"times": "3"}) == {"times": 3}
    assert "best-of-n" in all_recipes()


def test_a_package_that_cannot_be_loaded_is_named(installed: Path) -> None:
    (installed / "other_recipes-1.0.dist-info" / "entry_points.txt").write_text(
        "[loopwright.recipes]\nother = no_such_module_here\n"
    )
    with pytest.raises(InputError, match="entry point other = no_such_module_here could not be loaded"):
        all_recipes()


def test_two_recipes_of_one_name_are_refused(installed: Path) -> None:
    module = installed / "other_recipes_module.py"
    module.write_text(module.read_text().replace("echo_back", "best_of_n"))
    with pytest.raises(InputError, match="two recipes are called best-of-n"):
        all_recipes()


def test_an_unknown_recipe_suggests_the_near_one() -> None:
    with pytest.raises(UnknownName, match=r"unknown recipe 'best-of-m'. Did you mean best-of-n") as caught:
        get_recipe("best-of-m")
    assert "best-of-n" in caught.value.near
    with pytest.raises(UnknownName, match=r"Known: .*best-of-n"):
        get_recipe("zzzzzz")


def test_an_unknown_option_suggests_the_near_one_and_a_wrong_value_tells_the_default() -> None:
    recipe = get_recipe("best-of-n")
    with pytest.raises(UnknownName, match=r"unknown option of best-of-n 'temprature'. Did you mean temperature"):
        recipe.check({"temprature": 1.0})
    with pytest.raises(InputError, match=r"option n of best-of-n: expected int, got 'many'.*the default is 8"):
        recipe.check({"n": "many"})
    assert recipe.check({"n": "4", "temperature": "0.5"}) == {"n": 4, "temperature": 0.5}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module:thing", "No module named"),
        ("json:no_such_thing", "unknown recipe of json 'no_such_thing'"),
        ("json:dumps", "json:dumps is a plain function, expected a recipe"),
        (":thing", "an importable.module:name"),
        ("broken_recipe_module:thing", "SyntaxError"),
    ],
)
def test_a_recipe_by_path_that_is_none_says_why(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_recipe_module.py").write_text("def (:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=said):
        get_recipe(name)


def test_a_card_is_made_from_the_function_and_its_module() -> None:
    recipe = get_recipe("best-of-n")
    assert (recipe.card.family, recipe.card.shape) == ("search", "solver")
    assert set(recipe.options) == {"n", "temperature"}
    made = get_recipe("lin-ucb")(alpha="2")
    assert isinstance(made, Learner)


def test_a_solver_that_is_not_asynchronous_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="a solver is an async function"):

        @solver()
        def late(example: Example, ctx: object) -> None: ...

    @learner()
    def fine() -> None: ...

    assert isinstance(fine, Recipe)


@improver(improves="weights", needs=("fit",), learns_from=("verdict",))
async def trains(base, ctx, *, rounds: int = 3, fit: FitOptions = FitOptions.online(epochs=2)):
    """What the fit and the rounds came to."""
    yield rounds, fit


def called(**options: object) -> tuple[int, FitOptions]:
    async def first() -> tuple[int, FitOptions]:
        async for found in trains(None, None, **options):
            return found
        raise AssertionError

    return asyncio.run(first())


def test_each_field_of_a_group_is_an_option_of_its_own() -> None:
    assert list(trains.options)[:4] == ["rounds", "epochs", "batch", "learning_rate"] and "fit" not in trains.options
    assert trains.settings({"learning_rate": "1e-3"})["schedule"] == "constant"  # as the recipe has it
    assert called(learning_rate="1e-3") == (3, FitOptions.online(epochs=2, learning_rate=1e-3))
    assert called(fit=FitOptions(rank=4), rounds=1) == (1, FitOptions(rank=4))
    assert called(fit={"rank": 4}) == (3, FitOptions.online(epochs=2, rank=4))
    for wrong, said in [({"batch": -1}, "greater than or equal to 0"), ({"schedule": "step"}, "linear"), ({"rate": 1}, "option")]:
        with pytest.raises(InputError, match=said):
            trains.check(wrong)


def test_a_group_must_not_hide_an_option() -> None:
    @improver(improves="weights", needs=("fit",), learns_from=("verdict",))
    async def twice(base, ctx, *, rank: int = 1, fit: FitOptions = FitOptions()):
        """Two ranks."""
        yield base

    with pytest.raises(Failed, match="rank is an option of the recipe and of a group"):
        form.options.function(twice)
