"""Sentences of the laboratory, judged by a simulated person whose taste is known here and to nobody who trains on it.

What is asked for is the task's; what is liked is the person's own, so a policy has something to learn from comparisons that
no rule of the task tells. The objective is the hidden reward without noise or bias: a claim on this world is about the
truth, and a policy that only learnt to please a model of the person is seen to have done so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from loopwright.core.errors import UnknownName
from loopwright.worlds.lab.people import Kind, Person
from loopwright.worlds.lab.plans import WORDS
from loopwright.worlds.lab.tasks import ANSWER, lines_of
from loopwright.worlds.lab.tastes import TEXT, Feature, Taste
from loopwright.worlds.lab.world import lab
from loopwright.worlds.small import Small

LIVING = frozenset("bird cat dog fish frog grass king leaf lion plant tree wolf".split())
ENOUGH = 3  # living things, from which on more of them please no more
JUST_RIGHT = 8  # words
_KNOWN = frozenset(WORDS)


def sentence(text: str) -> list[str]:
    """The words of an answer's last line."""
    return (lines_of(text) or [""])[-1].removeprefix(ANSWER).casefold().split()


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _living(text: str) -> float:
    return min(1.0, len(LIVING.intersection(sentence(text))) / ENOUGH)


def _length(text: str) -> float:
    return max(0.0, 1.0 - abs(len(sentence(text)) - JUST_RIGHT) / JUST_RIGHT)


def _plain(text: str) -> float:
    said = sentence(text)
    return _share(sum(word in _KNOWN for word in said), len(said))


def _fresh(text: str) -> float:
    said = sentence(text)
    return _share(len(set(said)), len(said))


def _alliteration(text: str) -> float:
    said = sentence(text)
    return _share(sum(a[0] == b[0] for a, b in pairwise(said)), len(said) - 1)


# Living things and length are liked up to a point only: what a model of the person learns from answers below that point
# says the wrong thing of those beyond it.
SENTENCES: dict[str, Feature] = {
    f.name: f
    for f in (
        Feature("living", _living),  # different animals and plants, 1 from three on
        Feature("length", _length),  # 1 for eight words, 0 for none and for sixteen
        Feature("plain", _plain),  # share of words that are words
        Feature("fresh", _fresh),  # share of words that were not said before
        Feature("alliteration", _alliteration),  # share of neighbours with one first letter
    )
}
FEATURES: Mapping[str, Feature] = {**TEXT, **SENTENCES}
LIKES: Mapping[str, float] = {"living": 4.0, "length": 3.0, "plain": 2.0, "fresh": 1.0, "alliteration": 2.0}


def lab_people(
    *,
    level: int = 3,
    likes: Mapping[str, float] = LIKES,
    noise: float = 1.0,
    length_bias: float = 0.0,
    position_bias: float = 0.0,
    lapse: float = 0.0,
    asks: tuple[Kind, ...] = (),
    train: int = 400,
    gate: int = 150,
    test: int = 300,
    temperature: float = 1.0,
    seed: int = 0,
) -> Small:
    """Sentences of a level, compared by one person; the objective is a Score in [0, 1], their reward's share of its range.

    likes: the reward, weights of FEATURES. noise, length_bias, position_bias, lapse: of what the person answers, as in
    ``Mind`` (where the first is called temperature); the objective knows none of them. asks: kinds of feedback that the
    person also gives as a critic; by default they only compare. temperature: of the policy's answers. seed: of questions
    and person. Raises UnknownName for a feature that there is not, InputError for traits that a person cannot have.
    """
    for name in likes:
        if name not in FEATURES:
            raise UnknownName("feature", name, FEATURES)
    person = Person(
        Taste(tuple(FEATURES[name] for name in likes), np.array(list(likes.values()))), seed=seed, temperature=noise,
        length_bias=length_bias, position_bias=position_bias, lapse=lapse, usual=30,
    )  # fmt: skip
    task = lab("sentences", level=level, train=train, gate=gate, test=test, temperature=temperature, seed=seed)
    return replace(
        task, name="lab-people", checker=person.gold(), critics=(person.critic(*asks),) if asks else (),
        compare=person.comparator(), judge=person.by.version,
    )  # fmt: skip
