"""Loopwright: improve anything you can score, compare or criticise, and prove it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    **dict.fromkeys(("solver", "critic", "improver", "learner", "measure", "get_recipe", "all_recipes"), "core.registry"),
    **dict.fromkeys(("Budget", "Candidate", "Card", "Example", "Rollout", "Trial", "Turn"), "core.types"),
    **dict.fromkeys(("Prompt", "Shot", "prompt_of"), "core.policy"),
    "Learner": "core.learner",
    "Session": "service.session",
    "SharedSession": "service.shared",
    "Context": "core.context",
    "Judgement": "core.seen",
    "Gate": "core.gate",
    "LoopwrightError": "core.errors",
    "parse_feedback": "core.feedback",
}
__all__ = ["__version__", *_WHERE]  # noqa: PLE0604

if TYPE_CHECKING:
    from loopwright.core.context import Context
    from loopwright.core.errors import LoopwrightError
    from loopwright.core.feedback import parse_feedback
    from loopwright.core.gate import Gate
    from loopwright.core.learner import Learner
    from loopwright.core.policy import Prompt, Shot, prompt_of
    from loopwright.core.registry import all_recipes, critic, get_recipe, improver, learner, measure, solver
    from loopwright.core.seen import Judgement
    from loopwright.core.types import Budget, Candidate, Card, Example, Rollout, Trial, Turn
    from loopwright.service.session import Session
    from loopwright.service.shared import SharedSession


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'loopwright' has no attribute {name!r}")
    return getattr(import_module(f"loopwright.{_WHERE[name]}"), name)
