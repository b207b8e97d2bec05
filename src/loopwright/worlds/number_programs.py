"""Functions of a number, told in words step by step, to be written in Python; hidden tests judge, run in the sandbox.

"f(n): add 3; halve it if it is even; take it from 50." Each kind of step has several wordings, and some are easily taken for
another ("take 9 from it", "take it from 9"). There are no critics: who wants tests before the answer is judged must write them.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from loopwright.core.errors import InputError
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Example, digest
from loopwright.critics.programs import unit_tests
from loopwright.worlds.lab.dialogues import part_of
from loopwright.worlds.small import Small

INSTRUCTION = (
    "Write this function in Python: f takes a whole number n, does to it what is told, one step after the other, and returns "
    "the result. Reply with the program in one ```python block."
)
USUAL = range(10)  # on these, no value on the way is negative or above _MOST
HIDDEN = (*range(13), 15, 20, 31, 50)
_MOST = 99
_DIGITS, _TENS, _SOME = range(2, 10), range(20, 60, 10), range(3, 30)


class Kind(NamedTuple):
    """wordings with {k}, {j}; ``line`` of Python; what it does; ``k``, ``j``: the numbers that they are drawn from."""

    wordings: tuple[str, ...]
    line: str
    does: Callable[[int, int, int], int]
    k: Sequence[int] = (0,)
    j: Sequence[int] = (0,)


class Step(NamedTuple):
    kind: str
    k: int = 0
    j: int = 0

    @property
    def line(self) -> str:
        return KINDS[self.kind].line.format(k=self.k, j=self.j)

    def does(self, n: int) -> int:
        return KINDS[self.kind].does(n, self.k, self.j)


KINDS: Mapping[str, Kind] = {
    "add": Kind(("add {k}", "increase it by {k}", "{k} more"), "n=n+{k}", lambda n, k, j: n + k, _DIGITS),
    "take": Kind(("take {k} from it", "decrease it by {k}", "{k} less"), "n=n-{k}", lambda n, k, j: n - k, _DIGITS),
    "from": Kind(("take it from {k}", "what is left to {k}", "{k} less it"), "n={k}-n", lambda n, k, j: k - n, _TENS),
    "times": Kind(("multiply it by {k}", "{k} times it", "it, {k} times over"), "n=n*{k}", lambda n, k, j: n * k, _DIGITS),
    "square": Kind(("square it", "multiply it by it", "it times it"), "n=n*n", lambda n, k, j: n * n),
    "remainder": Kind(
        ("the remainder by {k}", "what is left over, divided by {k}", "take {k} from it while you can"),
        "n=n%{k}", lambda n, k, j: n % k, _DIGITS,
    ),
    "quotient": Kind(
        ("divide it by {k}, rounded down", "how many times {k} is in it", "how often {k} can be taken from it"),
        "n=n//{k}", lambda n, k, j: n // k, (2, 3, 5),
    ),
    "distance": Kind(
        ("the distance to {k}", "how far it is from {k}", "how much it is off {k}"),
        "n=abs(n-{k})", lambda n, k, j: abs(n - k), _SOME,
    ),
    "least": Kind(
        ("at least {k}", "{k} if it is less", "the larger of it and {k}"), "n=max(n,{k})", lambda n, k, j: max(n, k), _SOME
    ),
    "most": Kind(
        ("at most {k}", "{k} if it is more", "the smaller of it and {k}"), "n=min(n,{k})", lambda n, k, j: min(n, k), _SOME
    ),
    "halve even": Kind(
        ("halve it if it is even", "if even, half of it", "halve it if no half is left over"),
        "if n%2==0:n=n//2", lambda n, k, j: n // 2 if n % 2 == 0 else n,
    ),
    "add odd": Kind(
        ("add {k} if it is odd", "if not even, add {k}", "{k} more if a half is left over"),
        "if n%2==1:n=n+{k}", lambda n, k, j: n + k if n % 2 else n, _DIGITS,
    ),
    "take above": Kind(
        ("take {j} from it if it is above {k}", "if more than {k}, {j} less", "{j} less unless it is {k} or less"),
        "if n>{k}:n=n-{j}", lambda n, k, j: n - j if n > k else n, range(9, 30), _DIGITS,
    ),
    "times below": Kind(
        ("multiply it by {j} if it is below {k}", "if less than {k}, {j} times it", "{j} times it unless it is {k} or more"),
        "if n<{k}:n=n*{j}", lambda n, k, j: n * j if n < k else n, range(3, 12), (2, 3, 4),
    ),
}  # fmt: skip


def program(steps: Sequence[Step]) -> str:
    """The function, as tightly written as Python allows."""
    return "\n ".join(["def f(n):", *(step.line for step in steps), "return n"])


def values(steps: Sequence[Step], n: int) -> list[int]:
    """n and what it is after each step."""
    return list(itertools.accumulate(steps, lambda value, step: step.does(value), initial=n))


def drawn_step(rng: random.Random) -> Step:
    name = rng.choice(list(KINDS))
    return Step(name, rng.choice(KINDS[name].k), rng.choice(KINDS[name].j))


def draw(rng: random.Random, count: int) -> tuple[str, tuple[Step, ...]]:
    """A question of so many steps, and the steps. None of them is idle, and four outputs at least are different."""
    while True:
        steps = tuple(drawn_step(rng) for _ in range(count))
        ways = [values(steps, n) for n in USUAL]
        idle = any(all(way[i] == way[i + 1] for way in ways) for i in range(count))
        if idle or len({way[-1] for way in ways}) < 4 or not all(0 <= v <= _MOST for way in ways for v in way):
            continue
        told = [rng.choice(KINDS[s.kind].wordings).format(k=s.k, j=s.j) for s in steps]
        return f"f(n): {'; '.join(told)}.", steps


def asserts(steps: Sequence[Step], inputs: Sequence[int]) -> list[str]:
    return [f"assert f({n}) == {values(steps, n)[-1]}" for n in inputs]


def number_programs(
    *, steps: int = 3, count: int = 400, unseen: bool = False, instruction: str = INSTRUCTION, seed: int = 0
) -> Small:
    """``count`` questions, those of the splits taken together; the hidden tests are f of 17 numbers from 0 to 50.

    steps: of each function, at most 6. unseen: leave out what the lab model may have been taught on. instruction: stands
    below each question. Raises InputError for others.
    """
    if not 1 <= steps <= 6:
        raise InputError(f"expected steps from 1 to 6, got {steps}")
    rng = random.Random(digest(["number-programs", steps, seed]))
    drawn = (draw(rng, steps) for _ in itertools.count())
    told = itertools.islice((d for d in drawn if not (unseen and part_of(d[0]) == "teach")), count)
    items = [Example(id=digest(q)[:12], input=q, target=list(asserts(s, HIDDEN))) for q, s in dict(told).items()]
    checker = unit_tests(seconds=60.0)  # processor time stays bounded; many run at once, perhaps on a busy machine
    return Small("number-programs", items, checker, Prompt(instruction=instruction), Sampling(temperature=0.0, max_tokens=200))
