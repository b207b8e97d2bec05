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

from pydantic import JsonValue

from loopwright.core.types import Example

_WORD = re.compile(r"\w+(?:[.,]\d+)*")
_LONG = 16  # characters from which one word is an answer of its own
_WORDS = 3
_BESIDE = 2  # lines that are read together
_RARE = 0.5  # share of the questions beyond which a word says nothing of one of them
_MOST = 0.7  # of the words that set a question apart


def copied(text: str, examples: Sequence[Example], before: str = "") -> list[str]:
    """The ids of the examples whose answer a text gives away, in their order.

    before: the text that this one was made from; what it said already does not count.
    """
    answers = [[a for a in (_words(s) for s in strings(e.target)) if a] for e in examples]
    shared = Counter(tuple(a) for found in answers for a in found)
    questions = [_words(e.question) for e in examples]
    rare = _rare(questions)
    windows, old = _windows(text), _windows(before)
    found = []
    for example, asked, own in zip(examples, questions, answers, strict=True):
        apart = set(asked) & rare
        for answer in own:
            many = shared[tuple(answer)]
            if _gives_away(answer, many, apart, windows) and not _gives_away(answer, many, apart, old):
                found.append(example.id)
                break
    return found


def _gives_away(answer: list[str], shared: int, apart: set[str], windows: Sequence[tuple[str, set[str]]]) -> bool:
    telling = shared <= 2 and (len(answer) >= _WORDS or sum(map(len, answer)) >= _LONG)
    whole = _joined(answer)
    for line, words in windows:
        if whole not in line:
            continue
        rest = words - (set(answer) - apart)
        if telling or (apart and len(apart & rest) >= _MOST * len(apart)):
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
