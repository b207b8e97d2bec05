"""Every recipe under every check."""

from __future__ import annotations

import pytest

from loopwright.checks import Check, all_checks
from loopwright.core.registry import all_recipes, get_recipe

PAIRS = [
    pytest.param(slug, check, id=f"{slug}-{check.name}")
    for slug, recipe in all_recipes().items()
    for check in all_checks().values()
    if recipe.card.shape in check.shapes
]


@pytest.mark.parametrize(("slug", "check"), PAIRS)
def test_conformance(slug: str, check: Check) -> None:
    result = check(get_recipe(slug))
    assert result.passed, result.message
