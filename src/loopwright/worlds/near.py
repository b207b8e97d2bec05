"""Questions that are nearly the same as one in another split: what was learned of one is then proved on its copy.

Two questions are near-duplicates if they have the same numbers and signs (+, =, emoji, ...) in the same order, and

* the same letters in the same order, not counting white space, punctuation, case, accents, invisible characters, other forms of
  the same character (full width, ligatures), Markdown emphasis, and words around a question that ask for nothing ("Please:",
  "Question 3:"), or
* at least four fifths of their runs of three words in common, not counting what many questions share (a template).
"""

from __future__ import annotations

import json
import math
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from pydantic import JsonValue

from loopwright.core.types import Example
from loopwright.core.world import Split

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # scripts without spaces
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
_NUMBER = re.compile(r"\d+")
_DIGIT = re.compile(r"[^\D0-9]")  # of another script
_SIGN = re.compile(r"[+*/^=<>%|&~$@#\\]|(?<![a-z])-|-(?![a-z])")
_EMPHASIS = re.compile(r"(\*\*|__|`)(?=\S)(.+?)(?<=\S)\1")
_LINE = re.compile(r"^[\s>#*\u2022-]+(?=[^\W\d])", re.MULTILINE)  # the mark of a heading, list or quotation
_NUMBERED = re.compile(r"^\W*(?:question|q|problem|exercise|task|example|prompt)\W*(?:no\W*|nr\W*|#)?\d+\s*[.:)\]-]\s*")
_MARKS = re.compile("[\u0300-\u036f]")  # accents; those of other scripts may be vowels
_LETTER_OF = str.maketrans(  # of words that mix scripts: what looks like a Latin letter and is none
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u03bf\u03b1\u03c1\u03bd", "aeopcyxijshdoapv"
)
_LATIN = re.compile("[a-z]")
# Words before or after a question that ask for nothing.
_BEFORE = (
    "please", "pls", "plz", "kindly", "question", "q", "problem", "task", "prompt", "input", "query", "exercise", "hi", "hello",
    "hey", "ok", "okay", "so", "now", "well", "thanks", "dear", "assistant", "user", "human", "instruction", "can you",
    "could you", "would you", "will you", "tell me", "answer this", "answer the following", "i want to know", "i wonder",
)  # fmt: skip
_OPENING = re.compile(rf"^(?:\W*\b(?:{'|'.join(_BEFORE)})\b)*\W*(?=[^\W\d])")
_AFTER = ("please", "pls", "plz", "thanks", "thx", "thank you", "thanks in advance", "answer", "a", "solution", "response", "ok")
_RUN, _ALIKE = 3, 0.8
_LEAST = 4  # runs that two questions must have in common at least
_FEWEST = 8  # words from which a question can be nearly the same without having the same words
_SHARED = 0.2  # share of the questions, and at least _MANY of them, from which a run of words is of a template
_MANY, _TEMPLATE = 5, 500  # and as many as the second are a template in any case
_FIRST = 3  # of questions that are all the same so many of a split are paired with another


class NearDuplicate(NamedTuple):
    """Two examples of different splits, by split and id."""

    first: tuple[str, str]
    second: tuple[str, str]


class _Question(NamedTuple):
    words: tuple[str, ...]
    exact: tuple[tuple[str, ...], tuple[str, ...]]  # numbers and signs


@cache
def _invisible() -> dict[int, str | None]:
    """What characters without a form of their own become, and dashes of all lengths."""
    table: dict[int, str | None] = {c: None for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) == "Cf"}
    table |= dict.fromkeys((*range(65024, 65040), 847, 4447, 4448, 12644))  # selectors and fillers
    return table | dict.fromkeys((*range(8208, 8214), 8722), "-")


def plain_text(value: JsonValue) -> str:
    """A question as text without what makes no other question of it: case, accents, forms of characters, invisible ones.

    Args:
        value: An input; what is no text is written as JSON, the fields in the order of their names.
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    if not text.isascii():
        text = _MARKS.sub("", unicodedata.normalize("NFKD", text.translate(_invisible())))
        text = unicodedata.normalize("NFKC", text).translate(_invisible()).casefold()
        text = _DIGIT.sub(lambda found: str(unicodedata.decimal(found[0])), text)
        parts = re.split(r"(\W+)", text)
        return "".join(p.translate(_LETTER_OF) if not p.isascii() and _LATIN.search(p) else p for p in parts)
    return text.casefold()


def _read(value: JsonValue) -> _Question:
    text = _EMPHASIS.sub(r"\2", plain_text(value))
    text = _LINE.sub("", _OPENING.sub("", _NUMBERED.sub("", text)))
    signs = _SIGN.findall(text)
    if not text.isascii():
        signs += [c for c in text if not c.isascii() and unicodedata.category(c)[0] == "S"]
    words = _WORD.findall(text)
    return _Question(tuple(_bare(words)), (tuple(_NUMBER.findall(text)), tuple(signs)))


def _bare(words: list[str]) -> list[str]:
    """The words without those around a question that ask for nothing; all of them where there are no others."""
    first, last = 0, len(words)
    while size := _leads(words[first:last], _BEFORE, 1):
        first += size
    while size := _leads(words[first:last], _AFTER, -1):
        last -= size
    return words[first:last] or words


def _leads(words: Sequence[str], phrases: Sequence[str], side: int) -> int:
    """How many words the phrase has that these begin (or end) with; 0 for none."""
    for phrase in phrases:
        parts = phrase.split()
        if len(words) > len(parts) and list(words[: len(parts)] if side > 0 else words[-len(parts) :]) == parts:
            return len(parts)
    return 0


def near_duplicates(splits: Mapping[Split, Sequence[Example]]) -> list[NearDuplicate]:
    """Pairs of examples in two splits whose questions are nearly the same, in the order of the splits.

    Examples of one group are no pair, as they are together anyway.

    Args:
        splits: examples by split.

    Returns:
        The pairs; none twice. Of many questions that are all the same, each is paired with the first few of a split.
    """
    items = [(str(split), example) for split, part in splits.items() for example in part]
    asked = [_read(example.input) for _, example in items]
    rare = _rare([q.words for q in asked])
    same: dict[tuple[object, ...], dict[str, list[int]]] = defaultdict(dict)
    holding: dict[tuple[object, ...], list[int]] = defaultdict(list)
    found: list[NearDuplicate] = []
    for at, (split, example) in enumerate(items):
        own, exact = rare[at], asked[at].exact
        # Who shares four fifths of the runs shares one of the first fifth of them, the rarest first, too.
        begin = own[: len(own) - math.ceil(_ALIKE * len(own)) + 1] if len(own) >= _LEAST else ()
        alike = {other for run in begin for other in holding[exact, run] if _overlap(own, rare[other])}
        letters = same["".join(asked[at].words), exact] if asked[at].words else {}
        alike.update(other for part in letters.values() for other in part)
        for other in sorted(alike):
            if items[other][0] != split and not (example.group and example.group == items[other][1].group):
                found.append(NearDuplicate((items[other][0], items[other][1].id), (split, example.id)))
        for run in begin:
            holding[exact, run].append(at)
        if len(part := letters.setdefault(split, [])) < _FIRST:
            part.append(at)
    return found


def _overlap(one: Sequence[object], other: Sequence[object]) -> bool:
    """Whether two questions have enough of their runs in common."""
    if min(len(one), len(other)) < _ALIKE * max(len(one), len(other)):
        return False
    both = len(set(one) & set(other))
    return both >= max(_LEAST, _ALIKE * (len(one) + len(other) - both))


def _rare(questions: Sequence[Sequence[str]]) -> list[tuple[tuple[str, ...], ...]]:
    """Of every question its runs of words, the rarest first, without those that many questions share."""
    runs = [{tuple(w[i : i + _RUN]) for i in range(len(w) - _RUN + 1)} if len(w) >= _FEWEST else set() for w in questions]
    counts = Counter(run for own in runs for run in own)
    most = min(_TEMPLATE, max(_MANY, _SHARED * len(questions)))
    return [tuple(sorted((r for r in own if counts[r] < most), key=lambda r: (counts[r], r))) for own in runs]
