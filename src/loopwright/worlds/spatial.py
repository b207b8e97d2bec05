"""Where is one thing, seen from another, when a story only tells of neighbours? Questions in the manner of StepGame.

Shi, Zhang and Lipani, "StepGame: A New Benchmark for Robust Multi-Hop Spatial Reasoning in Texts", arXiv:2204.08292: nine
relations on a grid, ``hops`` of them between the two that are asked about, told in shuffled order and either direction, and
sentences that lead nowhere. The stories here are drawn by rule, with a few wordings a relation.
"""

from __future__ import annotations

import itertools
import random
import re
import string
from collections.abc import Mapping
from itertools import pairwise

from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.feedback import CODE, Feedback, Verdict
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Example, Rollout, digest
from loopwright.worlds.lab.dialogues import part_of
from loopwright.worlds.small import Small

OFFSETS: Mapping[str, tuple[int, int]] = {
    "overlap": (0, 0), "left": (-1, 0), "right": (1, 0), "above": (0, 1), "below": (0, -1),
    "upper-left": (-1, 1), "upper-right": (1, 1), "lower-left": (-1, -1), "lower-right": (1, -1),
}  # fmt: skip
WORDINGS: Mapping[str, tuple[str, ...]] = {
    "overlap": ("{a} is at the same place as {b}.", "{a} covers {b}."),
    "left": ("{a} is to the left of {b}.", "{a} is at the 9 o'clock position of {b}."),
    "right": ("{a} is to the right of {b}.", "{a} is at the 3 o'clock position of {b}."),
    "above": ("{a} is above {b}.", "{a} is on top of {b}."),
    "below": ("{a} is below {b}.", "{a} is at the bottom of {b}."),
    "upper-left": ("{a} is to the upper-left of {b}.", "{a} is diagonally above {b}, on its left."),
    "upper-right": ("{a} is to the upper-right of {b}.", "{a} is diagonally above {b}, on its right."),
    "lower-left": ("{a} is to the lower-left of {b}.", "{a} is diagonally below {b}, on its left."),
    "lower-right": ("{a} is to the lower-right of {b}.", "{a} is diagonally below {b}, on its right."),
}
INSTRUCTION = f"Answer with one of: {', '.join(OFFSETS)}."
_NAMED = re.compile(r"\b(upper|lower)[ _-]?(left|right)\b|\b(left|right|above|below|overlap)\b", re.IGNORECASE)
# What the directions mean, for an answer-set program that holds the story as is(a,left,b) and the question as query(a,b).
KNOWLEDGE = """
offset(overlap,0,0). offset(left,-1,0). offset(right,1,0). offset(above,0,1). offset(below,0,-1).
offset(upper_left,-1,1). offset(upper_right,1,1). offset(lower_left,-1,-1). offset(lower_right,1,-1).
near(-30..30). sign(0,0). sign(N,1) :- near(N), N > 0. sign(N,-1) :- near(N), N < 0.
place(B,0,0) :- query(A,B).
place(A,X+P,Y+Q) :- is(A,R,B), offset(R,P,Q), place(B,X,Y), near(X+P), near(Y+Q).
place(B,X-P,Y-Q) :- is(A,R,B), offset(R,P,Q), place(A,X,Y), near(X-P), near(Y-Q).
known(R) :- offset(R,P,Q).
:- is(A,R,B), not known(R).
:- place(A,X,Y), place(A,P,Q), (X,Y) < (P,Q).
answer(R) :- query(A,B), place(A,X,Y), sign(X,P), sign(Y,Q), offset(R,P,Q).
#show answer/1.
"""


def relation(x: int, y: int) -> str:
    """The name of a direction on the grid."""
    sign = ((x > 0) - (x < 0), (y > 0) - (y < 0))
    return next(name for name, offset in OFFSETS.items() if offset == sign)


def named(text: str) -> str:
    """The relation a text names last, in this world's spelling; "" where it names none."""
    found = [m.group(3) or f"{m.group(1)}-{m.group(2)}" for m in _NAMED.finditer(text)]
    return found[-1].lower() if found else ""


def draw(rng: random.Random, hops: int, noise: int, wordings: int) -> tuple[str, str]:
    """A question and its answer."""
    names = rng.sample(string.ascii_uppercase, hops + 1 + noise)
    chain, others = names[: hops + 1], names[hops + 1 :]
    links = list(pairwise(chain)) + [(other, rng.choice(chain)) for other in others]
    place = {chain[0]: (0, 0)}
    told = []
    for known, new in links[:hops]:
        name = rng.choice(list(OFFSETS))
        (x, y), (p, q) = place[known], OFFSETS[name]
        place[new] = (x + p, y + q)
        told.append(_sentence(rng, known, new, name, wordings))
    told += [_sentence(rng, known, other, rng.choice(list(OFFSETS)), wordings) for other, known in links[hops:]]
    rng.shuffle(told)
    a, b = rng.sample((chain[0], chain[-1]), 2)
    answer = relation(place[a][0] - place[b][0], place[a][1] - place[b][1])
    return f"{' '.join(told)}\nWhere is {a}, seen from {b}?", answer


def _sentence(rng: random.Random, known: str, new: str, name: str, wordings: int) -> str:
    """That ``new`` is there, seen from ``known``, said of either of them."""
    if rng.random() < 0.5:
        known, new, name = new, known, relation(-OFFSETS[name][0], -OFFSETS[name][1])
    return rng.choice(WORDINGS[name][:wordings]).format(a=new, b=known)


async def _check(rollout: Rollout, ctx: Context) -> Feedback:
    return Verdict(passed=named(rollout.output) == rollout.example.target, by=CODE)


def spatial(
    *,
    hops: int = 3,
    noise: int = 0,
    wordings: int = 2,
    count: int = 600,
    unseen: bool = False,
    instruction: str = INSTRUCTION,
    seed: int = 0,
) -> Small:
    """``count`` questions, those of the splits taken together. The last relation that an answer names is what it says.

    hops: sentences between the two things, at most 20. noise: sentences that lead nowhere, at most 5. wordings: 1 for the plain
    one of each relation, 2 for all. unseen: leave out what the lab model may have been taught on. instruction: stands below each
    question. Raises InputError for others.
    """
    if not 1 <= hops <= 20 or not 0 <= noise <= 5 or wordings not in (1, 2):
        raise InputError(f"expected hops from 1 to 20, noise from 0 to 5, wordings 1 or 2, got {hops}, {noise} and {wordings}")
    rng = random.Random(digest(["spatial", hops, noise, wordings, seed]))
    drawn = (draw(rng, hops, noise, wordings) for _ in itertools.count())
    pairs = dict(itertools.islice((d for d in drawn if not (unseen and part_of(d[0]) == "teach")), count))
    items = [Example(id=digest(q)[:12], input=q, target=a, meta={"hops": hops}) for q, a in pairs.items()]
    return Small("spatial", items, _check, Prompt(instruction=instruction), Sampling(temperature=0.0, max_tokens=128))
