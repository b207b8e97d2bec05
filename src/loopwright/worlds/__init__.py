"""Tasks and environments."""

from __future__ import annotations

from loopwright.worlds.files import load_task
from loopwright.worlds.task import Task

__all__ = ["Task", "load_task"]
