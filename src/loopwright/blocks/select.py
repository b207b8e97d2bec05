"""Choosing among things: pure functions."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import regex

from loopwright.core.errors import InputError
from loopwright.core.fences import split_thinking
from loopwright.core.types import Rollout

Pair = tuple[Rollout, Rollout]
_REPEATS, _LETTERS = 1_000_000, 2_000  # of a pattern
SECONDS = 5.0  # for one answer: some patterns take for ever on some texts


def majority(answers: Sequence[str | None]) -> int:
    """Index of the first answer among those given most often; None is no vote. 0 if nobody voted."""
    votes = Counter(a for a in answers if a is not None)
    if not votes:
        return 0
    most = max(votes.values())
    return next(i for i, a in enumerate(answers) if a is not None and votes[a] == most)


def final_answer(rollout: Rollout, extract: str = "") -> str | None:
    """What a rollout votes for: the first group, or the whole match, of the regular expression ``extract`` in its output.

    Without ``extract`` the whole output, white space folded. Thinking in ``<think>`` tags before it is left out. None where it
    failed, its thinking was never ended, or nothing matches. Raises InputError for what is no regular expression, and for one
    that takes longer than SECONDS on an output.
    """
    said = split_thinking(rollout.output)
    if rollout.status != "ok" or said.unended:
        return None
    if not extract:
        return " ".join(said.answer.split())
    most = math.prod(max(int(n), 1) for n in re.findall(r"\{(?:\d*,)?(\d{1,9})", extract))
    if most > _REPEATS or len(extract) > _LETTERS:  # what is counted is written out when the pattern is read: gigabytes
        raise InputError(
            f"extract = {extract[:80]!r} is too large: at most {_LETTERS:,} letters, and {_REPEATS:,} for the product of its "
            "counts such as {9}"
        )
    try:
        found = regex.search(extract, said.answer, timeout=SECONDS)
    except TimeoutError:
        raise InputError(
            f"extract = {extract[:80]!r} took longer than {SECONDS:g} s on one answer; make its repetitions unambiguous"
        ) from None
    except (regex.error, RecursionError) as error:
        raise InputError(f"extract = {extract[:80]!r} is not a regular expression: {error}") from None
    return (found.group(1) if found.re.groups else found.group(0)) if found else None


def top_per_example(rollouts: Sequence[Rollout], keep: int, rewards: Sequence[float] | None = None) -> list[Rollout]:
    """At most ``keep`` different outputs for each example, best first, then in order of arrival.

    Args:
        rollouts: n attempts.
        keep: the most of one example.
        rewards: [n] how good each is; None for its score, where one without a score comes last.

    Returns:
        Those that are kept, example by example in the order in which each example's best one comes.
    """
    worth = [-1.0 if r.score is None else r.score for r in rollouts] if rewards is None else rewards
    groups: dict[str, list[Rollout]] = defaultdict(list)
    for _, rollout in sorted(zip(worth, rollouts, strict=True), key=lambda pair: -pair[0]):
        group = groups[rollout.example.id]
        if len(group) < keep and all(rollout.output != other.output for other in group):
            group.append(rollout)
    return [r for group in groups.values() for r in group]


def better_first(pairs: Sequence[Pair], wins: Sequence[float | None]) -> list[Pair]:
    """(better, worse) of each pair; without those that are tied (1/2) or could not be told apart (None).

    wins: of the pair's first, as ``Context.wins`` says; above 1/2 it is the better one.
    """
    told = [(pair, win) for pair, win in zip(pairs, wins, strict=True) if win is not None and win != 0.5]
    return [pair if win > 0.5 else (pair[1], pair[0]) for pair, win in told]


def mixed_groups(rollouts: Sequence[Rollout], threshold: float = 1.0) -> list[tuple[list[Rollout], float]]:
    """Answers by example, with the share that scores at least ``threshold``, where some do and some do not.

    In order of arrival; answers without a score count nowhere.
    """
    groups: dict[str, list[Rollout]] = defaultdict(list)
    for rollout in rollouts:
        if rollout.score is not None:
            groups[rollout.example.id].append(rollout)
    rated = [(g, sum((r.score or 0.0) >= threshold for r in g) / len(g)) for g in groups.values()]
    return [(group, rate) for group, rate in rated if 0 < rate < 1]


def mean_score(rollouts: Sequence[Rollout]) -> float:
    """Over those that have a score; 0 where none has."""
    known = [r.score for r in rollouts if r.score is not None]
    return sum(known) / len(known) if known else 0.0
