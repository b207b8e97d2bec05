"""Small procedural worlds that a 135-million-parameter model finds neither trivial nor hopeless; claims are run on them.

Each is a generator with an exact checker. A question's split is drawn from its text, so no question is in two splits.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loopwright.blocks.shots import from_targets
from loopwright.core.context import Context
from loopwright.core.errors import InputError, UnknownName
from loopwright.core.feedback import Feedback, Score
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Example, Rollout, digest
from loopwright.core.world import Comparator, Critic, Split, Tool
from loopwright.critics.match import exact, number

_SHARES: tuple[tuple[Split, float], ...] = (("train", 0.5), ("gate", 0.25), ("test", 0.25))


@dataclass(frozen=True)
class Small:
    """A World made of generated examples."""

    name: str
    items: Sequence[Example]
    checker: Critic
    prompt: Prompt = Prompt()
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=16)
    critics: Sequence[Critic] = ()
    tools: Mapping[str, Tool] = field(default_factory=dict)
    part: Callable[[str], Split] | None = None  # by a question's text, which split it is in
    compare: Comparator | None = None
    judge: str = ""  # who judges, where that is not told by the name
    solver: Mapping[str, Any] | None = None  # {recipe, options} of who answers to begin with
    text_tokens: int = 0  # what a text of a method's own may take, where that is not what an answer may

    @property
    def fingerprint(self) -> str:
        of = [self.name, self.judge] if self.judge else [self.name]
        return digest([*of, [e.model_dump(mode="json") for e in self.items]])

    def examples(self, split: Split) -> Sequence[Example]:
        part = self.part or _split
        return [e for e in self.items if part(e.question) == split]


def _split(text: str) -> Split:
    drawn = int(digest(["split", text])[:8], 16) / 2**32
    for name, share in _SHARES:
        drawn -= share
        if drawn < 0:
            return name
    return "test"


def _examples(pairs: Mapping[str, str]) -> list[Example]:
    return [Example(id=digest(q)[:12], input=q, target=a) for q, a in pairs.items()]


def sums(*, shots: int = 0) -> Small:
    """Two one-digit terms, plus and minus; the answer must be the number and nothing else.

    shots: worked examples in the prompt, from the train split; without any a small model gives hardly ever the number alone.
    """
    pairs = {
        f"What is {a} {sign} {b}?": str(a + b if sign == "+" else a - b)
        for a in range(10)
        for b in range(10)
        for sign in "+-"
    }
    items = _examples(pairs)
    worked = [e for e in items if _split(e.question) == "train"]
    if not 0 <= shots <= len(worked):
        raise InputError(f"sums: shots is from 0 to {len(worked)}, got {shots}")
    drawn = random.Random(0).sample(worked, shots)
    prompt = Prompt(instruction="Answer with just the number.", shots=tuple(from_targets(drawn)))
    return Small("sums", items, exact(), prompt, Sampling(temperature=0.0, max_tokens=8))


def additions() -> Small:
    """Two terms below twenty; the last number of the answer counts, so the form is free and only the sum is judged."""
    pairs = {f"What is {a} + {b}?": str(a + b) for a in range(2, 20) for b in range(2, 20)}
    return Small("additions", _examples(pairs), number(), sampling=Sampling(temperature=0.0, max_tokens=16))


def products() -> Small:
    """A two-digit number times a one-digit number; the last number of the answer counts."""
    pairs = {f"What is {a} * {b}?": str(a * b) for a in range(11, 60) for b in range(3, 10) if a % 10}
    return Small("products", _examples(pairs), number(), sampling=Sampling(temperature=0.0, max_tokens=24))


_EQUATION = re.compile(r"(\d+)\s*[*x×]\s*(\d+)\s*=\s*(\d+)")


async def _calculator(text: str, ctx: Context) -> str:
    """Objects to every product in the text that is not what the text says it is."""
    wrong = [(a, b, c) for a, b, c in _EQUATION.findall(text) if int(a) * int(b) != int(c)]
    return " ".join(f"{a} * {b} is {int(a) * int(b)}, not {c}." for a, b, c in wrong)


def equations() -> Small:
    """Products to be written as an equation, beside a calculator that checks what equations say."""
    pairs = {
        f"Compute {a} * {b}. Write it as an equation, like 3 * 5 = 15.": f"{a} * {b} = {a * b}"
        for a in range(11, 100)
        for b in range(3, 10)
        if a % 10
    }

    async def checker(rollout: Rollout, ctx: Context) -> Feedback:
        target = str(rollout.example.target).split("=")
        last = (_EQUATION.findall(rollout.output) or [("", "", "")])[-1]
        return Score(value=float(f"{last[0]} * {last[1]} " == target[0] and last[2] == target[1].strip()))

    sampling = Sampling(temperature=0.0, max_tokens=32)
    return Small("equations", _examples(pairs), checker, sampling=sampling, tools={"calculator": _calculator})


_NOUNS = (
    "the sea,a cat,winter,bread,the moon,a train,music,rain,a garden,coffee,a bridge,the desert,a clock,snow,a violin,the "
    "city,a river,books,a mountain,the wind,a dog,autumn,fire,a ship,glass,the forest,a market,sleep,a window,honey,a "
    "castle,the stars,a bicycle,salt,an island,paper,a storm,the kitchen,a horse,silence,a lamp,summer,ice,a road,the past,"
    "a mirror,apples,a ladder,the sun,a song,a wolf,clouds,a key,the harbour,a letter,gold,a piano,spring,stone,a shadow"
).split(",")


def words() -> Small:
    """So many words about something; the mark falls with the distance. The rule needs no target, so it is also a critic."""
    pairs = {f"Write exactly {n} words about {noun.strip()}.": str(n) for noun in _NOUNS for n in (3, 4, 5, 6)}

    async def count(rollout: Rollout, ctx: Context) -> Feedback:
        asked = int(rollout.example.question.split()[2])
        found = len(rollout.output.split())
        message = "" if found == asked else f"It has {found} words; exactly {asked} were asked for."
        return Score(value=max(0.0, 1 - abs(found - asked) / asked), message=message)

    sampling = Sampling(temperature=0.0, max_tokens=16, stop=("\n",))
    return Small("words", _examples(pairs), count, sampling=sampling, critics=(count,))


def capitals() -> Small:
    """A short phrase to be repeated in capital letters and nothing else."""
    rng = random.Random(7)
    phrases = {f"{a.strip()} and {b.strip()}" for a in _NOUNS for b in rng.sample(_NOUNS, 4) if a != b}
    pairs = {f"Write in upper case: {p}": p.upper() for p in sorted(phrases)}
    return Small("capitals", _examples(pairs), exact())


SMALL: dict[str, Callable[[], Small]] = {f.__name__: f for f in (sums, additions, products, equations, words, capitals)}


def small(name: str) -> Small:
    """By name. Raises UnknownName."""
    if name not in SMALL:
        raise UnknownName("world", name, SMALL)
    return SMALL[name]()
