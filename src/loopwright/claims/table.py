"""The rows, and where all of them are found."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Literal

from pydantic import Field, JsonValue

from loopwright.core.errors import InputError
from loopwright.core.feedback import Frozen

_MACHINERY = {"table", "reproduce", "runners", "judged", "catalogue", "by_hand", "playing", "watched"}

LEAST_SEEDS = 8  # for a verdict: with fewer, Student's interval of skewed values misses too often, and a collapse stays unseen


class Claim(Frozen):
    """One row; the fields are told in the package's docstring."""

    recipe: str
    baseline: str
    world: str
    metric: Literal[
        "score", "regret", "reward", "gap", "auc", "CL", "CS", "RSS", "qd_score", "coverage", "best",
        "stability gap", "ACC", "min-ACC", "WC-ACC", "forgetting", "relative performance",
    ]  # fmt: skip
    direction: Literal["higher", "lower"]
    margin: float = Field(default=0.0, ge=0.0)
    seeds: int = Field(default=LEAST_SEEDS, ge=2)
    first_seed: int = Field(default=0, ge=0)  # options tuned on some seeds are judged on others
    setting: dict[str, JsonValue] = Field(default_factory=dict)
    options: dict[str, JsonValue] = Field(default_factory=dict)
    baseline_options: dict[str, JsonValue] = Field(default_factory=dict)
    budget: dict[Literal["sequences", "tokens"], int] = Field(default_factory=dict)
    minutes: float = Field(default=4.0, gt=0)
    source: str = ""
    tried: tuple[str, ...] = ()  # other settings that were run before or after, with what came out


@cache
def all_claims() -> dict[str, Claim]:
    """Every row by the recipe's slug. Raises InputError where a recipe has two."""
    import loopwright.claims as package

    found: dict[str, Claim] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name in _MACHINERY:
            continue
        for claim in getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "CLAIMS", ()):
            if claim.recipe in found:
                raise InputError(f"two claims are made for {claim.recipe}; a recipe has one")
            found[claim.recipe] = claim
    return dict(sorted(found.items()))


def claim_of(slug: str) -> Claim | None:
    """The recipe's row, if it has one."""
    return all_claims().get(slug)
