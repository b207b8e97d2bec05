"""Whether a prompt gives away the answers of the examples it was written from.

A model that rewrites a prompt after looking at examples may write their answers into it. On those examples the prompt then
looks better than it is. What counts as copied:

* an answer of several words, or a long one, that at most two examples share, word for word;
* any answer that stands beside most of what sets its question apart from the others ("12 + 30 = 42", "Q: ... A: ...").

A label that many examples share ("positive") is no secret, and may be named. What the text it was made from already said is
no copy either.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from loopwright.core.types import Example

_WORD = re.compile(r"\w+(?:[.,]\d+)*")
_LONG = 16  # characters from which one word is an answer of its own
_WORDS = 3
_BESIDE = 2  # lines that are read together
_RARE = 0.5  # share of the questions beyond which a word says nothing of one of them
_MOST = 0.7  # of the words that set a question apart


@dataclass(frozen=True, slots=True)
class _Answer:
    example: str
    whole: str
    words: frozenset[str]
    telling: bool  # by itself
    apart: frozenset[str]  # the words that set its question apart


class Answers:
    """What the answers of examples are, worked out once for all the texts that are looked through."""

    def __init__(self, examples: Sequence[Example]) -> None:
        answers = [[a for a in (_words(s) for s in strings(e.target)) if a] for e in examples]
        shared = Counter(tuple(a) for found in answers for a in found)
        questions = [_words(e.question) for e in examples]
        rare = _rare(questions)
        self._known = [
            _Answer(example.id, _joined(a), frozenset(a), shared[tuple(a)] <= 2 and _long(a), frozenset(asked) & rare)
            for example, asked, own in zip(examples, questions, answers, strict=True)
            for a in own
        ]

    def copied(self, text: str, before: str = "") -> list[str]:
        """The ids of the examples whose answer a text gives away, in their order.

        before: the text that this one was made from; what it said already does not count.
        """
        everything = _joined(_words(text))
        here = [answer for answer in self._known if answer.whole in everything]
        windows, old = _windows(text), _windows(before)
        given = [a.example for a in here if _gives_away(a, windows) and not _gives_away(a, old)]
        return list(dict.fromkeys(given))


def _long(answer: list[str]) -> bool:
    return len(answer) >= _WORDS or sum(map(len, answer)) >= _LONG


def _gives_away(answer: _Answer, windows: Sequence[tuple[str, set[str]]]) -> bool:
    for line, words in windows:
        if answer.whole not in line:
            continue
        rest = words - (answer.words - answer.apart)
        if answer.telling or (answer.apart and len(answer.apart & rest) >= _MOST * len(answer.apart)):
            return True
    return False


def strings(target: JsonValue) -> list[str]:
    """The answers that a target holds: itself, or each of a list or table."""
    if isinstance(target, list):
        return [s for item in target for s in strings(item)]
    if isinstance(target, dict):
        return [s for item in target.values() for s in strings(item)]
    return [] if target is None or isinstance(target, bool) else [str(target)]


def _words(text: str) -> list[str]:
    return [w.casefold() for w in _WORD.findall(text)]


def _windows(text: str) -> list[tuple[str, set[str]]]:
    """What is read together: its words in order, and as a set."""
    lines = [_words(line) for line in text.splitlines()]
    lines = [line for line in lines if line]
    windows = [[w for line in lines[i : i + _BESIDE] for w in line] for i in range(len(lines))]
    return [(_joined(words), set(words)) for words in windows]


def _joined(words: Sequence[str]) -> str:
    """Such that one list of words stands within another where its text does."""
    return f" {' '.join(words)} "


def _rare(questions: Sequence[list[str]]) -> set[str]:
    count = Counter(w for words in questions for w in set(words))
    most = max(1.0, _RARE * len(questions))
    return {w for w, n in count.items() if n <= most}
