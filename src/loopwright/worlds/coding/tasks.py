"""Small functions of a list of whole numbers, each a chain of steps, told in words and by examples."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations, pairwise
from types import MappingProxyType
from typing import Any

from loopwright.core.errors import InputError
from loopwright.core.types import Example, digest

Step = tuple[str, int]  # its name and its number, 0 where it has none


@dataclass(frozen=True, slots=True)
class Kind:
    """What a step does of a list. numbers: that it may be given. ends: it gives a number, so nothing comes after it."""

    words: str
    function: Callable[[list[int], int], Any]
    numbers: tuple[int, ...] = (0,)
    ends: bool = False


KINDS: Mapping[str, Kind] = MappingProxyType({
    "sort": Kind("sort them", lambda x, k: sorted(x)),
    "reverse": Kind("reverse their order", lambda x, k: x[::-1]),
    "unique": Kind("leave out what came before", lambda x, k: list(dict.fromkeys(x))),
    "divisible": Kind("keep the multiples of {k}", lambda x, k: [n for n in x if n % k == 0], (2, 3)),
    "odd": Kind("keep the odd ones", lambda x, k: [n for n in x if n % 2 == 1]),
    "above": Kind("keep those above {k}", lambda x, k: [n for n in x if n > k], (0, 3, 5)),
    "below": Kind("keep those below {k}", lambda x, k: [n for n in x if n < k], (3, 5, 10)),
    "add": Kind("increase each by {k}", lambda x, k: [n + k for n in x], (1, 2, 5)),
    "times": Kind("multiply each by {k}", lambda x, k: [n * k for n in x], (2, 3, 10)),
    "square": Kind("square each", lambda x, k: [n * n for n in x]),
    "negate": Kind("negate each", lambda x, k: [-n for n in x]),
    "absolute": Kind("drop all signs", lambda x, k: [abs(n) for n in x]),
    "remainder": Kind("replace each by its remainder of {k}", lambda x, k: [n % k for n in x], (2, 3, 5)),
    "first": Kind("take the first {k}", lambda x, k: x[:k], (2, 3)),
    "skip": Kind("skip the first {k}", lambda x, k: x[k:], (1, 2)),
    "last": Kind("take the last {k}", lambda x, k: x[-k:], (2, 3)),
    "alternate": Kind("take every second", lambda x, k: x[::2]),
    "running": Kind("form running totals", lambda x, k: list(accumulate(x))),
    "gaps": Kind("form the gaps between neighbours", lambda x, k: [b - a for a, b in pairwise(x)]),
    "sum": Kind("total them", lambda x, k: sum(x), ends=True),
    "count": Kind("count them", lambda x, k: len(x), ends=True),
    "largest": Kind("find the largest, 0 for none", lambda x, k: max(x, default=0), ends=True),
    "smallest": Kind("find the smallest, 0 for none", lambda x, k: min(x, default=0), ends=True),
    "spread": Kind("find the distance from smallest to largest, 0 for none", lambda x, k: max(x) - min(x) if x else 0, ends=True),
})  # fmt: skip
SHOWN, HIDDEN = 5, 8  # examples in the question, tests that judge
LENGTHS = (1, 1, 2, 2, 2, 2, 3, 3, 4)  # of the chains, drawn with these shares
MISSES = 300  # chains in a row that were nothing new, after which there are taken to be no more
IDIOMS = 6  # pairs of steps that half of the chains have one of


def done(chain: Sequence[Step], numbers: Sequence[int]) -> Any:
    """What a chain makes of a list."""
    value: Any = list(numbers)
    for name, k in chain:
        value = KINDS[name].function(value, k)
    return value


def told(chain: Sequence[Step]) -> str:
    """A chain in words."""
    words = [KINDS[name].words.replace("{k}", str(k)) for name, k in chain]
    return f"Of the whole numbers in the list xs: {', then '.join(words)}. Return the outcome."


def problems(count: int, seed: int) -> list[Example]:
    """Different tasks: no two compute the same of some dozens of lists, and no steps of a chain could be left out.

    Raises InputError where there are not so many.
    """
    rng = random.Random(digest(["coding", seed]))
    probes = [numbers(rng) for _ in range(40)]
    steps = [(name, k) for name, kind in KINDS.items() for k in kind.numbers]
    inner = [s for s in steps if not KINDS[s[0]].ends]
    idioms = [tuple(rng.sample(inner, 2)) for _ in range(IDIOMS)]
    behaviours = {digest(probes)}
    found: list[Example] = []
    misses = 0
    while len(found) < count:
        misses += 1
        if misses > MISSES:
            raise InputError(f"coding: {count} tasks were asked for and {len(found)} different ones found; ask for fewer")
        chain = drawn(rng, steps, inner, idioms)
        parts = [part for size in range(1, len(chain)) for part in combinations(chain, size)]
        made = digest([done(chain, p) for p in probes])
        if made in behaviours or any(made == digest([done(part, p) for p in probes]) for part in parts):
            continue
        behaviours.add(made)
        found.append(example(chain, rng))
        misses = 0
    return found


def drawn(rng: random.Random, steps: Sequence[Step], inner: Sequence[Step], idioms: Sequence[tuple[Step, ...]]) -> list[Step]:
    length = rng.choice(LENGTHS)
    chain = list(rng.choice(idioms)) if length > 1 and rng.random() < 0.5 else []
    while len(chain) < length - 1:
        chain.insert(rng.randrange(len(chain) + 1), rng.choice(inner))
    return chain if len(chain) == length else [*chain, rng.choice(steps)]


def numbers(rng: random.Random) -> list[int]:
    """A list that a task may be given."""
    return [rng.randint(-9, 15) for _ in range(rng.randint(3, 8))]


def example(chain: Sequence[Step], rng: random.Random) -> Example:
    name = "task_" + digest([list(step) for step in chain])[:8]
    lists = [numbers(rng) for _ in range(SHOWN + HIDDEN - 1)] + [[]]
    pairs = [[xs, done(chain, xs)] for xs in lists]
    shown: Any = pairs[:SHOWN]
    tests = "\n".join(f"assert {name}({xs!r}) == {out!r}" for xs, out in pairs[SHOWN:])
    return Example(
        id=name, input={"name": name, "arguments": ["xs"], "description": told(chain), "examples": shown}, target=tests,
        meta={"steps": len(chain)},
    )  # fmt: skip
