"""Options of learners are bounded: what no method can mean is refused, and the error says what was expected."""

from __future__ import annotations

import math
from typing import Any

import pytest

from loopwright.core.errors import InputError
from loopwright.core.registry import Option, all_recipes, get_recipe

LEARNERS = [recipe for recipe in all_recipes().values() if recipe.card.shape == "learner"]
ROCCHIO = ("corocchio", "click-rocchio", "dense-retrieval")  # a query may move away from what was clicked


def numeric(option: Option) -> bool:
    return isinstance(option.default, int | float) and not isinstance(option.default, bool)


OPTIONS = [(recipe.slug, o) for recipe in LEARNERS for o in recipe.options.values() if numeric(o)]


@pytest.mark.parametrize(("slug", "option"), OPTIONS, ids=[f"{slug}-{o.name}" for slug, o in OPTIONS])
def test_a_number_that_is_none_or_has_the_wrong_sign_is_refused(slug: str, option: Option) -> None:
    recipe = get_recipe(slug)
    with pytest.raises(InputError, match=f"option {option.name} of {slug}: expected .*got True"):
        recipe(**{option.name: True})
    bad: list[Any] = [math.nan, math.inf, -math.inf, "nan", "much"]
    if slug not in ROCCHIO or option.name not in ("keep", "move"):
        bad.append(-1)
    for value in bad:
        with pytest.raises(InputError, match=f"option {option.name} of {slug}: expected .*the default is"):
            recipe(**{option.name: value})
    assert recipe(**{option.name: option.default}).made_by.options[option.name] == option.default


@pytest.mark.parametrize(
    ("slug", "name", "value", "says"),
    [
        ("epsilon-greedy", "epsilon", 2.0, "expected float of at least 0 of at most 1, got 2.0"),
        ("epsilon-greedy", "epsilon", math.nan, "expected float of at least 0 of at most 1"),
        ("lin-ucb", "alpha", -1, "expected float of at least 0, got -1"),
        ("lin-ucb", "ridge", 0.0, "expected float above 0, got 0.0"),
        ("exp3", "gamma", 1.5, "expected float above 0 of at most 1"),
        ("q-learning", "discount", 1.01, "of at most 1"),
        ("cma-es", "batch", 0, "expected int of at least 1"),
        ("thompson", "belief", "gamma", "Literal"),
    ],
)
def test_the_error_says_what_was_expected(slug: str, name: str, value: Any, says: str) -> None:
    with pytest.raises(InputError) as caught:
        get_recipe(slug)(**{name: value})
    assert says in str(caught.value)


def test_no_recipe_of_any_shape_takes_a_number_that_is_not_finite() -> None:
    for recipe in all_recipes().values():
        for option in recipe.options.values():
            if isinstance(option.default, float):
                with pytest.raises(InputError):
                    recipe.check({option.name: math.nan})
