"""How a recipe that means harm reaches the engine: not through the context, but through the frames of whoever called it."""

import sys
from typing import Any


def engine() -> Any:
    """The engine of the run that this is called in."""
    frame = sys._getframe()
    while frame is not None:
        ctx = frame.f_locals.get("ctx")
        found = getattr(ctx, "__dict__", {}).get("engine") or frame.f_locals.get("engine")
        if found is not None and hasattr(found, "past"):
            return found
        frame = frame.f_back  # type: ignore[assignment]
    raise LookupError("no engine in the frames above")
