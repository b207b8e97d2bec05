"""The kinds of critic that a task file can name: how each reads its options."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from loopwright.core.types import Example
from loopwright.core.world import Critic
from loopwright.critics import match
from loopwright.critics.section import Section, near


@dataclass(frozen=True, slots=True)
class Parts:
    """What a kind makes of its table.

    instead: for a kind that needs the target, what to write to have a critic. files: hash of each file it reads.
    """

    judge: Critic
    options: dict[str, JsonValue]
    needs_target: bool = False
    instead: str = "use another kind"
    problem: Callable[[Example], str] | None = None
    files: dict[str, str] = field(default_factory=dict)


def _exact(section: Section, folder: Path, role: str) -> Parts:
    strip, casefold = section.flag("strip", True), section.flag("casefold", False)
    return Parts(
        match.exact(strip=strip, casefold=casefold), {"strip": strip, "casefold": casefold},
        needs_target=True, problem=match.exact_problem,
    )  # fmt: skip


def _number(section: Section, folder: Path, role: str) -> Parts:
    tolerance = float(section.number("tolerance", 0.0, low=0.0))
    strict, which = section.flag("strict", False), section.choice("which", ("last", "only"), "last")
    return Parts(
        match.number(tolerance=tolerance, strict=strict, which=which),
        {"tolerance": tolerance, "strict": strict, "which": which},
        needs_target=True, problem=match.number_problem,
    )  # fmt: skip


def _regex(section: Section, folder: Path, role: str) -> Parts:
    pattern, flags, strip = section.text("pattern", None), section.texts("flags", []), section.flag("strip", True)
    for flag in flags:
        if flag not in match.FLAGS:
            raise section.fail("flags", f"unknown flag {flag!r}; {near(flag, match.FLAGS)}")
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            raise section.fail(
                "pattern", f"not a regular expression: {error}; in TOML write patterns in single quotes"
            ) from None
    return Parts(
        match.regex(pattern, flags=tuple(flags), strip=strip), {"pattern": pattern, "flags": flags, "strip": strip},
        needs_target=pattern is None, instead="give it a pattern = '...'",
        problem=match.regex_problem if pattern is None else None,
    )  # fmt: skip


KINDS: dict[str, Callable[[Section, Path, str], Parts]] = {
    "exact": _exact,
    "number": _number,
    "regex": _regex,
}
TARGETLESS = ("judge", "python", "regex", "schema", "tests")
