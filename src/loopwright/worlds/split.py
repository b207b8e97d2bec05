"""Train, gate and test: which example goes where.

A split is a function of the example's text alone, so adding, removing or reordering examples moves no other example,
and the same question can never be trained on and tested with.
"""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections.abc import Sequence

from pydantic import JsonValue

from loopwright.core.gate import Gate
from loopwright.core.statistics import betting_log_e
from loopwright.core.types import Example
from loopwright.core.world import Split
from loopwright.critics.section import Section

SPLITS: tuple[Split, ...] = ("train", "gate", "test")
_DEFAULTS: dict[Split, float] = {"train": 0.5, "gate": 0.25, "test": 0.25}


def question_key(value: JsonValue) -> str:
    """What makes two inputs the same question: the text without regard to case, white space and Unicode form."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


class Fractions:
    """The shares of the splits, which sum to 1, and the seed that chooses among such splits."""

    def __init__(self, section: Section) -> None:
        self.section = section
        given = {s: section.has(s) for s in SPLITS}
        self.shares = {s: float(section.number(s, _DEFAULTS[s], low=0.0, high=1.0, above=True)) for s in SPLITS}
        self.seed: int = section.whole("seed", 0)
        section.close()
        total = math.fsum(self.shares.values())
        if abs(total - 1) > 1e-6:
            written = ", ".join(f"{s} = {v:g}{'' if given[s] else ' (default)'}" for s, v in self.shares.items())
            raise section.fail("", f"the fractions must sum to 1, got {written}, together {total:g}; give all three")

    def of(self, value: JsonValue) -> Split:
        raw = hashlib.sha256(f"split {self.seed}\n{question_key(value)}".encode()).digest()
        drawn = int.from_bytes(raw[:8], "big") / 2**64
        if drawn < self.shares["train"]:
            return "train"
        return "gate" if drawn < self.shares["train"] + self.shares["gate"] else "test"

    def divide(self, examples: Sequence[Example], alpha: float) -> dict[Split, tuple[Example, ...]]:
        """The examples by split, in order. Raises TaskError for an empty split, or a gate that could never accept."""
        parts = {s: tuple(e for e in examples if self.of(e.input) == s) for s in SPLITS}
        total = len(examples)
        for name, part in parts.items():
            if not part:
                raise self.section.fail(
                    name if self.section.has(name) else "",
                    f"the {name} split is empty: its fraction is {self.shares[name]:g} of {total} example"
                    f"{'s' if total != 1 else ''}, drawn by text. Add examples, raise {name} = ..., or try seed = 1",
                )
        need, got = fewest(alpha), len(parts["gate"])
        if got < need:
            about = math.ceil(need / self.shares["gate"] * 1.3)
            raise self.section.fail(
                "gate",
                f"the gate split has {got} of {total} examples; with alpha = {alpha:g} the gate needs at least {need} "
                "to accept anything, even if every answer turned from wrong to right. Add examples (about "
                f"{about} in all), or raise gate = ...",
            )
        return parts


def fewest(alpha: float) -> int:
    """How many gate examples the first look needs at least: if each one improved from 0 to 1, it would accept."""
    level = Gate(alpha=alpha).next_alpha()
    n = 1
    while betting_log_e([1.0] * n) < -math.log(level):
        n += 1
    return n
