"""Built-in sources of feedback. ``build_critic`` makes one from a table of options."""

from __future__ import annotations

from loopwright.critics.match import exact, number, regex
from loopwright.critics.registry import BuiltCritic, build_critic

__all__ = ["BuiltCritic", "build_critic", "exact", "number", "regex"]
