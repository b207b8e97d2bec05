"""Regular expressions of users, in a process with limits. Standard library and ``regex`` only."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import regex

_compiled = lru_cache(maxsize=256)(regex.compile)


def match(pattern: str, mode: int, text: str | None, seconds: float) -> Any:
    """Whether all of a text matches; None asks only whether the pattern is one.

    Returns:
        True or False; or text: "late", or what is wrong with the pattern.
    """
    try:
        made = _compiled(pattern, mode)
    except (regex.error, RecursionError, OverflowError) as error:
        return f"not a regular expression: {error}"
    if text is None:
        return True
    try:
        return made.fullmatch(text, timeout=seconds) is not None
    except TimeoutError:
        return "late"
