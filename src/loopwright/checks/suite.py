"""The table of checks, and how they are run on recipes."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loopwright.core.errors import LoopwrightError, UnknownName
from loopwright.core.registry import Recipe, all_recipes, get_recipe
from loopwright.core.types import Shape

ALL: tuple[Shape, ...] = ("solver", "critic", "improver", "learner", "measure")
RUNNING: tuple[Shape, ...] = ("solver", "critic", "improver", "learner")  # shapes that have effects


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One recipe under one check. ``message`` is why it failed, or what is worth knowing though it passed."""

    recipe: str
    check: str
    passed: bool
    message: str
    seconds: float


class Failed(AssertionError):
    """The recipe does not keep the promise; the message says what was found and what to do."""


@dataclass(frozen=True, slots=True)
class Check:
    """``function(recipe)`` raises Failed, or returns a remark (often empty)."""

    name: str
    summary: str
    shapes: tuple[Shape, ...]
    function: Callable[[Recipe], str | None]

    def __call__(self, recipe: Recipe) -> CheckResult:
        started = time.monotonic()
        passed, message = True, ""
        try:
            if recipe.card.shape in self.shapes:
                message = self.function(recipe) or ""
            else:
                message = f"does not apply to this shape ({recipe.card.shape})"
        except Failed as error:
            passed, message = False, str(error)
        except LoopwrightError as error:
            passed, message = False, f"{type(error).__name__}: {error}"
        except Exception as error:  # a recipe may raise anything
            passed, message = False, f"{error!r}, at {_place(error)}"
        return CheckResult(recipe.slug, self.name, passed, message, round(time.monotonic() - started, 3))


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"


_TABLE: dict[str, Check] = {}


def check(*shapes: Shape) -> Callable[[Callable[[Recipe], str | None]], Check]:
    """Make a function a check of recipes of these shapes. Its name is the check's, its docstring's first line the sentence."""

    def wrap(function: Callable[[Recipe], str | None]) -> Check:
        sentence = (function.__doc__ or "").strip().split("\n\n")[0]
        made = Check(function.__name__.replace("_", "-"), sentence, shapes, function)
        if made.name in _TABLE:
            raise ValueError(f"two checks are called {made.name}")
        _TABLE[made.name] = made
        return made

    return wrap


def all_checks() -> dict[str, Check]:
    """Every check by name, cheap ones first."""
    from loopwright.checks import behaviour, form, hidden, learning, measuring  # their import fills the table

    order = [form, hidden, behaviour, learning, measuring]
    modules = [module.__name__ for module in order]
    return dict(sorted(_TABLE.items(), key=lambda item: modules.index(item[1].function.__module__)))


def check_recipe(
    recipe: Recipe | str, checks: Sequence[str] = (), on_result: Callable[[CheckResult], None] | None = None
) -> list[CheckResult]:
    """Every check (or those named) on one recipe: ours by slug, anybody's by ``module:name`` or as an object."""
    recipe = get_recipe(recipe) if isinstance(recipe, str) else recipe
    known = all_checks()
    for name in checks:
        if name not in known:
            raise UnknownName("check", name, known)
    results = []
    for name, one in known.items():
        if checks and name not in checks:
            continue
        result = one(recipe)
        results.append(result)
        if on_result is not None:
            on_result(result)
    return results


def run_checks(
    slugs: Sequence[str] | None = None, on_result: Callable[[CheckResult], None] | None = None
) -> list[CheckResult]:
    """Every check on every installed recipe, or on those named."""
    recipes = list(all_recipes().values()) if not slugs else [get_recipe(slug) for slug in slugs]
    return [result for recipe in recipes for result in check_recipe(recipe, on_result=on_result)]
