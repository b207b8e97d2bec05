"""Rules of lists, to be induced from a few cases and applied to new ones, with an interpreter that applies any rule exactly.

A rule is a few steps in plain words ("keep even, add 3, reverse"). A question shows cases as ``[4, 1] -> [7]`` and asks for
others; the objective is the share of asked cases that are right. Questions whose cases are explained by another rule of one
step than the hidden one, or by none at all, are left out; other rules of several steps may fit what is shown.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.feedback import CODE, Feedback, Score
from loopwright.core.model import Sampling
from loopwright.core.types import Example, Rollout, digest
from loopwright.worlds.lab.dialogues import part_of
from loopwright.worlds.small import Small

List = list[int]
LENGTH = (3, 6)  # of lists
_LIMIT = 10**6  # numbers and lengths beyond it are no output
_TRIES = 10_000  # in a row that make no new question

_PLAIN: Mapping[str, Callable[[List], List]] = {
    "reverse": lambda x: x[::-1],
    "sort": sorted,
    "sort down": lambda x: sorted(x, reverse=True),
    "keep even": lambda x: [v for v in x if v % 2 == 0],
    "keep odd": lambda x: [v for v in x if v % 2],
    "keep different": lambda x: list(dict.fromkeys(x)),
    "drop first": lambda x: x[1:],
    "drop last": lambda x: x[:-1],
    "repeat": lambda x: x + x,
}
_COUNTED: Mapping[str, Callable[[List, int], List]] = {
    "add": lambda x, n: [v + n for v in x],
    "times": lambda x, n: [v * n for v in x],
    "keep above": lambda x, n: [v for v in x if v > n],
    "keep below": lambda x, n: [v for v in x if v < n],
    "first": lambda x, n: x[: max(n, 0)],
    "last": lambda x, n: x[-n:] if n > 0 else [],
    "append": lambda x, n: [*x, n],
}
_NUMBERS: Mapping[str, Sequence[int]] = {
    "add": (1, 2, 3, 5), "times": (2, 3), "keep above": (3, 5), "keep below": (4, 6), "first": (2, 3), "last": (2, 3),
    "append": (0, 7),
}  # fmt: skip

LANGUAGE = (
    f"A rule is one step or several, separated by commas and done in that order. Steps are: {', '.join(_PLAIN)}, "
    f"and with a number N {', '.join(f'{name} N' for name in _COUNTED)}. "
)


def steps_of(rule: str) -> list[str]:
    """The steps of a rule, in order. Raises InputError for one that no step is called by."""
    steps = [" ".join(part.split()) for part in re.split(r"[,;]|\bthen\b", rule.lower().strip(" .")) if part.strip()]
    for step in steps:
        name, _, number = step.rpartition(" ")
        if step not in _PLAIN and not (name in _COUNTED and re.fullmatch(r"-?\d{1,6}", number)):
            raise InputError(f"{step!r} is no step of a rule; there are {', '.join([*_PLAIN, *(f'{n} N' for n in _COUNTED)])}")
    if not steps:
        raise InputError("the rule has no step")
    return steps


def run(rule: str, given: Sequence[int]) -> List:
    """What a rule makes of a list. Raises InputError for what is no rule, or where numbers or lists grow too large."""
    value = list(given)
    for step in steps_of(rule):
        name, _, number = step.rpartition(" ")
        value = _PLAIN[step](value) if step in _PLAIN else _COUNTED[name](value, int(number))
        if len(value) > 1000 or any(abs(v) > _LIMIT for v in value):
            raise InputError(f"step {step!r} makes a list too long, or numbers too large")
    return value


def list_of(text: str) -> List | None:
    """A list of whole numbers as it is written, or None."""
    found = re.fullmatch(r"\s*\[([-\d,\s]*)\]\s*", text)
    try:
        return [int(v) for v in found[1].split(",") if v.strip()] if found else None
    except ValueError:
        return None


async def interpreter(text: str, ctx: Context) -> str:
    """``{"rule": ..., "inputs": [...]}`` to the outputs as a JSON list, null where there is none; or "error: ..."."""
    try:
        asked = json.loads(text)
        rule, inputs = str(asked["rule"]), [str(i) for i in asked["inputs"]]
    except (ValueError, TypeError, KeyError):
        return 'error: expected {"rule": ..., "inputs": [...]}'
    outputs: list[str | None] = []
    for given in map(list_of, inputs):
        try:
            outputs.append(None if given is None else str(run(rule, given)))
        except InputError as error:
            return f"error: {error}"
    return json.dumps(outputs)


async def check(rollout: Rollout, ctx: Context) -> Feedback:
    """The share of asked cases that are right, line by line; lines that are no list do not count."""
    target = str(rollout.example.target).splitlines()
    found = [v for v in (list_of(line.split("->")[-1]) for line in rollout.output.splitlines()) if v is not None]
    right = sum(list_of(t) == given for t, given in zip(target, found, strict=False))
    return Score(value=right / len(target), aspect="cases", by=CODE)


def draw(
    rng: random.Random,
    rule: str,
    seen: int,
    asked: int,
    *,
    told: bool = True,
    among: Sequence[str] = (),
    length: Sequence[int] = LENGTH,
) -> tuple[str, str] | None:
    """A question of a rule and its answer; None where another rule of one step, of ``among`` or of all, explains the cases."""
    made = _cases(rule, seen + asked, rng, length)
    shown, hidden = made[:seen], made[seen:]
    if any(_explains(shorter, shown) for shorter in (*(among or all_steps()), "add 0") if shorter != rule):
        return None
    cases = [f"{a} -> {b}" for a, b in shown] + [f"{a} -> ?" for a, _ in hidden]
    question = "\n".join([f"Find the rule. {LANGUAGE if told else ''}".strip(), *cases])
    return question, "\n".join(str(b) for _, b in hidden)


def rules(
    *,
    steps: int = 2,
    seen: int = 6,
    asked: int = 4,
    count: int = 240,
    among: Sequence[str] = (),
    length: Sequence[int] = LENGTH,
    told: bool = True,
    unseen: bool = False,
    seed: int = 0,
) -> Small:
    """steps: of a rule, at most. seen, asked: cases of a question. count: of questions. told: the question names all steps.

    among: the steps that rules are made of, such as "add 3" (default: all). length: of the lists, from and to. unseen: leave
    out what the lab model may have been taught on. Raises InputError for numbers below 1, steps that there are not, and where
    so few questions can be asked.
    """
    if min(steps, seen, asked, count) < 1:
        raise InputError(f"steps, seen, asked and count must be at least 1, got {steps}, {seen}, {asked}, {count}")
    if len(length) != 2 or not 1 <= length[0] <= length[1] or 10 ** length[1] < seen + asked:
        raise InputError(f"length must be two numbers, the first not above the second, such as [3, 6], so that there are "
                         f"{seen + asked} different lists; got {list(length)}")  # fmt: skip
    names = [" ".join(steps_of(step)) for step in among] or all_steps()
    rng = random.Random(digest(["rules", steps, seen, asked, seed]))
    items: dict[str, Example] = {}
    left = _TRIES
    while len(items) < count:
        rule = ", ".join(rng.choice(names) for _ in range(rng.randint(1, steps)))
        drawn = draw(rng, rule, seen, asked, told=told, among=names, length=length)
        left -= 1
        if not left:
            raise InputError(f"found {len(items)} different questions, not {count}: give more steps in among, or longer lists")
        if drawn is None or drawn[0] in items or (unseen and part_of(drawn[0]) == "teach"):
            continue
        question, target = drawn
        items[question] = Example(id=digest(question)[:12], input=question, target=target, meta={"cases": asked})
        left = _TRIES
    sampling = Sampling(temperature=0.7, max_tokens=256)
    return Small("rules", list(items.values()), check, sampling=sampling, tools={"interpreter": interpreter})


@cache
def all_steps() -> tuple[str, ...]:
    """Every step that hidden rules are made of."""
    return (*_PLAIN, *(f"{name} {n}" for name, numbers in _NUMBERS.items() for n in numbers))


def _cases(rule: str, n: int, rng: random.Random, length: Sequence[int]) -> list[tuple[List, List]]:
    inputs: list[List] = []
    while len(inputs) < n:
        given = [rng.randint(0, 9) for _ in range(rng.randint(*length))]
        if given not in inputs:
            inputs.append(given)
    return [(given, run(rule, given)) for given in inputs]


def _explains(rule: str, cases: Sequence[tuple[List, List]]) -> bool:
    return all(run(rule, given) == output for given, output in cases)
