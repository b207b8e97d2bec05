"""Questions that are nearly the same as one in another split: what was learned of one is then proved on its copy.

Two questions are near-duplicates if they have the same numbers and signs (+, =, ...) in the same order, and

* the same words in the same order, punctuation and spaces aside, or
* at least four fifths of their runs of three words in common, not counting what many questions share (a template).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from loopwright.core.types import Example
from loopwright.core.world import Split

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")
_SIGN = re.compile(r"[+*/^=<>%|&~$@#\\]|(?<![a-z])-|-(?![a-z])")
_RUN, _ALIKE = 3, 0.8
_LEAST = 4  # runs that two questions must have in common at least
_FEWEST = 8  # words from which a question can be nearly the same without having the same words
_SHARED = 0.2  # share of the questions, and at least _MANY of them, from which a run of words is of a template
_MANY = 5


class NearDuplicate(NamedTuple):
    """Two examples of different splits, by split and id."""

    first: tuple[str, str]
    second: tuple[str, str]


def near_duplicates(splits: Mapping[Split, Sequence[Example]]) -> list[NearDuplicate]:
    """Pairs of examples in two splits whose questions are nearly the same, in the order of the splits.

    Examples of one group are no pair, as they are together anyway.

    Args:
        splits: examples by split.

    Returns:
        The pairs; none twice.
    """
    items = [(str(split), example) for split, part in splits.items() for example in part]
    texts = [example.question.casefold() for _, example in items]
    words = [_WORD.findall(text) for text in texts]
    exact = [(tuple(_NUMBER.findall(text)), tuple(_SIGN.findall(text))) for text in texts]
    runs = [{tuple(w[i : i + _RUN]) for i in range(len(w) - _RUN + 1)} if len(w) >= _FEWEST else set() for w in words]
    counts = Counter(run for own in runs for run in own)
    most = max(_MANY, _SHARED * len(items))
    rare = [{run for run in own if counts[run] < most} for own in runs]
    same: dict[tuple[str, ...], list[int]] = defaultdict(list)
    holding: dict[tuple[str, ...], list[int]] = defaultdict(list)
    found: list[NearDuplicate] = []
    for at, (split, example) in enumerate(items):
        shared = Counter(other for run in rare[at] for other in holding[run])
        alike = {o for o, n in shared.items() if n >= max(_LEAST, _ALIKE * len(rare[at] | rare[o]))}
        alike.update(same[tuple(words[at])])
        for other in sorted(alike):
            apart = items[other][0] != split and exact[other] == exact[at]
            if apart and not (example.group and example.group == items[other][1].group):
                found.append(NearDuplicate((items[other][0], items[other][1].id), (split, example.id)))
        for run in rare[at]:
            holding[run].append(at)
        if words[at]:
            same[tuple(words[at])].append(at)
    return found
