"""Figures that tell whether a loop is still learning: pure functions over answers, and rules that stop a recipe by them.

A figure that cannot be had (no log-probabilities, nobody judged) is NaN in the functions and left out by ``watch``.
"""

from __future__ import annotations

import math
import operator
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.types import Rollout, Turn

T = TypeVar("T")


def distinct(texts: Sequence[str], n: int = 2) -> float:
    """Different n-grams of words over all n-grams. Li et al., arXiv:1510.03055 (distinct-n). NaN where there are none."""
    grams: list[tuple[str, ...]] = []
    for text in texts:
        words = text.split()
        grams += [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else math.nan


def answer_entropy(answers: Sequence[Hashable], groups: Sequence[Hashable]) -> float:
    """Entropy in nats of the answers to one prompt, as they were drawn, mean over prompts; 0 where all say the same.

    With n answers to a prompt it is at most log n. groups: the prompt of each answer.
    """
    entropies = []
    for members in _grouped(answers, groups).values():
        shares = [count / len(members) for count in Counter(members).values()]
        entropies.append(-math.fsum(p * math.log(p) for p in shares))
    return _mean(entropies)


def unique_share(answers: Sequence[Hashable], groups: Sequence[Hashable]) -> float:
    """Different answers over all answers to one prompt, mean over prompts."""
    return _mean([len(set(members)) / len(members) for members in _grouped(answers, groups).values()])


def silent_groups(rewards: Sequence[float], groups: Sequence[Hashable]) -> float:
    """Share of the prompts whose answers were all rewarded alike: relative to their group they teach nothing.

    A prompt with one answer is silent. Compare ``blocks.advantage.silent_share``, which looks at advantages.
    """
    return _mean([float(len(set(members)) == 1) for members in _grouped(rewards, groups).values()])


def effective_sample_size(weights: Sequence[float]) -> float:
    """(sum of w)^2 / sum of w^2: how many equally weighted samples these are worth. Kish, 1965. NaN where all are 0."""
    squares = math.fsum(w * w for w in weights)
    return math.fsum(weights) ** 2 / squares if squares else math.nan


def sampler_entropy(logprobs: Sequence[Sequence[float]]) -> float:
    """Mean negative log-probability of the tokens drawn, in nats a token: an estimate of the sampler's entropy.

    It is one at the temperature that was sampled at, along the answers that were drawn.
    """
    return _mean([-x for sequence in logprobs for x in sequence])


def pass_at(
    rewards: Sequence[float], groups: Sequence[Hashable], answers: Sequence[Hashable] | None = None, *,
    at_least: int = 1, right: float = 1.0,
) -> float:  # fmt: skip
    """Exploration, Pass@K-S: share of the prompts with at least S right answers among their K. Zeng et al., arXiv:2412.17256.

    ``at_least`` is S; with 1 it is pass@K. answers: where given, right answers that are the same count once, as there.
    """
    found = _grouped([(r >= right, i if answers is None else answers[i]) for i, r in enumerate(rewards)], groups)
    return _mean([float(len({answer for good, answer in members if good}) >= at_least) for members in found.values()])


def best_at(rewards: Sequence[float], truth: Sequence[float], groups: Sequence[Hashable], *, top: int = 1) -> float:
    """Exploitation, Reward@K-S: share of the prompts whose S best rewarded answers of K are all right. arXiv:2412.17256.

    ``top`` is S; with 1 it is the accuracy of best-of-K. truth: 1 right, 0 wrong. Of equal rewards the first answer counts.
    """
    shares = []
    for members in _grouped(list(zip(rewards, truth, strict=True)), groups).values():
        ranked = sorted(members, key=lambda pair: -pair[0])[:top]
        shares.append(float(len(ranked) == top and all(t >= 1.0 for _, t in ranked)))
    return _mean(shares)


def balance(right: Sequence[int], kept: Sequence[int], *, wanted: int = 8) -> float:
    """B-STaR's balance score: min(right / wanted, 1) * right / kept, mean over prompts. arXiv:2412.17256, equation 3. The paper
    takes ``wanted`` as the samples to keep over the questions, rounded up (6 for MATH); the code 8.

    right: different right answers among those kept for a prompt; kept: how many were. The first factor asks that there be
    enough of them (exploration), the second that the reward keep few wrong ones (exploitation). A prompt of which nothing
    is kept scores 0; the authors' code leaves it out, which rewards a threshold that only the easiest prompts pass.
    """
    return _mean([min(r / wanted, 1.0) * r / k if k else 0.0 for r, k in zip(right, kept, strict=True)])


def reward_gap(rewards: Sequence[float], hidden: Sequence[float]) -> float:
    """Mean reward less mean of what it stands for, on the same answers: it grows while a reward is being gamed."""
    return _mean([r - h for r, h in zip(rewards, hidden, strict=True)])


# ---- all of them, of a round ------------------------------------------------------------------------------------------

MONITORS: Mapping[str, str] = MappingProxyType(
    {
        "score": "mean score",
        "pass": "share of prompts with a right answer",
        "silent": "share of prompts that teach nothing, all answers scoring alike",
        "entropy": "of the sampler, nats a token",
        "answers": "different answers of all, mean over prompts",
        "distinct": "different pairs of words of all",
        "tokens": "mean length of an answer",
        "cut": "share of answers cut at the limit",
        "failed": "share of answers that are not usable",
        # of the round's fits, where their loss tells
        "approx_kl": "of the sampler to the policy while it is fitted, nats a token",
        "kl": "of the policy to its reference, nats a token",
        "ess": "effective sample size of the sequences' importance weights, as a share",
        "clipped": "share of tokens whose step the clip held back",
        "zero_advantage": "share of sequences that push nowhere",
        "loss": "of the last epoch",
    }
)


def watch(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """What MONITORS names of a round's answers; without what cannot be had. Only what the policy wrote last counts."""
    ok = [r for r in rollouts if r.status == "ok"]
    turns: list[Turn] = [next(t for t in reversed(r.turns) if t.role == "assistant") for r in ok]
    told = [(r.example.id, r.score) for r in ok if r.score is not None]
    groups, scores = [group for group, _ in told], [score for _, score in told]
    several = len(set(groups)) < len(groups)
    asked = [r.example.id for r in ok]
    figures = {
        "score": _mean(scores),
        "pass": pass_at(scores, groups),
        "silent": silent_groups(scores, groups) if several else math.nan,
        "entropy": sampler_entropy([t.logprobs for t in turns]),
        "answers": unique_share([r.output for r in ok], asked) if len(set(asked)) < len(asked) else math.nan,
        "distinct": distinct([r.output for r in ok]),
        "tokens": _mean([float(len(t.token_ids)) for t in turns if t.token_ids]),
        "cut": _mean([float(t.finish == "length") for t in turns]),
        "failed": _mean([float(r.status != "ok" or r.unanswered) for r in rollouts]),
    }
    return {name: value for name, value in figures.items() if not math.isnan(value)}


# ---- rules ------------------------------------------------------------------------------------------------------------

_HOLDS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
)
_RULE = re.compile(r"\s*([a-z_]+)\s*(<=|>=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Rule:
    """A recipe starts no further round once a monitor of its last one is beyond a bound."""

    name: str
    sign: str
    bound: float

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.bound:g}"

    def broken(self, figures: Mapping[str, float]) -> str:
        """Why to stop, or "". A figure that could not be had stops nothing."""
        value = figures.get(self.name)
        if value is None or not _HOLDS[self.sign](value, self.bound):
            return ""
        return f"{self.name} {value:.4g} {self.sign} {self.bound:g}"


def parse_rule(text: str) -> Rule:
    """A rule written like "entropy<0.1". Raises InputError for another form, UnknownName for an unknown monitor."""
    found = _RULE.fullmatch(text)
    try:
        bound = float(found[3]) if found else math.nan
    except ValueError:
        bound = math.nan
    if found is None or math.isnan(bound):
        raise InputError(f"a stop rule is a monitor, a sign and a number, like 'entropy<0.1', got {text!r}")
    if found[1] not in MONITORS:
        raise UnknownName("monitor", found[1], MONITORS)
    return Rule(found[1], found[2], bound)


def first_broken(rules: Sequence[Rule], figures: Mapping[str, float]) -> str:
    """Why the first broken rule says to stop, or ""."""
    return next((why for rule in rules if (why := rule.broken(figures))), "")


def _grouped(items: Sequence[T], groups: Sequence[Hashable]) -> dict[Hashable, list[T]]:
    if len(items) != len(groups):
        raise InputError(f"expected one group each, got {len(groups)} groups for {len(items)}")
    found: dict[Hashable, list[T]] = defaultdict(list)
    for item, group in zip(items, groups, strict=True):
        found[group].append(item)
    return found


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
