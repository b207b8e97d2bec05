"""Train, screen, gate and test: which example goes where.

A split is a function of the example's text alone (of its group, where it has one), so adding, removing or reordering examples
moves no other example, the same question can never be trained on and tested with, and no group is in two splits.
"""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from loopwright.core.gate import Gate
from loopwright.core.types import Example
from loopwright.core.world import Split
from loopwright.critics.section import Section

SPLITS: tuple[Split, ...] = ("train", "gate", "test")
# Where weights may change, train is what they are fitted to; elsewhere more of the examples do more good in the gate.
_SHARES: dict[Split, float] = {"train": 0.5, "gate": 0.25, "test": 0.25}
_FIXED_WEIGHTS: dict[Split, float] = {"train": 0.4, "gate": 0.35, "test": 0.25}
_SCREEN_SHARE, _SCREEN, _TRAIN = 1 / 3, 20, 24  # of train; at least so many where that is half of it; and none below so many


def question_key(value: JsonValue) -> str:
    """What makes two inputs the same question: the text without regard to case, white space and Unicode form."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def unit_key(example: Example) -> str:
    """What is drawn together: the group of an example, or else its question."""
    return f"group\n{example.group}" if example.group else question_key(example.input)


def _drawn(*text: object) -> float:
    """A number in [0, 1) that depends on the text alone."""
    raw = hashlib.sha256("\n".join(map(str, text)).encode()).digest()
    return int.from_bytes(raw[:8], "big") / 2**64


class Fractions:
    """The shares of the splits, which sum to 1, and the seed that chooses among such splits. ``screen`` is a share of train."""

    def __init__(self, section: Section) -> None:
        self.section = section
        given = {s: section.has(s) for s in SPLITS}
        self.given = any(given.values())
        self._shares = {s: float(section.number(s, _SHARES[s], low=0.0, high=1.0, above=True)) for s in SPLITS}
        self.seed: int = section.whole("seed", 0)
        self.screen: float | None = section.number("screen", None, low=0.0, high=0.9)
        section.close()
        total = math.fsum(self._shares.values())
        if abs(total - 1) > 1e-6:
            written = ", ".join(f"{s} = {v:g}{'' if given[s] else ' (default)'}" for s, v in self._shares.items())
            raise section.fail("", f"the fractions must sum to 1, got {written}, together {total:g}; give all three")

    def shares(self, *, weights: bool = True) -> Mapping[Split, float]:
        """What the task says; where it says nothing, what suits a run that changes weights, or one that does not."""
        return self._shares if self.given or weights else _FIXED_WEIGHTS

    def of(self, example: Example, *, weights: bool = True, fresh: int = 0) -> Split:
        """The split of an example.

        Args:
            example: whose text, or group, decides.
            weights: whether the run may change weights, which decides the shares where the task gives none.
            fresh: draws anew between train and gate, differently for each number above 0. Test stays as it is.
        """
        shares = self.shares(weights=weights)
        key = unit_key(example)
        drawn = _drawn(f"split {self.seed}", key)
        rest = shares["train"] + shares["gate"]
        if drawn >= rest:
            return "test"
        if fresh:
            drawn = rest * _drawn(f"split {self.seed} fresh {fresh}", key)
        return "train" if drawn < shares["train"] else "gate"

    def divide(
        self, examples: Sequence[Example], alpha: float, *, weights: bool = True, fresh: int = 0, graded: bool = False
    ) -> dict[Split, tuple[Example, ...]]:
        """The examples by split, in order. Raises TaskError for an empty split, or a gate that could never accept."""
        parts: dict[Split, list[Example]] = {s: [] for s in SPLITS}
        for example in examples:
            parts[self.of(example, weights=weights, fresh=fresh)].append(example)
        shares = self.shares(weights=weights)
        total = len(examples)
        for name, part in parts.items():
            if not part:
                raise self.section.fail(
                    name if self.section.has(name) else "",
                    f"the {name} split is empty: its fraction is {shares[name]:g} of {total} example"
                    f"{'s' if total != 1 else ''}, drawn by text or group. Add examples, raise {name} = ..., or try seed = 1",
                )
        groups = any(e.group for e in parts["gate"])
        need, got = fewest(alpha, graded=graded or groups), len({unit_key(e) for e in parts["gate"]})
        if got < need:
            about = math.ceil(need / shares["gate"] * 1.3)
            raise self.section.fail(
                "gate",
                f"the gate split has {got} of {total} examples{', a group counted as one' if groups else ''}; with alpha = "
                f"{alpha:g} the gate needs at least {need} to accept anything, even if every answer turned from wrong to right. "
                f"Add examples (about {about} in all), or raise gate = ...",
            )
        return {name: tuple(part) for name, part in parts.items()}


def screened(
    train: Sequence[Example], share: float | None = None
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """What methods may learn from, and the part that is kept from them to compare what they offer on.

    A third of train, or 20 of it where that is at most half; nothing of a train split below 24 examples, which has none to
    spare. Which examples depends on their text (or group) alone.

    Args:
        train: the examples of the split.
        share: of train, instead of that third.

    Returns:
        The rest of train and the screen, both in the order given.
    """
    units: dict[str, list[int]] = defaultdict(list)
    for at, example in enumerate(train):
        units[unit_key(example)].append(at)
    usual = max(len(train) * _SCREEN_SHARE, min(_SCREEN, len(train) // 2)) if len(train) >= _TRAIN else 0
    size = usual if share is None else len(train) * share
    apart: set[int] = set()
    for key in sorted(units, key=lambda key: _drawn("screen", key)):
        if len(apart) + len(units[key]) <= math.ceil(size):
            apart.update(units[key])
    return (
        tuple(e for at, e in enumerate(train) if at not in apart),
        tuple(e for at, e in enumerate(train) if at in apart),
    )


def fewest(alpha: float, *, graded: bool = False) -> int:
    """How many gate examples one planned look needs at least: if each one improved from 0 to 1, it would accept.

    Args:
        alpha: of the run.
        graded: whether scores may lie between 0 and 1, which takes another test.

    Returns:
        The number of examples, a group counted as one.
    """
    return Gate(alpha=alpha, planned=1, graded=graded).fewest()
