"""Built-in sources of feedback. ``build_critic`` makes one from a table of options."""

from __future__ import annotations

from loopwright.critics.checklist import checklist
from loopwright.critics.json_schema import schema
from loopwright.critics.match import exact, number, regex
from loopwright.critics.model_judge import aspects, judge, pairwise
from loopwright.critics.programs import unit_tests
from loopwright.critics.python import PythonCritic
from loopwright.critics.registry import BuiltCritic, build_critic
from loopwright.critics.reward_model import reward_model

__all__ = [
    "BuiltCritic", "PythonCritic", "aspects", "build_critic", "checklist", "exact", "judge", "number", "pairwise", "regex",
    "reward_model", "schema", "unit_tests",
]  # fmt: skip
